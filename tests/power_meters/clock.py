"""A clock for meters that play or make up what they show."""

from __future__ import annotations


class Clock:
    """Time that passes when somebody rests."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def rest(self, seconds: float) -> None:
        self.now_s += seconds
