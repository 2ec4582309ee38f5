"""Traces of a board whose power is known exactly: so many watts when it works in its windows, so many when it does not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from edgepipe.devices.power.energy import energy_of
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, MeterSettings, Samples
from edgepipe.devices.power.trace import HeldTrace
from edgepipe.devices.power.windows import MLPERF_TINY, Idle, Rules, Span, Stamp
from edgepipe.energy import Energy

EXACT = ErrorTerms(gain=0.0, volt=0.0, offset_a=0.0, source="an exact meter")
COUNTING = MeterFacts(name="exact", serial="1", period_s=0.01, jitter_s=0.0, errors=EXACT, has_marker=True, drops_detectable=True)


@dataclass
class KnownBoard:
    """Idle for 6 s, then windows of 12 s with 1 s between them, then idle again; a sample each 10 ms, in pieces of 1 s.

    A window begins and ends in the middle of a sample, which is where a marker's edge is taken to be; the board works during the
    whole of these two samples.
    What is wrong is changed in `amps`, `marker` and so on before `energy` is asked.
    """

    facts: MeterFacts = COUNTING
    began_s: float = 1000.0
    volts: float = 4.0
    idle_a: float = 0.25
    active_a: float = 1.0
    inferences: int = 100
    windows: int = 5
    stamp_s: float = 0.0
    pieces_changed: dict[int, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        starts = [self.began_s + 7.0 + self.facts.period_s / 2 + 13.0 * index for index in range(self.windows)]
        self.stamps = [
            Stamp(start_s=start, end_s=start + 12.0, inferences=self.inferences, uncertainty_s=self.stamp_s) for start in starts
        ]
        rest_s = starts[-1] + 13.0 if starts else self.began_s + 7.0
        self.idle = Idle(
            before=Span(start_s=self.began_s + 0.5, end_s=self.began_s + 6.5), after=Span(start_s=rest_s, end_s=rest_s + 6)
        )
        self.time_s = np.arange(self.began_s, rest_s + 7, self.facts.period_s)
        self.marker = np.zeros(self.time_s.size, bool)
        active = np.zeros(self.time_s.size, bool)
        for stamp in self.stamps:
            self.marker |= (self.time_s > stamp.start_s) & (self.time_s <= stamp.end_s)
            active |= (self.time_s > stamp.start_s) & (self.time_s <= stamp.end_s + self.facts.period_s)
        self.amps = np.where(active, self.active_a, self.idle_a)

    def within(self, start_s: float, end_s: float) -> slice:
        """The samples between two times from the beginning."""
        first, last = np.searchsorted(self.time_s, [self.began_s + start_s, self.began_s + end_s])
        return slice(int(first), int(last))

    def trace(self) -> HeldTrace:
        """The trace as it stands."""
        pieces = list[Samples]()
        for index, first in enumerate(range(0, self.time_s.size, 100)):
            part = slice(first, first + 100)
            amps = self.amps[part]
            piece = Samples(
                time_s=self.time_s[part],
                volts=np.full(amps.size, self.volts),
                amps=amps,
                marker=self.marker[part] if self.facts.has_marker else None,
            )
            pieces.append(replace(piece, **self.pieces_changed.get(index, {})))  # type: ignore[arg-type]
        return HeldTrace(pieces)

    def energy(self, *, marked: bool = True, settings: MeterSettings = MeterSettings(), rules: Rules = MLPERF_TINY) -> Energy:
        """What is made of it."""
        return energy_of(self.facts, self.trace(), self.stamps, self.idle, marked=marked, settings=settings, rules=rules)
