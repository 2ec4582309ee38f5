"""A tool's lines become samples; what is missing, wild or late is counted, and a tool that ends or hangs is told of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from edgepipe.devices.power.csv_lines import Csv, CsvMeter
from edgepipe.devices.power.csv_text import Rows
from edgepipe.devices.power.joulescope import Joulescope
from edgepipe.documents import parse
from edgepipe.errors import DeviceUnreachable, InfrastructureError, InventoryError, MeterMissing

SOON = 20.0
ERRORS = {"gain_error": 0.01, "volts_error": 0.005, "offset_a": 1e-6}
FIRST = "".join(f"{number / 100},5.0,0.1\n" for number in range(5))


def tool(script: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", script)


def told(meter: CsvMeter, rows: int) -> tuple[np.ndarray, int]:
    """The first `rows` samples as (time, volts, amps), with how many were dropped meanwhile."""
    found, dropped, end = [], 0, monotonic() + SOON
    while sum(map(len, found)) < rows:
        assert monotonic() < end
        samples = meter.read(deadline_s=1.0)
        found.append(np.column_stack([samples.time_s, samples.volts, samples.amps]))
        dropped += samples.dropped
    return np.concatenate(found), dropped


@pytest.mark.parametrize("meter", [Csv, Joulescope])
@pytest.mark.parametrize("errors", [{}, dict.fromkeys(ERRORS, 0)])
def test_a_meter_whose_errors_nobody_states_is_refused_with_where_they_are_found(
    meter: type[Csv | Joulescope], errors: dict[str, float]
) -> None:
    with pytest.raises(InventoryError) as raised:
        parse(meter, errors, source="devices.pi4.power", error=InventoryError)
    (told,) = raised.value.problems
    assert told.startswith("gain_error, volts_error, offset_a must be stated")
    assert "data sheet" in told
    stated = parse(meter, ERRORS, source="devices.pi4.power", error=InventoryError)
    assert stated.errors().gain == pytest.approx(ERRORS["gain_error"] / 3**0.5)


def test_one_error_that_is_nothing_is_named_alone() -> None:
    with pytest.raises(ValueError, match=r"^offset_a must be stated"):
        Csv(command=("x",), **{**ERRORS, "offset_a": 0.0})


def test_a_commands_lines_are_samples_on_this_machines_clock() -> None:
    script = f"import time\nprint({FIRST!r}, end='')\nprint('0.05,4.5,0.25')\ntime.sleep(60)"
    meter = CsvMeter("board", Csv(command=tool(script), **ERRORS))
    facts = meter.open()
    assert facts.period_s == pytest.approx(0.01)
    assert not facts.drops_detectable
    assert not facts.follow_clock
    assert (facts.name, facts.serial) == (f"csv {Path(sys.executable).name}", "of board")  # two tools are two methods
    assert facts.errors.gain == pytest.approx(0.01 / 3**0.5)
    rows, dropped = told(meter, 6)
    meter.close()
    assert rows[-1, 1:] == pytest.approx([4.5, 0.25])
    assert np.diff(rows[:, 0]) == pytest.approx(0.01)
    assert abs(monotonic() - rows[-1, 0]) < SOON
    assert dropped == 0


def test_what_is_no_sample_is_counted_and_left_out() -> None:
    banner, wild = "my tool\n1.0\n", "0.05,5\n0.05,5,nan\n0.03,5,0.1\nwhat,is,this\n" + "9" * 5000 + "\n0.05,5,0.1,7\n\n"
    meter = CsvMeter(
        "board", Csv(command=tool(f"print({banner + FIRST + wild!r}+'0.05,5,1e-1')\nimport time; time.sleep(60)"), **ERRORS)
    )
    meter.open()
    rows, dropped = told(meter, 6)
    meter.close()
    assert rows.shape == (6, 3)
    assert dropped == 6


def test_with_a_period_missing_lines_are_counted() -> None:
    script = f"print({FIRST!r}+'0.08,5,0.1\\n0.0903,5,0.1')\nimport time; time.sleep(60)"
    meter = CsvMeter("board", Csv(command=tool(script), period_s=0.01, **ERRORS))
    assert meter.open().drops_detectable
    assert told(meter, 7)[1] == 3
    meter.close()


@pytest.mark.parametrize("header", ["time,volts,amps\n", "Time(s),Voltage (V),Current (A)\n", '"t","v","i"\n'])
def test_a_header_may_come_first(header: str) -> None:
    assert len(Rows().feed((header + FIRST).encode())) == 5


@pytest.mark.parametrize(
    "header", ["time,amps,volts\n", "Timestamp(ms),V,A\n", "time,volts,current_ua\n", "time,watts\n", "t,v,i (mA)\n"]
)
def test_a_header_with_other_columns_is_refused(header: str) -> None:
    with pytest.raises(MeterMissing, match="should be time,volts,amps"):
        Rows().feed(header.encode())


def test_a_command_that_ends_says_why() -> None:
    meter = CsvMeter("board", Csv(command=tool(f"import sys; print({FIRST!r}); sys.exit('sensor on fire')"), **ERRORS))
    with pytest.raises((MeterMissing, DeviceUnreachable), match="status 1") as raised:
        meter.open()
        while True:
            meter.read(deadline_s=1.0)
    assert "sensor on fire" in str(raised.value)
    meter.close()


def test_a_command_that_hangs_is_told_of_and_ended() -> None:
    script = f"import signal, os, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint({FIRST!r})\ntime.sleep(600)"
    meter = CsvMeter("board", Csv(command=tool(script), silence_s=2.0, **ERRORS))
    meter.open()
    process = meter._source._process  # type: ignore[union-attr]
    with pytest.raises(DeviceUnreachable, match="printed nothing for 2 s"):
        while True:
            meter.read(deadline_s=0.5)
    meter.close()
    assert process.returncode == -9


def test_a_command_whose_time_runs_backwards_is_not_called_silent() -> None:
    script = f"import time\nprint({FIRST!r}, end='')\nwhile True:\n    print('0.01,5,0.1')\n    time.sleep(0.01)"
    meter = CsvMeter("board", Csv(command=tool(script), silence_s=1.0, **ERRORS))
    meter.open()
    with pytest.raises(DeviceUnreachable, match="can be read, or their times do not rise"):
        while True:
            meter.read(deadline_s=0.5)
    meter.close()


def test_a_command_ends_with_edgepipe_though_a_thread_still_waits_for_its_first_line() -> None:
    program = f"""
import threading, time
from contextlib import suppress
from edgepipe.devices.power.csv_source import CommandSource
from edgepipe.errors import DeviceUnreachable
def wait():  # and say nothing: a daemon thread that prints while Python ends aborts it
    with suppress(DeviceUnreachable, ValueError, OSError):
        source.read(deadline_s=600)
source = CommandSource(({sys.executable!r}, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"))
source.open()
print(source.read(deadline_s=20).decode(), flush=True)
threading.Thread(target=wait, daemon=True).start()
time.sleep(0.2)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)


def test_a_command_that_never_says_a_thing_is_missing() -> None:
    with pytest.raises(MeterMissing, match="printed 0 lines"):
        CsvMeter("board", Csv(command=tool("import time; time.sleep(600)"), silence_s=0.3, **ERRORS)).open()


def test_a_command_that_is_not_there_is_missing() -> None:
    with pytest.raises(MeterMissing, match="cannot be started"):
        CsvMeter("board", Csv(command=("edgepipe-no-such-tool",), **ERRORS)).open()


def test_a_named_pipe_is_read_until_its_writer_ends(tmp_path: Path) -> None:
    pipe = tmp_path / "samples"
    os.mkfifo(pipe)
    go_on = threading.Event()

    def write() -> None:
        with pipe.open("w", buffering=1) as file:
            file.write(FIRST)
            file.flush()
            go_on.wait(SOON)

    writer = threading.Thread(target=write)
    writer.start()
    meter = CsvMeter("board", Csv(path=str(pipe), **ERRORS))
    meter.open()
    assert told(meter, 5)[0].shape == (5, 3)
    go_on.set()
    writer.join()
    with pytest.raises(DeviceUnreachable, match="has ended"):
        meter.read(deadline_s=SOON)
    meter.close()


def test_a_file_that_grows_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    path.write_text("0.0,9.0,9.0\n")
    meter = CsvMeter("board", Csv(path=str(path), **ERRORS))
    later = threading.Timer(0.2, lambda: path.open("a").write(FIRST))
    later.start()
    meter.open()
    later.join()
    rows, _ = told(meter, 5)
    assert rows[0, 1] == 5.0
    path.unlink()
    with pytest.raises(DeviceUnreachable, match="deleted"):
        meter.read(deadline_s=SOON)
    meter.close()


@pytest.mark.parametrize("path", ["/dev/null", "no/such/file"])
def test_what_is_no_file_is_missing(path: str) -> None:
    with pytest.raises(MeterMissing):
        CsvMeter("board", Csv(path=path, **ERRORS)).open()


def test_a_tool_whose_seconds_are_none_is_told_of_and_one_with_a_clock_is_not() -> None:
    script = (
        "import time\nt = time.monotonic()\nwhile True:\n    print(f'{(time.monotonic() - t) * %r},5,0.1')\n    time.sleep(0.01)"
    )
    meters = {rate: CsvMeter("board", Csv(command=tool(script % rate), **ERRORS)) for rate in (1.0, 0.95, 1.05)}
    for meter in meters.values():
        meter.open()
    refused, end = dict[float, str](), monotonic() + 12.0
    while monotonic() < end:
        for rate, meter in meters.items():
            if rate not in refused:
                try:
                    meter.read(deadline_s=0.1)
                except InfrastructureError as exc:
                    refused[rate] = str(exc)
    for meter in meters.values():
        meter.close()
    assert set(refused) == {0.95, 1.05}
    assert all("run away from this machine's" in words and "seconds of a clock" in words for words in refused.values())
