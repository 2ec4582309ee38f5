"""What a known load taught about one meter: kept with its date and its expiry, and applied to every reading until then.

It is kept with the user's settings, one file for each meter.

The current that is shown becomes (shown - offset) * gain; the meter's own error terms for the current give way to those of the
load. The voltage stays as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, PowerMeter, Samples
from edgepipe.documents import parse_json
from edgepipe.errors import DataError, UsageError
from edgepipe.places import config_dir, write_whole

VALID_DAYS = 365
MOST_OFFSETS = 20  # standard uncertainties of its own that a meter may show without a load
FARTHEST = 0.2  # from the load: a meter that shows so much less or more is another fault than a gain
Now = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Of the meter `name` with the number `serial`. `gain` is true over shown current, `offset_a` what is shown at none (k = 1).

    `full_scale_a` is the meter's then: with another shunt it is another one, and nothing of this holds.
    """

    name: str
    serial: str
    made_utc: str
    expires_utc: str
    full_scale_a: float | None = None
    gain: float = 1.0
    gain_uncertainty: float | None = None
    offset_a: float = 0.0
    offset_uncertainty_a: float | None = None
    load: str = ""

    def applies(self, now: datetime) -> bool:
        """Whether it has not expired, and holds for both gain and offset."""
        known = self.gain_uncertainty is not None and self.offset_uncertainty_a is not None
        return known and now < datetime.fromisoformat(self.expires_utc)

    def terms(self, own: ErrorTerms) -> ErrorTerms:
        """Return the error terms of the meter with it."""
        assert self.gain_uncertainty is not None and self.offset_uncertainty_a is not None
        return ErrorTerms(
            gain=self.gain_uncertainty,
            volt=own.volt,
            offset_a=self.offset_uncertainty_a,
            source=f"calibrated {self.made_utc[:10]} with {self.load}; voltage: {own.source}",
        )


def find(facts: MeterFacts) -> Calibration | None:
    """Return what is kept of this very meter with its range, None for nothing. Raises DataError for a damaged file."""
    path = _place(facts)
    if not path.is_file():
        return None
    found = parse_json(Calibration, path.read_bytes(), source=str(path), error=DataError)
    same = (found.name, found.serial, found.full_scale_a) == (facts.name, facts.serial, facts.full_scale_a)
    return found if same else None


def keep(found: Calibration, facts: MeterFacts) -> Path:
    """Write it in the place of an earlier one, and return where. Raises StorageError."""
    path = _place(facts)
    write_whole(path, json.dumps(asdict(found), indent=2) + "\n")
    return path


def _place(facts: MeterFacts) -> Path:
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{facts.name}-{facts.serial}")[:100]
    return config_dir() / "calibrations" / f"{name}.json"


def with_zero(facts: MeterFacts, amps: Iterable[float], earlier: Calibration | None, *, now: datetime) -> Calibration:
    """Return a calibration that knows what the meter shows without a load; the gain of an earlier one stays.

    `amps` are readings; their mean is the offset. Raises DataError for too few,
    UsageError where a load is still on it.
    """
    own_a = facts.errors.offset_a
    mean_a, error_a = _mean(amps, own_a)
    if own_a and abs(mean_a) > MOST_OFFSETS * own_a:
        raise UsageError(
            f"the meter shows {1e3 * mean_a:.4g} mA, and without a load should be off by {1e3 * own_a:.2g} mA or so",
            cause="something still draws current through it",
            todo="Take the load off.",
        )
    return replace(_begun(facts, earlier, now), offset_a=mean_a, offset_uncertainty_a=error_a)


def with_load(
    facts: MeterFacts, amps: Iterable[float], earlier: Calibration | None, *, true_a: float, within_a: float, now: datetime
) -> Calibration:
    """Return a calibration that knows the gain too: a load of `true_a` amperes, known to within ± `within_a` (a rectangle).

    Raises UsageError for a load that cannot be the one that was meant, or without `with_zero` before it.
    """
    if earlier is None or earlier.offset_uncertainty_a is None:
        todo = "Take the load off, and run it with --zero first."
        raise UsageError("what the meter shows without a load is not known yet", todo=todo)
    mean_a, error_a = _mean(amps, facts.errors.offset_a)
    shown_a = mean_a - earlier.offset_a
    if shown_a <= 0 or abs(true_a / shown_a - 1) > FARTHEST:
        raise UsageError(
            f"the meter shows {shown_a:.6g} A for a load of {true_a:.6g} A",
            cause="another load, another shunt than the inventory says, or leads that are swapped",
        )
    shares = (within_a / math.sqrt(3) / true_a, error_a / shown_a, earlier.offset_uncertainty_a / shown_a)
    load = f"{true_a:.6g} A ± {within_a:.2g} A"
    return replace(_begun(facts, earlier, now), gain=true_a / shown_a, gain_uncertainty=math.hypot(*shares), load=load)


def _begun(facts: MeterFacts, earlier: Calibration | None, now: datetime) -> Calibration:
    made, expires = _words(now), _words(now + timedelta(days=VALID_DAYS))
    if earlier is None:
        return Calibration(
            name=facts.name, serial=facts.serial, full_scale_a=facts.full_scale_a, made_utc=made, expires_utc=expires
        )
    return replace(earlier, made_utc=made, expires_utc=expires)


def _words(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")


def _mean(amps: Iterable[float], own_a: float) -> tuple[float, float]:
    """Return the mean of readings, and its uncertainty: what it scatters by, and the meter's step d, as d / sqrt(12) (GUM F.2.2.1).

    No number of readings sees through a step. Where all are the same nothing tells how wide it is: the meter's `own_a` stays.
    """
    from itertools import pairwise
    from statistics import fmean, stdev

    values = [float(value) for value in amps]
    if len(values) < 2 or not all(map(math.isfinite, values)):
        raise DataError("the meter gave fewer than two readings, or some that are no numbers", todo="Measure for longer.")
    step_a = min((high - low for low, high in pairwise(sorted(set(values)))), default=own_a * math.sqrt(12))
    return fmean(values), math.hypot(stdev(values) / math.sqrt(len(values)), step_a / math.sqrt(12))


class CalibratedMeter:
    """A meter with what is known of it applied; without a calibration that holds, the meter itself."""

    def __init__(self, meter: PowerMeter, *, now: Now = lambda: datetime.now(UTC)) -> None:
        self._meter, self._now = meter, now
        self._holds: Calibration | None = None

    @property
    def calibrated_utc(self) -> str | None:
        """When what is applied was found; None: nothing is."""
        return self._holds.made_utc if self._holds else None

    def open(self) -> MeterFacts:
        """Open the meter, and look for what is known of it."""
        facts = self._meter.open()
        found = find(facts)
        self._holds = found if found and found.applies(self._now()) else None
        return replace(facts, errors=self._holds.terms(facts.errors)) if self._holds else facts

    def read(self, *, deadline_s: float) -> Samples:
        """Return what came, corrected."""
        samples = self._meter.read(deadline_s=deadline_s)
        if self._holds is None:
            return samples
        return replace(samples, amps=(samples.amps - self._holds.offset_a) * self._holds.gain)

    def close(self) -> None:
        """Let go of the meter."""
        self._meter.close()
