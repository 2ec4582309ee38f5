"""Long loops on a board that speaks MLPerf Tiny's text protocol: one `infer` each, timed by when its lines come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from edgepipe.devices.boards.mcu_work import Seen
from edgepipe.devices.boards.mlperf_talk import Laps
from edgepipe.errors import InfrastructureError


class Infer(Protocol):
    """`infer` on a board that has its input, its answer being checked."""

    def __call__(self, runs: int, warmup: int, *, deadline_s: float) -> Laps:
        """Run so often. Raises InfrastructureError."""


@dataclass(frozen=True, kw_only=True)
class Infers:
    """The model of a board that was run once, which told `first`. The board keeps the input, and loads it anew before each run."""

    infer: Infer
    first: Laps

    def feed(self) -> None:
        """Do nothing."""

    def run(self, count: int, *, deadline_s: float) -> Seen:
        """Run so often by one command. Raises InfrastructureError, also where the answer is another than the first."""
        laps = self.infer(count, 0, deadline_s=deadline_s)
        if laps.scores != self.first.scores:
            raise InfrastructureError("the same input was scored differently", cause="the board's memory or supply is not steady")
        return Seen(start_s=laps.start_s, end_s=laps.end_s, uncertainty_s=laps.slack_s / 2 / math.sqrt(3))

    def round_trip_s(self) -> float:
        """Return what the first command took beside its run."""
        return self.first.slack_s
