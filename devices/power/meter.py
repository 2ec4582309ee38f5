"""What measures a board's power: the contract that every meter keeps, and what one brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]  # ± of a reading, as datasheets have it
Amperes = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class ErrorTerms:
    """What a meter may be wrong by, as standard uncertainties (k = 1); `source` names the datasheet or the calibration.

    `gain`, `shunt` and `volt` are shares of the reading: of the current's amplification, of the shunt's resistance, of the
    voltage. `offset_a` is in amperes and the same throughout a window.
    """

    gain: float
    volt: float
    offset_a: float
    shunt: float = 0.0
    source: str

    @classmethod
    def within(cls, *, gain: float, volt: float, offset_a: float, shunt: float = 0.0, source: str) -> ErrorTerms:
        """Return the terms of a meter that keeps these limits: one of ±a is a / sqrt(3) (GUM, JCGM 100:2008, 4.3.7)."""
        root = 3**0.5
        return cls(gain=gain / root, volt=volt / root, offset_a=offset_a / root, shunt=shunt / root, source=source)


@dataclass(frozen=True, kw_only=True)
class MeterFacts:
    """Which meter this is, and what it can tell.

    A sample stands for the `period_s` before its time, which may be off by `jitter_s`. `full_scale_a` is the largest current that
    it shows, None: not known. `drops_detectable`: a counter or time stamps tell of every lost sample. `accumulates`: it adds up on
    the chip, and each sample is the mean since the one before. `simulated`: there is no sensor. `self_measured`: reading it loads
    the board under test. `clock_error` is the share by which its seconds may be wrong (k = 1). Times that do not `follow_clock`,
    this machine's, are right when the meter is opened, and run away from it by as much afterwards.
    """

    name: str
    serial: str
    period_s: float
    jitter_s: float
    errors: ErrorTerms
    full_scale_a: float | None = None
    has_marker: bool = False
    drops_detectable: bool = False
    accumulates: bool = False
    simulated: bool = False
    self_measured: bool = False
    clock_error: float = 0.0
    follow_clock: bool = True

    @property
    def full_name(self) -> str:
        """Its name, and its number where it has one."""
        return f"{self.name} {self.serial}".strip()


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Consecutive samples, all arrays of one length, which may be 0.

    `time_s` are seconds of this machine's monotonic clock and rise; `volts` and `amps` are those of the board; `marker` is the line
    that the board raises around what is measured, None where the meter has none. `dropped` samples were lost since the last call,
    `saturated` of these show no more than the meter can; `resets`: how often the sensor lost its settings.
    """

    time_s: NDArray[np.float64]
    volts: NDArray[np.float64]
    amps: NDArray[np.float64]
    marker: NDArray[np.bool_] | None = None
    dropped: int = 0
    saturated: int = 0
    resets: int = 0


@dataclass(frozen=True, kw_only=True)
class MeterSettings:
    """What every meter's entry in the inventory may say: between what the board's power must lie, in watts, to be believed."""

    least_w: Positive | None = None
    most_w: Positive | None = None


class PowerMeter(Protocol):
    """A sensor, on this machine or got at through one that is not the board under test.

    1. `open()` finds it, makes sure that it is the one that is meant, sets it up and says what it is.
    2. `read()` again and again, faster than it fills its own memory: what is not read in time is counted as dropped.
    3. `close()` leaves it as it was found; may be called at any time and twice, and by another thread in the middle of `open()`,
       which then ends with any error.

    What goes wrong is an InfrastructureError that says what to do: MeterMissing for one that is not there, is another one, or may
    not be read; DeviceUnreachable for one that was unplugged meanwhile.
    """

    def open(self) -> MeterFacts:
        """Find the sensor and begin to measure. Raises MeterMissing."""

    def read(self, *, deadline_s: float) -> Samples:
        """Return what came since the last call, waiting for the first sample until the deadline. Raises DeviceUnreachable."""

    def close(self) -> None:
        """Let go of it."""
