"""Long loops for a power meter to look at: what a board is asked to do, and when it did it on this machine's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from edgepipe.devices.protocols import Board, RunOptions


class StretchKind(StrEnum):
    """What a board does meanwhile."""

    IDLE = "idle"  # the model is loaded and nothing runs
    WINDOW = "window"  # the model runs again and again


@dataclass(frozen=True, kw_only=True)
class WorkRequest:
    """Idle for `idle_s`, then `windows` loops of at least `window_s` and `least_inferences` each, then idle again.

    The defaults are those of METHODS §2, whose floor are MLPerf Tiny's rules. `marker_gpio` is a line of a Linux board's GPIO that
    is high during each window, None: none; a microcontroller's port has its own.
    """

    options: RunOptions = field(default_factory=RunOptions)
    seed: int = 0
    windows: int = 5
    window_s: float = 10.5
    least_inferences: int = 10
    idle_s: float = 5.5
    marker_gpio: int | None = None


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """From `start_s` to `end_s` of this machine's monotonic clock, each right to `uncertainty_s` (k = 1)."""

    kind: StretchKind
    start_s: float
    end_s: float
    uncertainty_s: float
    inferences: int = 0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a board did, in order.

    `marked`: it raised a line around each window, or, where that is `falling`, had it fall for a moment as each began and ended.
    `logged`: it noted the times itself, and they were mapped from its own clock.
    """

    stretches: tuple[Stretch, ...]
    marked: bool = False
    falling: bool = False
    logged: bool = False


class Workable(Board, Protocol):
    """A board that runs a pushed model in long loops."""

    def work(self, sha256: str, request: WorkRequest) -> Work:
        """Run the loops. Raises ModelRejected, InfrastructureError, UsageError for a marker that the board does not have."""
