"""`edgepipe power`: a board's power meter on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.measuring import Inventory
from edgepipe.cli.output import Json, Quiet, console, progress, show_json

if TYPE_CHECKING:
    from edgepipe.devices.power.meter import MeterFacts
    from edgepipe.workflows.power import Reading

Device = Annotated[str, typer.Argument(help="A board of the inventory that has a power entry.", show_default=False)]
SHOWN = 240  # readings on the screen
PLOT_ROWS = 18


def watch(
    device: Device,
    inventory: Inventory = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="How long to watch.", show_default="until Ctrl-C")] = None,
    every_ms: Annotated[int, typer.Option(min=20, help="How much of the power one point is the mean of.")] = 250,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a reading, each on a line.")] = False,
) -> int:
    """Show a board's power as it goes, as a plot; without a terminal, or with --json, one line a reading.

    [bold]Examples[/]

      edgepipe power watch pi4

      edgepipe power watch pi4 --seconds 10 --json
    """
    import json
    import sys

    from edgepipe.records import as_json as plain
    from edgepipe.workflows.power import opened, readings

    with _ended_by_hand("`edgepipe power record` keeps what it shows."), opened(device, inventory) as (entry, meter, facts):
        found = readings(meter, every_s=every_ms / 1000, seconds=seconds)
        if as_json:
            for reading in found:
                sys.stdout.write(json.dumps({**plain(reading), "simulated": facts.simulated}) + "\n")
                sys.stdout.flush()
        elif sys.stdout.isatty():
            _plotted(entry.name, facts, found)
        else:
            for reading in found:
                sys.stdout.write(_line(reading, facts) + "\n")
                sys.stdout.flush()
    return 0


@contextmanager
def _ended_by_hand(more: str) -> Iterator[None]:
    """Promise nothing more after Ctrl-C than what is so."""
    from edgepipe.errors import Interrupted

    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped by Ctrl-C", todo=f"The meter was let go of; {more}") from None


def _line(reading: Reading, facts: MeterFacts) -> str:
    mark = "  simulated" if facts.simulated else ""
    return f"{reading.power_mw:10.3f} mW  {reading.volts:7.4f} V  {1e3 * reading.amps:10.4f} mA{mark}"


def _plotted(name: str, facts: MeterFacts, found: Iterable[Reading]) -> None:
    from collections import deque

    from rich.live import Live
    from rich.text import Text

    out = console()
    kept: deque[Reading] = deque(maxlen=SHOWN)
    with Live(console=out, auto_refresh=False) as live:
        for reading in found:
            kept.append(reading)
            live.update(Text.from_ansi(plot(name, facts, list(kept), out.width)), refresh=True)


def plot(name: str, facts: MeterFacts, readings: list[Reading], width: int) -> str:
    """Return the readings as a plot for a terminal, from zero watts up."""
    import plotext

    made = "simulated: no sensor" if facts.simulated else facts.name
    last = readings[-1]
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(max(40, width), PLOT_ROWS)
    plotext.title(f"{name}: {last.power_mw:.4g} mW ({made})")
    plotext.xlabel("seconds ago")
    plotext.ylim(0, 1.1 * max(reading.power_mw for reading in readings) or 1)
    plotext.plot([reading.time_s - last.time_s for reading in readings], [r.power_mw for r in readings], marker="braille")
    return str(plotext.build())


def record(
    device: Device,
    to: Annotated[Path, typer.Option("--to", help="The file to write; the meter `replay` plays it.", show_default=False)],
    inventory: Inventory = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long to record.")] = 60.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write what a board's meter shows to a file.

    [bold]Examples[/]

      edgepipe power record pi4 --to idle.trace --seconds 30
    """
    from edgepipe.events import step
    from edgepipe.records import as_json as plain
    from edgepipe.reports.energy import SIMULATED, counters, milliwatts
    from edgepipe.workflows.power import record as run

    kept = _ended_by_hand(f"what it told until then is in {to}.")
    with kept, progress(quiet) as emit, step(emit, f"power of {device}", seconds, "s") as advance:
        done = run(device, inventory=inventory, to=to, seconds=seconds, advance=advance)
    if as_json:
        show_json(plain(done))
    else:
        mark = f"{SIMULATED}, no sensor measured this: " if done.simulated else ""
        console().print(f"{done.file}: {mark}{milliwatts(done.power_mw)} on average; {counters(done.counters)}", markup=False)
    return 0


def check(
    device: Device,
    inventory: Inventory = None,
    seconds: Annotated[float, typer.Option(min=2, max=3600, help="How long to look.")] = 20.0,
    change: Annotated[
        float | None,
        typer.Option(min=0, help="The difference between two models that you care about, in percent.", show_default=False),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say what a board's meter is, what it may be wrong by, and the smallest change that it could see.

    With --change the exit code is 3 where that could not be seen.

    [bold]Examples[/]

      edgepipe power check pi4

      edgepipe power check pi4 --change 3
    """
    from edgepipe.errors import Inconclusive
    from edgepipe.events import step
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render.power import checked
    from edgepipe.reports.render.sheets import console as sheets
    from edgepipe.workflows.power import PARTS
    from edgepipe.workflows.power import check as run

    nothing = _ended_by_hand("nothing is known of it yet.")
    with nothing, progress(quiet) as emit, step(emit, f"power of {device}", PARTS, "parts") as advance:
        found = run(device, inventory=inventory, seconds=seconds, advance=advance)
    seen = change is None or (100 * found.smallest_change <= change and not found.problems)
    if as_json:
        show_json({**plain(found), "sees_the_change": None if change is None else seen})
    else:
        console().print(sheets([checked(plain(found), change)]))
    return 0 if seen else Inconclusive.exit_code


def calibrate(
    device: Device,
    inventory: Inventory = None,
    zero: Annotated[
        bool, typer.Option("--zero", help="The load is taken off: learn what the meter shows then. Do this first.")
    ] = False,
    amps: Annotated[float | None, typer.Option(help="The current of the known load, in amperes.", show_default=False)] = None,
    within: Annotated[float | None, typer.Option(help="How far it may be from that, in amperes.", show_default=False)] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to look.")] = 10.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Calibrate a meter with a known load; it is kept with its date, and counts for a year.

    [bold]Examples[/]

      edgepipe power calibrate pi4 --zero

      edgepipe power calibrate pi4 --amps 0.5 --within 0.001
    """
    from edgepipe.errors import UsageError
    from edgepipe.events import step
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render.power import calibrated
    from edgepipe.reports.render.sheets import console as sheets
    from edgepipe.workflows.power import calibrate as run

    if zero == (amps is not None):
        raise UsageError("a calibration is with a load or without one", todo="Give --zero, or --amps 0.5 --within 0.001.")
    nothing = _ended_by_hand("what was known of it before still holds.")
    with nothing, progress(quiet) as emit, step(emit, f"power of {device}", seconds, "s") as advance:
        found, path = run(device, inventory=inventory, true_a=amps, within_a=within, seconds=seconds, advance=advance)
    if as_json:
        show_json({"file": str(path), "calibration": plain(found)})
    else:
        console().print(sheets([calibrated(plain(found), str(path))]))
    return 0


def import_traces(
    files: Annotated[
        list[Path], typer.Argument(help="Traces of MLPerf Tiny's rounds: .bin with its .json, or .json.", show_default=False)
    ],
    inferences: Annotated[
        int | None, typer.Option(min=1, help="Inferences in each window, which a v0.5 trace does not tell.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> int:
    """Read the traces that were published with MLPerf Tiny's results, and say the energy of an inference.

    [bold]Examples[/]

      edgepipe power import v13_L4R5_kws.json

      edgepipe power import v05_kws.bin --inferences 100
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render.power import imported
    from edgepipe.reports.render.sheets import console as sheets
    from edgepipe.workflows.power_import import power_import

    found = [plain(each) for each in power_import(files, inferences=inferences)]
    if as_json:
        show_json({"traces": found})
    else:
        console().print(sheets([imported(each) for each in found]))
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "watch": watch,
    "record": record,
    "check": check,
    "calibrate": calibrate,
    "import": import_traces,
}
