"""Samples are placed on this machine's clock, and losses that no counter shows are told from drift and from a busy machine."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edgepipe.devices.power.pace import LARGEST_RATE, PATIENCE, Pace

PERIOD_S = 1e-5
POLL_S = 0.02


class Arrivals:
    """Samples of a clock that is `drift` too fast arrive up to 2 ms late, and now and then much later."""

    def __init__(self, seed: int = 1, *, drift: float = 0.0, alias: int = 64) -> None:
        self.source, self.drift = random.Random(seed), drift
        self.pace = Pace(PERIOD_S, alias=alias)
        self.now_s, self.lost, self.told = 1000.0, 0, 0
        self.last_s = 0.0
        self.worst_s = 0.0
        for _ in range(20):
            self._wait(0.0)
            self.pace.anchor(self._newest(), self.now_s)
        self.placed = self._newest()

    def _wait(self, busy_s: float) -> None:
        self.now_s += POLL_S + self.source.uniform(0, 1e-3) + busy_s

    def _newest(self) -> int:
        self.taken_s = self.now_s - self.source.uniform(0, 2e-3)
        return int((self.taken_s - 1000) / PERIOD_S * (1 + self.drift)) - self.lost

    def run(self, seconds: float, busy_s: float = 0.0) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self._wait(busy_s)
            newest = self._newest()
            if newest <= self.placed:  # so much was lost that nothing came meanwhile
                continue
            times = self.pace.times(np.arange(self.placed + 1, newest + 1))
            assert times[0] > self.last_s
            assert np.ptp(np.diff(times)) < 1e-12 + 1e-6 * PERIOD_S
            assert abs((times[-1] - times[0]) / (times.size - 1) / PERIOD_S - 1) < 2.1 * LARGEST_RATE
            self.placed, self.last_s = newest, times[-1]
            self.worst_s = max(self.worst_s, abs(times[-1] - self.taken_s))
            self.told += self.pace.arrived(newest, self.now_s)


@pytest.mark.parametrize("drift", [-4e-5, 0.0, 4e-5])
def test_samples_are_within_a_millisecond_of_when_they_were_taken_whatever_the_clocks_drift(drift: float) -> None:
    arrivals = Arrivals(drift=drift)
    arrivals.run(100)
    assert arrivals.told == 0
    assert arrivals.worst_s < 1e-3


@pytest.mark.parametrize("multiple", [1, 2, 3, 10, 500])
@pytest.mark.parametrize("drift", [-4e-5, 4e-5])
def test_a_loss_that_the_counter_cannot_show_is_found_to_the_sample(multiple: int, drift: float) -> None:
    arrivals = Arrivals(drift=drift)
    arrivals.run(20)
    arrivals.lost += 64 * multiple
    arrivals.run(PATIENCE + 2)
    assert arrivals.told == 64 * multiple
    arrivals.worst_s = 0.0
    arrivals.run(20)
    assert arrivals.told == 64 * multiple
    assert arrivals.worst_s < 1e-3


def test_a_machine_that_is_busy_for_a_while_has_lost_nothing() -> None:
    arrivals = Arrivals()
    arrivals.run(10)
    for _ in range(20):
        arrivals.run(0.9, busy_s=0.3)
        arrivals.run(2)
    assert arrivals.told == 0


def test_what_has_no_counter_is_not_asked_for_losses() -> None:
    arrivals = Arrivals(alias=0)
    arrivals.run(5)
    arrivals.lost += 640
    arrivals.run(10)
    assert arrivals.told == 0
