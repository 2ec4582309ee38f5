"""The recorder brings everything that a meter says into a file, whatever happens to the meter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import known_power
import numpy as np
import pytest
from known_power import COUNTING, KnownBoard

from edgepipe.devices.power.meter import MeterFacts, Samples
from edgepipe.devices.power.recorder import LATE_S, READ_S, WRITE_S, Recorder
from edgepipe.devices.power.replay import Replay, ReplayMeter
from edgepipe.devices.power.trace_file import TraceFile
from edgepipe.errors import DeviceUnreachable, InfrastructureError, MeterMissing, StorageError
from tests.power_meters.clock import Clock

DEADLINE_S = 20.0
NOTHING = Samples(time_s=np.zeros(0), volts=np.zeros(0), amps=np.zeros(0), marker=np.zeros(0, bool))


class GivenMeter:
    """Says what it is given, and then waits, or fails."""

    def __init__(self, pieces: Iterator[Samples], failure: InfrastructureError | None = None) -> None:
        self._pieces, self._failure = pieces, failure

    def open(self) -> MeterFacts:
        return COUNTING

    def read(self, *, deadline_s: float) -> Samples:
        piece = next(self._pieces, None)
        if piece is not None:
            return piece
        if self._failure:
            raise self._failure
        time.sleep(deadline_s)
        return NOTHING

    def close(self) -> None:
        pass


def until(true: Callable[[], bool]) -> None:
    """Wait, but not for ever."""
    end_s = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.01)


def recorded(path: Path, pieces: list[Samples], failure: InfrastructureError | None = None) -> Recorder:
    """A recording of all pieces, ended."""
    wanted = (sum(piece.time_s.size for piece in pieces), sum(piece.dropped for piece in pieces))
    with Recorder(GivenMeter(iter(pieces), failure), COUNTING, path, started_utc="now") as recorder:
        until(lambda: (recorder.counters.samples, recorder.counters.dropped) == wanted)
        until(lambda: failure is None or recorder.failure is not None)
    return recorder


def test_everything_that_came_is_in_the_file(tmp_path: Path) -> None:
    board = KnownBoard()
    recorder = recorded(tmp_path / "trace", list(board.trace().pieces()))
    assert recorder.failure is None
    assert recorder.trace().is_finished
    pieces = list(recorder.trace().pieces())
    assert np.array_equal(np.concatenate([piece.time_s for piece in pieces]), board.time_s)
    assert np.array_equal(np.concatenate([piece.marker for piece in pieces if piece.marker is not None]), board.marker)


def test_what_was_lost_is_counted_in_the_file_even_without_a_sample_after_it(tmp_path: Path) -> None:
    some = next(KnownBoard().trace().pieces())
    lost = replace(NOTHING, dropped=3, saturated=1, resets=1)
    with Recorder(GivenMeter(iter([replace(some, dropped=2), lost])), COUNTING, tmp_path / "trace", started_utc="") as recorder:
        until(lambda: recorder.counters.resets == 1)
        time.sleep(2 * (WRITE_S + READ_S))  # it is not forgotten when the samples are written
    pieces = list(recorder.trace().pieces())
    assert [sum(getattr(piece, name) for piece in pieces) for name in ("dropped", "saturated", "resets")] == [5, 1, 1]


def test_more_than_a_block_at_once_becomes_blocks(tmp_path: Path) -> None:
    count = 200_000
    some = Samples(
        time_s=np.arange(1, count + 1) * 1e-5, volts=np.ones(count), amps=np.ones(count), marker=np.ones(count, bool), dropped=4
    )
    pieces = [piece for piece in recorded(tmp_path / "trace", [some]).trace().pieces() if piece.time_s.size]
    assert [piece.time_s.size for piece in pieces] == [65536, 65536, 65536, 3392]
    assert [piece.dropped for piece in pieces] == [4, 0, 0, 0]


def test_a_meter_that_is_unplugged_leaves_what_came_before(tmp_path: Path) -> None:
    pieces = list(KnownBoard().trace().pieces())
    recorder = recorded(tmp_path / "trace", pieces, DeviceUnreachable("the meter is gone"))
    assert isinstance(recorder.failure, DeviceUnreachable)
    assert recorder.trace().is_finished
    assert sum(piece.time_s.size for piece in recorder.trace().pieces()) == recorder.counters.samples


def test_a_full_disk_ends_the_recording_and_nothing_else() -> None:
    with pytest.raises(StorageError), Recorder(GivenMeter(iter([])), COUNTING, Path("/dev/full"), started_utc=""):
        pass


FILLS_UP = """
import resource, sys
from pathlib import Path
from known_power import COUNTING, KnownBoard
from edgepipe.devices.power.recorder import Recorder
from test_recorder import GivenMeter, until
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
pieces = KnownBoard().trace().pieces()
with Recorder(GivenMeter(pieces), COUNTING, Path(sys.argv[1]), started_utc="") as recorder:
    until(lambda: recorder.failure is not None)
print(recorder.failure.slug, sum(piece.time_s.size for piece in recorder.trace().pieces()))
"""


def test_a_disk_that_fills_up_meanwhile_keeps_what_was_written(tmp_path: Path) -> None:
    folders = [str(Path(known_power.__file__).parent), str(Path(__file__).parent)]
    run = subprocess.run(
        [sys.executable, "-c", FILLS_UP, str(tmp_path / "trace")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    slug, samples = run.stdout.split()
    assert slug == "storage"
    assert int(samples) % 100 == 0


def test_it_is_read_while_it_grows_and_stops_at_once(tmp_path: Path) -> None:
    def endless() -> Iterator[Samples]:
        now_s = 0.0
        while True:
            time.sleep(0.01)
            yield Samples(time_s=now_s + np.array([0.01]), volts=np.ones(1), amps=np.ones(1), marker=np.ones(1, bool))
            now_s += 0.01

    with Recorder(GivenMeter(endless()), COUNTING, tmp_path / "trace", started_utc="") as recorder:
        until(lambda: any(True for _ in recorder.trace().pieces()))
        assert not recorder.trace().is_finished
        began_s = time.monotonic()
    assert time.monotonic() - began_s < LATE_S + 10 * READ_S
    assert recorder.trace().is_finished


def test_samples_that_are_on_their_way_when_it_stops_still_come(tmp_path: Path) -> None:
    def late() -> Iterator[Samples]:
        while True:
            taken_s = time.monotonic()
            time.sleep(0.3)
            yield Samples(time_s=np.array([taken_s]), volts=np.ones(1), amps=np.ones(1), marker=np.ones(1, bool))

    with Recorder(GivenMeter(late()), COUNTING, tmp_path / "trace", started_utc="") as recorder:
        until(lambda: recorder.counters.samples > 0)
        stopped_s = time.monotonic()
    assert max(piece.time_s[-1] for piece in recorder.trace().pieces() if piece.time_s.size) >= stopped_s


def replayed(path: Path, clock: Clock, *, repeat: bool = False) -> ReplayMeter:
    return ReplayMeter(Replay(file=str(path), repeat=repeat), clock=clock, rest=clock.rest)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    pieces = list(KnownBoard().trace().pieces())
    pieces[3] = replace(pieces[3], dropped=7)
    return recorded(tmp_path / "board.trace", pieces).path


def test_a_recording_plays_as_it_was_measured(recording: Path) -> None:
    board, clock, played = KnownBoard(), Clock(5000.0), list[Samples]()
    meter = replayed(recording, clock)
    facts = meter.open()
    assert facts == replace(COUNTING, name="replay of exact", simulated=True)
    while sum(piece.time_s.size for piece in played) < board.time_s.size:
        played.append(meter.read(deadline_s=0.3))
        assert all(piece.time_s[-1] <= clock.now_s for piece in played[-1:] if piece.time_s.size)
    times = np.concatenate([piece.time_s for piece in played])
    assert times - times[0] == pytest.approx(board.time_s - board.time_s[0], abs=1e-9)
    assert np.array_equal(np.concatenate([piece.amps for piece in played]), board.amps.astype(np.float32))
    assert sum(piece.dropped for piece in played) == 7
    with pytest.raises(DeviceUnreachable, match="come to its end"):
        [meter.read(deadline_s=0.3) for _ in range(3)]


def test_nothing_is_played_before_its_time(recording: Path) -> None:
    clock = Clock(5000.0)
    meter = replayed(recording, clock)
    meter.open()
    clock.now_s += 2.0
    assert meter.read(deadline_s=0).time_s.size <= 200
    before_s = clock.now_s
    assert meter.read(deadline_s=0.5).time_s.size
    assert clock.now_s - before_s < 0.5


def test_a_recording_may_be_repeated(recording: Path) -> None:
    clock = Clock(5000.0)
    meter = replayed(recording, clock, repeat=True)
    meter.open()
    clock.now_s += 250
    times = np.concatenate([meter.read(deadline_s=0).time_s for _ in range(300)])
    assert times[-1] - times[0] > 150
    assert (np.diff(times) > 0).all()


def test_without_its_recording_there_is_no_meter(tmp_path: Path) -> None:
    with pytest.raises(MeterMissing, match="cannot read"):
        replayed(tmp_path / "missing", Clock(5000.0)).open()
    with pytest.raises(DeviceUnreachable, match="not being played"):
        replayed(tmp_path / "missing", Clock(5000.0)).read(deadline_s=0)


def test_a_recording_of_a_simulated_meter_stays_one(recording: Path) -> None:
    assert TraceFile(recording).facts.simulated is False
    assert replayed(recording, Clock(5000.0)).open().simulated is True
