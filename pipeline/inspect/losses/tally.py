"""What real data shows of one tensor, summed up sample by sample: how large the error is, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepipe.pipeline.inspect.losses.pairs import Codes

Real = NDArray[np.float32]
TINY = 1e-30


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What real data showed of one tensor. Powers are means of squares in the tensor's own unit.

    `own_power`: what the layer adds when it is fed what its float twin is fed; `total_power`: what it and all before it add up to.
    `saturation`, `rounding` and `arithmetic` split the former, a mean over channels, each in units of its variance and at most 1:
    what lies out of range, what the output's step rounds off, and the rest: weights, biases, tables.
    `peak_ratio`: the widest channel's largest value over the middle one's. `low` and `high` are of the float values.
    `effect`: the power at the answer, in units of the answer's, of this layer's own error alone; `flips`: the decisions it changes.
    """

    signal_power: float
    own_power: float
    own_max: float
    total_power: float
    cosine: float
    low: float
    high: float
    saturated: float
    peak_ratio: float
    saturation: float
    rounding: float
    arithmetic: float
    effect: float
    flips: int


class Tally:
    """Sums over samples of one tensor; the last axis counts as its channels."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._count = 0
        self._saturated = 0
        self._own_max = 0.0
        self._low, self._high = np.inf, -np.inf
        self._sums = np.zeros(5)  # x x, e e, (t - x) (t - x), x t, t t
        self._channels: NDArray[np.float64] | None = None  # rows: count, x, x x, out of range, rounding, rest; squares
        self._peaks: Real | None = None

    def add(self, x: Real, z: Real, y: Real, total: Real) -> None:
        """Add a sample: the float network's values, the float layer's on rounded inputs, the quantised one's, the whole's."""
        own = (y - z).astype(np.float64)
        limits = self._codes.limits
        inside = z if limits is None else np.clip(z, *limits)
        outside = (inside - z).astype(np.float64)
        rounding = (self._codes.decode(self._codes.encode(inside)) - inside).astype(np.float64)
        wide = [
            values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1).astype(np.float64) for values in (x, outside, rounding)
        ]
        rest = own.reshape(wide[0].shape) - wide[1] - wide[2]
        rows = np.stack(
            [np.full(wide[0].shape[1], len(wide[0])), wide[0].sum(0), *((values**2).sum(0) for values in (*wide, rest))]
        )
        peaks = np.abs(wide[0]).max(0)
        self._channels = rows if self._channels is None else self._channels + rows
        self._peaks = peaks if self._peaks is None else np.maximum(self._peaks, peaks)
        flat, reached = x.ravel().astype(np.float64), total.ravel().astype(np.float64)
        self._sums += (flat @ flat, np.vdot(own, own), np.vdot(reached - flat, reached - flat), flat @ reached, reached @ reached)
        self._count += flat.size
        if limits is not None:
            half = (self._codes.scale or 0.0) / 2
            self._saturated += int(np.count_nonzero((flat < limits[0] - half) | (flat > limits[1] + half)))
        self._own_max = max(self._own_max, float(np.abs(own).max(initial=0)))
        self._low, self._high = min(self._low, float(flat.min())), max(self._high, float(flat.max()))

    @property
    def own_ratio(self) -> float:
        """Noise to signal, as powers, of the layer's own error."""
        return float(self._sums[1] / max(self._sums[0], TINY))

    def seen(self, effect: float, flips: int) -> Seen:
        """Return the sums as means, with what the error does at the answer."""
        assert self._channels is not None and self._peaks is not None
        signal, own, total, cross, reached = (float(value) for value in self._sums / max(self._count, 1))
        saturation, rounding, arithmetic = self._parts(self._channels)
        middle = float(np.median(self._peaks[self._peaks > 0])) if (self._peaks > 0).any() else 0.0
        return Seen(
            signal_power=signal,
            own_power=own,
            own_max=self._own_max,
            total_power=total,
            cosine=cross / max((signal * reached) ** 0.5, TINY) if signal or reached else 1.0,
            low=float(self._low),
            high=float(self._high),
            saturated=self._saturated / max(self._count, 1),
            peak_ratio=float(self._peaks.max()) / middle if middle else 1.0,
            saturation=saturation,
            rounding=rounding,
            arithmetic=arithmetic,
            effect=effect,
            flips=flips,
        )

    @staticmethod
    def _parts(channels: NDArray[np.float64]) -> tuple[float, float, float]:
        count, plain, squares, *noises = channels
        variance = squares / count - (plain / count) ** 2
        alive = variance > 1e-9 * max(float(variance.max()), TINY) if len(variance) else variance > 0
        if not alive.any():
            return 0.0, 0.0, 0.0
        parts = [float(np.minimum(noise[alive] / count[alive] / variance[alive], 1).mean()) for noise in noises]
        return parts[0], parts[1], parts[2]
