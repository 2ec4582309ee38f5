"""What a trace says of its windows and of the idle time around them, before anybody asks how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from edgepipe.devices.power.budget import spread_of_mean
from edgepipe.devices.power.integral import integrate
from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.trace import Trace
from edgepipe.devices.power.windows import Idle, Span, Window
from edgepipe.energy import TraceView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IDLE_PARTS = 10  # of each idle time, whose spread tells how well its mean power is known
VIEW_POINTS = 600


@dataclass(frozen=True, kw_only=True)
class IdlePower:
    """Mean power of a time in watts, its standard uncertainty by its own spread, and the middle of that time."""

    watts: float
    uncertainty_w: float
    middle_s: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`joules` and mean `powers` (watts) of each window, the mean voltage of all, the idle power, and a picture of the whole.

    What the trace does not cover is NaN; without all of it there is no picture.
    """

    joules: tuple[float, ...]
    powers: tuple[float, ...]
    volts: float
    before: IdlePower
    after: IdlePower
    view: TraceView | None

    @property
    def is_whole(self) -> bool:
        """Whether the trace covers it all."""
        return all(isfinite(watts) for watts in (*self.powers, self.before.watts, self.after.watts))


def measure(facts: MeterFacts, trace: Trace, windows: Sequence[Window], idle: Idle) -> Measured:
    """Go through the trace once and return what it says."""
    import numpy as np

    start_s, end_s = idle.before.start_s, idle.after.end_s
    points = int(max(1, min(VIEW_POINTS, (end_s - start_s) / facts.period_s)))
    edges = [np.array([span.start_s, span.end_s]) for span in windows]
    parts = [np.linspace(span.start_s, span.end_s, IDLE_PARTS + 1) for span in (idle.before, idle.after)]
    stretches = [*edges, *parts, np.linspace(start_s, end_s, points + 1)]
    whole = integrate(facts, trace, np.concatenate(stretches))
    cuts = np.cumsum([stretch.size for stretch in stretches])[:-1]
    *joules, before, after, view = (np.diff(part) for part in np.split(whole.joules, cuts))
    volt_s = [np.diff(part)[0] for part in np.split(whole.volt_s, cuts)[: len(windows)]]
    seconds = [window.seconds for window in windows]
    period_s = (end_s - start_s) / points
    return Measured(
        joules=tuple(float(part[0]) for part in joules),
        powers=tuple(float(part[0]) / length for part, length in zip(joules, seconds, strict=True)),
        volts=float(sum(volt_s) / sum(seconds)) if windows else float("nan"),
        before=_idle_power(idle.before, before),
        after=_idle_power(idle.after, after),
        view=_view(start_s, period_s, (1e3 * view / period_s).tolist()) if np.isfinite(view).all() else None,
    )


def _view(start_s: float, period_s: float, power_mw: Sequence[float]) -> TraceView:
    return TraceView(period_s=period_s, power_mw=tuple(power_mw), file_start_s=start_s)


def _idle_power(span: Span, joules: NDArray[np.float64]) -> IdlePower:
    """Return the mean power of equal parts, with the uncertainty that follows from their spread."""
    watts = joules * joules.size / span.seconds
    return IdlePower(
        watts=float(watts.mean()), uncertainty_w=spread_of_mean(watts.tolist()), middle_s=(span.start_s + span.end_s) / 2
    )
