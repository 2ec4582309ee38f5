"""`edgepipe power` and `bench --power` as a user runs them, with a simulated meter: no figure of it looks measured."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import pytest
from commandline import EDGEPIPE, Command

from benchmarks.synthetic import convolution
from edgepipe.devices.connect import connect_workable
from edgepipe.devices.inventory import DeviceEntry, Inventory, read_inventory
from edgepipe.devices.metering import Metering
from edgepipe.devices.power.replay import Replay
from edgepipe.devices.power.trace_file import TraceFile
from edgepipe.devices.power.windows import Rules
from edgepipe.devices.work import WorkRequest
from edgepipe.energy import Energy
from edgepipe.errors import InvalidRun, MeterMissing, UsageError

BOARDS = """
schema: 1
devices:
  sim: {board: linux, target: host, transport: {kind: local}, power: {meter: simulated, active_mw: 120, noise_ua: 50}}
  dead: {board: linux, target: host, transport: {kind: local}, power: {meter: replay, file: nowhere.trace}}
  wrong: {board: linux, target: host, transport: {kind: local}, power: {meter: simulated, active_mw: 120, most_w: 0.01}}
  full: {board: linux, target: host, transport: {kind: local}, power: {meter: simulated, active_mw: 120, full_scale_ma: 9}}
  none: {board: linux, target: host, transport: {kind: local}, power: {meter: simulated, active_mw: 0, idle_mw: 0}}
  silent:
    board: linux
    target: host
    transport: {kind: local}
    power: {meter: csv, command: [sh, -c, "for i in 1 2 3 4 5 6; do echo $i,5,0.1; done; sleep 60"], gain_error: 0.01,
            volts_error: 0.01, offset_a: 1.0e-6}
  bare: {board: linux, target: host, transport: {kind: local}}
  mcu:
    board: mcu
    target: mcu
    transport: {kind: qemu, machine: mps2-an386}
    power: {meter: ppk2, by_id: usb-x, mode: ampere, volts: 3.3}
"""
MODEL = convolution(side=4, channels=2)
SHA256 = hashlib.sha256(MODEL).hexdigest()
SHORT = WorkRequest(windows=5, window_s=0.4, least_inferences=2, idle_s=0.4)


def measured(entry: DeviceEntry, farm: Inventory, folder: Path, request: WorkRequest = SHORT) -> Energy:
    """Have a board work under its meter, in windows that are long enough for a test."""
    board = connect_workable(entry)
    with Metering(entry, farm.devices, rules=Rules(window_s=0.3, inferences=2, idle_s=0.3)) as meter:
        try:
            board.open()
            board.push(folder / "model.tflite", SHA256)
            return meter.measure(board, SHA256, request, folder / "sim.trace")
        finally:
            board.close()


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    path = tmp_path / "farm_inventory.yaml"
    path.write_text(BOARDS)
    (tmp_path / "model.tflite").write_bytes(MODEL)
    return path


def test_a_meter_is_watched_recorded_and_judged(edgepipe: Command, boards: Path) -> None:
    watched = edgepipe("power", "watch", "sim", "--seconds", "1", "--json")
    lines = [json.loads(line) for line in watched.out.splitlines()]
    assert len(lines) >= 2 and all(line["simulated"] and 110 < line["power_mw"] < 130 for line in lines)
    recorded = edgepipe("power", "record", "sim", "--to", "sim.trace", "--seconds", "1", "--json")
    assert recorded.json["counters"]["samples"] > 100 and recorded.json["simulated"]
    assert edgepipe("power", "record", "sim", "--to", "sim.trace", "--seconds", "1").code == 4
    told = edgepipe("power", "record", "sim", "--to", "again.trace", "--seconds", "1")
    assert "simulated, no sensor measured this" in told.out
    judged = edgepipe("power", "check", "sim", "--seconds", "2", "--change", "50")
    assert judged.code == 0
    for words in ("simulated: there is no sensor", "two models differ visibly by", "a change of 50 %", "would be seen"):
        assert words in judged.out
    assert edgepipe("power", "check", "sim", "--seconds", "2", "--change", "0").code == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [("full", "end of the meter's range"), ("wrong", "outside most_w: 0.01"), ("none", "which this meter cannot tell from none")],
)
def test_a_check_tells_what_would_leave_a_run_without_an_energy(edgepipe: Command, boards: Path, name: str, words: str) -> None:
    judged = edgepipe("power", "check", name, "--seconds", "2", "--change", "50")
    assert judged.code == 3
    assert "no energy comes of this" in judged.out and words in " ".join(judged.out.split())


def test_a_meter_that_shows_nothing_to_judge_makes_a_check_invalid(edgepipe: Command, boards: Path) -> None:
    silent = edgepipe("power", "check", "silent", "--seconds", "2")
    assert silent.code == InvalidRun.exit_code and "showed too little in 2 s" in silent.err


def test_a_watch_that_is_stopped_ends_at_once_and_lets_go_of_the_meter(boards: Path) -> None:
    arguments = ["power", "watch", "sim", "--inventory", str(boards), "--json"]
    program = f"import sys; from edgepipe.cli import main; sys.argv[1:] = {arguments!r}; main()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert "The meter was let go of" in said and "goes on from there" not in said


def test_a_meter_is_calibrated_with_a_load_after_a_zero(edgepipe: Command, boards: Path, tmp_path: Path) -> None:
    places = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    refused = edgepipe("power", "calibrate", "sim", "--amps", "0.0363", "--within", "0.0001", "--seconds", "1", **places)
    assert refused.code == 2 and "--zero" in refused.err
    assert edgepipe("power", "calibrate", "sim", "--seconds", "1", **places).code == 2
    still_on = edgepipe("power", "calibrate", "sim", "--zero", "--seconds", "1", **places)
    assert still_on.code == 2 and "still draws current" in still_on.err


def test_a_board_without_a_meter_or_a_meter_that_is_not_there_is_told(edgepipe: Command, boards: Path) -> None:
    bare = edgepipe("power", "check", "bare")
    assert bare.code == 2 and "bare has no power meter" in bare.err
    dead = edgepipe("power", "check", "dead")
    assert dead.code == MeterMissing.exit_code and "nowhere.trace" in dead.err
    several = edgepipe("bench", "model.tflite", "--device", "sim,bare,mcu", "--power")
    assert several.code == 2
    assert "bare" in several.err and "mcu is emulated" in several.err


def test_a_boards_loops_and_its_meter_make_an_energy_that_says_what_it_is(boards: Path, tmp_path: Path) -> None:
    farm = read_inventory(boards)
    energy = measured(farm.devices["sim"], farm, tmp_path)
    assert energy.reason == ""
    assert energy.simulated and energy.energy_uj and len(energy.windows) == 5
    assert (tmp_path / "sim.trace").stat().st_size > 1000
    for window in energy.windows:
        assert window.energy_uj / window.seconds / 1e3 == pytest.approx(120, rel=0.05)


@pytest.mark.parametrize(("name", "words"), [("dead", "nowhere.trace"), ("wrong", "usually the shunt is another one")])
def test_what_goes_wrong_with_the_meter_costs_the_energy_and_nothing_else(
    boards: Path, tmp_path: Path, name: str, words: str
) -> None:
    farm = read_inventory(boards)
    energy = measured(farm.devices[name], farm, tmp_path)
    assert energy.energy_uj is None
    assert words in energy.reason


def test_a_meter_that_fails_half_way_is_told_with_what_came_before(boards: Path, tmp_path: Path, edgepipe: Command) -> None:
    assert edgepipe("power", "record", "sim", "--to", str(tmp_path / "nowhere.trace"), "--seconds", "1").code == 0
    farm = read_inventory(boards)
    partly = edgepipe("power", "record", "dead", "--to", "part.trace", "--seconds", "30")
    assert partly.code == 4 and "What it told until then is in part.trace" in partly.err
    assert TraceFile(tmp_path / "part.trace").facts.simulated
    entry = replace(farm.devices["dead"], power=Replay(file=str(tmp_path / "nowhere.trace")))
    began, long = monotonic(), replace(SHORT, window_s=30.0)
    energy = measured(entry, farm, tmp_path, long)
    assert monotonic() - began < long.window_s  # nobody works on for a meter that sees nothing
    assert energy.energy_uj is None
    assert energy.reason.startswith("its power meter: ") and "has come to its end" in energy.reason
    assert energy.counters.samples > 100


def test_a_measurement_that_is_stopped_keeps_what_was_measured_before(boards: Path, tmp_path: Path) -> None:
    farm = read_inventory(boards)
    board = connect_workable(farm.devices["sim"])
    with Metering(farm.devices["sim"], farm.devices) as meter:
        board.open()
        board.push(tmp_path / "model.tflite", SHA256)
        board.stop()
        energy = meter.measure(board, SHA256, SHORT, tmp_path / "sim.trace")
        board.close()
    assert (energy.energy_uj, energy.reason) == (None, "it was stopped before its loops were over")


def test_an_emulated_board_has_no_power_to_measure(boards: Path) -> None:
    farm = read_inventory(boards)
    with pytest.raises(UsageError, match="emulated: what a meter would show is this machine's power"):
        Metering(farm.devices["mcu"], farm.devices)


def test_ctrl_c_in_the_long_loops_keeps_the_latency_and_says_what_there_is_not(
    boards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPIPE_RESULTS", str(tmp_path / "results"))
    command = [*EDGEPIPE, "bench", "model.tflite", "--device", "sim", "--power", "--blocks", "1", "--inventory", str(boards)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bench:
        end = monotonic() + 60
        while not list((tmp_path / "results").rglob("*.trace")) and bench.poll() is None and monotonic() < end:
            sleep(0.1)
        bench.send_signal(signal.SIGINT)
        _, said = bench.communicate(timeout=60)
    assert bench.returncode == 130, said
    assert "sim: done, but for its energy: it was stopped before its loops were over; the record is kept" in said
