"""A board's power meter on its own: look at it, record it, judge it, calibrate it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev

from edgepipe.devices.connect import connect_meter
from edgepipe.devices.inventory import DeviceEntry, load_inventory
from edgepipe.devices.power.calibration import CalibratedMeter, Calibration, find, keep, with_load, with_zero
from edgepipe.devices.power.faults import Faults
from edgepipe.devices.power.meter import MeterFacts, MeterSettings, PowerMeter, Samples
from edgepipe.devices.power.plausible import beyond, lost_in_zero
from edgepipe.devices.power.recorder import Recorder
from edgepipe.devices.power.trace import Trace
from edgepipe.devices.power.windows import Stamp, sampling_s, sync_of
from edgepipe.devices.selector import select_one
from edgepipe.devices.work import WorkRequest
from edgepipe.energy import TraceCounters
from edgepipe.errors import InfrastructureError, InvalidRun, StorageError, UsageError
from edgepipe.events import Advance, unheard

READ_S = 0.25
PARTS = 10  # of a check, whose means tell how much power wanders


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The mean of what a meter showed in the `seconds` that ended at `time_s` of this machine's monotonic clock."""

    time_s: float
    seconds: float
    volts: float
    amps: float
    power_mw: float


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What went into a file; `simulated`: there was no sensor."""

    file: str
    meter: str
    simulated: bool
    seconds: float
    power_mw: float | None
    counters: TraceCounters


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a meter can tell on its board. Shares are of the mean power; two models differ visibly by `smallest_change` and more.

    `absolute` is the uncertainty of one energy (k = 2); between two of the same meter what is wrong by a share is wrong alike.
    `problems` are those that would leave a run without an energy.
    """

    device: str
    facts: MeterFacts
    calibrated_utc: str | None
    power_mw: float
    wander: float
    absolute: float
    smallest_change: float
    sync: str
    problems: tuple[str, ...] = ()


@contextmanager
def opened(device: str, inventory: Path | None) -> Iterator[tuple[DeviceEntry, CalibratedMeter, MeterFacts]]:
    """Open the meter of the one board that `device` means. Raises UsageError, InventoryError, MeterMissing."""
    entry, bare = _meter(device, inventory)
    meter = CalibratedMeter(bare)
    try:
        yield entry, meter, meter.open()
    finally:
        meter.close()


def _meter(device: str, inventory: Path | None) -> tuple[DeviceEntry, PowerMeter]:
    farm = load_inventory(inventory)
    entry = select_one(farm, device)
    return entry, connect_meter(entry, farm.devices)


def readings(
    meter: PowerMeter, *, every_s: float, seconds: float | None, seen: Callable[[Samples], None] | None = None
) -> Iterator[Reading]:
    """Yield the mean of every `every_s` seconds, for `seconds` or, with None, until nobody asks. Raises DeviceUnreachable.

    `seen` is given all that the meter told.
    """
    end_s = math.inf if seconds is None else time.monotonic() + seconds
    waiting: list[Samples] = []
    began_s = time.monotonic()
    while began_s < end_s:
        waiting.append(meter.read(deadline_s=min(READ_S, every_s)))
        if seen is not None:
            seen(waiting[-1])
        now_s = time.monotonic()
        if now_s - began_s >= every_s or now_s >= end_s:
            if (found := _reading(waiting, now_s - began_s)) is not None:
                yield found
            waiting, began_s = [], now_s


def _reading(pieces: Sequence[Samples], seconds: float) -> Reading | None:
    """Return the mean of the samples that are numbers, None without any: a chip's amperes are none where its volts are 0."""
    import numpy as np

    columns = [np.concatenate([getattr(piece, column) for piece in pieces]) for column in ("time_s", "volts", "amps")]
    numbers = np.isfinite(columns[1] * columns[2])
    if not numbers.any():
        return None
    time_s, volts, amps = (column[numbers] for column in columns)
    return Reading(
        time_s=float(time_s[-1]),
        seconds=seconds,
        volts=float(volts.mean()),
        amps=float(amps.mean()),
        power_mw=float(1e3 * (volts * amps).mean()),
    )


def record(device: str, *, inventory: Path | None = None, to: Path, seconds: float, advance: Advance = unheard) -> Recorded:
    """Write what a board's meter shows for so long to a file that the `replay` meter plays. Raises StorageError, MeterMissing."""
    if to.exists():
        raise StorageError(f"{to} is there already", todo="Name another file, or take it away.")
    with opened(device, inventory) as (_, meter, facts):
        recorder = Recorder(meter, facts, to, started_utc=_now().isoformat(timespec="seconds"))
        began_s = time.monotonic()
        with recorder:
            while (passed_s := time.monotonic() - began_s) < seconds and recorder.failure is None:
                advance(int(passed_s), f"{recorder.counters.samples:,} samples")
                time.sleep(min(READ_S, seconds - passed_s))
    if recorder.failure is not None:
        if recorder.counters.samples:
            recorder.failure.todo += f" What it told until then is in {to}."
        raise recorder.failure
    return Recorded(
        file=str(to),
        meter=facts.full_name,
        simulated=facts.simulated,
        seconds=seconds,
        power_mw=mean_power_mw(recorder.trace()),
        counters=recorder.counters,
    )


def mean_power_mw(trace: Trace) -> float | None:
    """Return the mean power of all samples that are numbers, None without any."""
    import numpy as np

    watts, count = 0.0, 0
    for piece in trace.pieces():
        powers = piece.volts * piece.amps
        numbers = np.isfinite(powers)
        watts, count = watts + float(powers[numbers].sum()), count + int(numbers.sum())
    return 1e3 * watts / count if count else None


def check(device: str, *, inventory: Path | None = None, seconds: float = 20.0, advance: Advance = unheard) -> Checked:
    """Look at a board's power for a while and say what its meter could resolve there. Raises InvalidRun where that is nothing.

    The power of PARTS stretches tells how it wanders; in five windows of WorkRequest's length that averages out as the square root
    of how much longer they are, if it is noise. A change is visible beyond twice the standard uncertainty of a difference (k = 2).
    """
    request = WorkRequest()
    with opened(device, inventory) as (entry, meter, facts):
        found, faults = list[Reading](), Faults(facts=facts, below_w=-math.inf)
        for reading in readings(meter, every_s=seconds / PARTS, seconds=seconds, seen=faults.take):
            found.append(reading)
            advance(len(found), f"{reading.power_mw:.4g} mW")
        calibrated = meter.calibrated_utc
    if len(found) < 2:
        raise InvalidRun(f"the meter of {entry.name} showed too little in {seconds:g} s", todo="Measure for longer: --seconds 60.")
    power_mw = fmean(one.power_mw for one in found)
    if power_mw <= 0:
        raise InvalidRun(
            f"the meter of {entry.name} shows {power_mw:.3g} mW",
            cause="nothing draws current, or its leads are swapped",
            todo="Switch the board on, or swap the leads; `edgepipe power watch` shows at once whether that helped.",
        )
    part_s = fmean(one.seconds for one in found)
    wander = stdev(one.power_mw for one in found) / power_mw * math.sqrt(part_s / request.window_s)
    volts = fmean(one.volts for one in found)
    edges = math.sqrt(2) * sampling_s(facts) / request.window_s
    random = math.hypot(edges, wander / math.sqrt(request.windows))
    errors = facts.errors
    offset = errors.offset_a * volts / (power_mw / 1e3)
    long_s = request.idle_s + request.windows * request.window_s
    last = Stamp(start_s=long_s - request.window_s, end_s=long_s, inferences=1, uncertainty_s=1e-4, logged=True)
    return Checked(
        device=entry.name,
        facts=facts,
        calibrated_utc=calibrated,
        power_mw=power_mw,
        wander=wander,
        absolute=2 * math.hypot(errors.gain, errors.shunt, errors.volt, offset, facts.clock_error, random),
        smallest_change=2 * math.sqrt(2) * random,
        sync=str(sync_of(facts, [last], marked=facts.has_marker, began_s=0.0)),
        problems=(
            *faults.problems(),
            *lost_in_zero(power_mw / 1e3, volts, errors),
            *beyond([one.power_mw / 1e3 for one in found], entry.power or MeterSettings()),
        ),
    )


def calibrate(
    device: str,
    *,
    inventory: Path | None = None,
    true_a: float | None = None,
    within_a: float | None = None,
    seconds: float = 10.0,
    advance: Advance = unheard,
) -> tuple[Calibration, Path]:
    """Learn what a meter shows without a load (`true_a` None) or with a known one, and keep it.

    Raises UsageError for a load that cannot be, MeterMissing, StorageError.
    """
    if true_a is not None and (within_a is None or not 0 < within_a < true_a):
        raise UsageError("a load is as well known as its limits", todo="Give --amps 0.5 --within 0.001, for 0.5 A ± 1 mA.")
    entry, meter = _meter(device, inventory)
    try:
        facts = meter.open()
        amps = list[float]()
        began_s = time.monotonic()
        while (passed_s := time.monotonic() - began_s) < seconds:
            amps += meter.read(deadline_s=READ_S).amps.tolist()
            advance(int(passed_s), f"{len(amps):,} samples")
    finally:
        meter.close()
    if not amps:
        raise InfrastructureError(f"the meter of {entry.name} showed nothing in {seconds:g} s")
    earlier = find(facts)
    if true_a is None or within_a is None:
        made = with_zero(facts, amps, earlier, now=_now())
    else:
        made = with_load(facts, amps, earlier, true_a=true_a, within_a=within_a, now=_now())
    return made, keep(made, facts)


def _now() -> datetime:
    return datetime.now(UTC)
