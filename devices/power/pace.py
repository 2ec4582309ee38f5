"""A meter's samples on this machine's clock: where each belongs, and losses that no counter shows."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STRETCH_S = 1.0  # the least late arrival in so long says where the meter's clock is
PATIENCE = 3  # so many stretches in a row must be late by the same before samples count as lost: a busy machine is so by chance
PHASE_SHARE, DRIFT_SHARE = 0.5, 0.05  # of what a stretch was late by: taken back during the next one, and learned as drift
LARGEST_RATE = 1e-4  # either of them changes the length of a second by no more
# Both at their largest, and evenly distributed between: JCGM 100:2008, 4.3.7.
CLOCK_ERROR = 2 * LARGEST_RATE / 3**0.5


class Pace:
    """Sample number n was taken at about n periods of the meter's clock, and arrives a little later, never earlier.

    The arrivals that were least late are as good as the meter's clock itself, so it is steered by them, slowly enough to change no
    energy. A loss that a counter of `alias` steps does not show (a multiple of it) makes every later sample late by as much and
    for good, which drift and a busy machine do not: it is found within PATIENCE + 1 calm stretches. `alias` 0: not looked for.
    """

    def __init__(self, period_s: float, *, alias: int = 0) -> None:
        self._period_s, self._alias = period_s, alias
        self._base, self._base_s = 0, inf
        self._rate = self._drift = 0.0
        self._least_s, self._began_s = inf, 0.0
        self._late: list[int] = []

    def anchor(self, newest: int, now_s: float) -> None:
        """Say that sample number `newest` had come at `now_s`; to be called some times before any sample is placed."""
        self._base_s = min(self._base_s, now_s - newest * self._period_s)
        self._began_s = now_s

    def times(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when samples were taken, in seconds of this machine's monotonic clock: rising with their numbers."""
        import numpy as np

        return np.asarray(self._base_s + (numbers - self._base) * (self._period_s * (1 + self._rate)), np.float64)

    def arrived(self, newest: int, now_s: float) -> int:
        """Say that sample number `newest` had come at `now_s`, after it was placed; return how many turn out to be lost."""
        newest_s = self._base_s + (newest - self._base) * self._period_s * (1 + self._rate)
        self._least_s = min(self._least_s, now_s - newest_s)
        if now_s - self._began_s < STRETCH_S:
            return 0
        late_s = self._least_s
        self._base, self._base_s = newest, newest_s
        self._least_s, self._began_s = inf, now_s
        if self._alias and late_s > self._alias * self._period_s / 2:
            return self._lost(late_s)
        self._late.clear()
        self._drift = _within(self._drift + DRIFT_SHARE * late_s / STRETCH_S)
        self._rate = self._drift + _within(PHASE_SHARE * late_s / STRETCH_S)
        return 0

    def _lost(self, late_s: float) -> int:
        self._rate = self._drift
        steps = round(late_s / (self._alias * self._period_s))
        self._late = [*self._late[1 - PATIENCE :], steps]
        if self._late != PATIENCE * [steps]:
            return 0
        self._late.clear()
        self._base_s += self._alias * steps * self._period_s
        return self._alias * steps


def _within(rate: float) -> float:
    return max(-LARGEST_RATE, min(LARGEST_RATE, rate))
