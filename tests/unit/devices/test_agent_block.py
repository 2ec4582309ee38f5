"""Warm-up, timing and packing of a block, on a clock that only the model moves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from statistics import median as library_median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepipe.devices.agent.block import median, pack, seeded_inputs, timed, warm_up
from edgepipe.records import pack_samples_ns, unpack_samples_ns

MS = 1_000_000


class Machine:
    """A clock, and a model that takes the given times one after another."""

    def __init__(self, times: Iterable[int]) -> None:
        self._times = iter(times)
        self.now = 0
        self.signs: list[int] = []

    def clock(self) -> int:
        return self.now

    def invoke(self) -> None:
        self.now += next(self._times)

    def alive(self) -> None:
        self.signs.append(self.now)


def test_a_steady_model_is_warm_after_ten_invocations() -> None:
    machine = Machine(repeat(MS))
    assert warm_up(machine.invoke, 10, 10.0, machine.alive, machine.clock) == (10, True)


def test_a_model_that_gets_faster_is_warm_once_five_and_five_agree() -> None:
    machine = Machine(chain(range(30 * MS, 10 * MS, -MS), repeat(10 * MS)))
    invocations, settled = warm_up(machine.invoke, 10, 10.0, machine.alive, machine.clock)
    assert settled
    assert 20 < invocations < 32


def test_a_model_that_never_settles_is_left_after_ten_seconds_and_says_so() -> None:
    machine = Machine(value for k in range(1000) for value in [MS << (k % 7)] * 5)
    invocations, settled = warm_up(machine.invoke, 10, 1.0, machine.alive, machine.clock)
    assert not settled
    assert invocations >= 10
    assert machine.now >= 1000 * MS


def test_a_slow_model_is_warmed_up_at_least_ten_times() -> None:
    machine = Machine(value for k in range(1000) for value in (3000 * MS, 4000 * MS + k * 500 * MS))
    invocations, _ = warm_up(machine.invoke, 10, 10.0, machine.alive, machine.clock)
    assert invocations == 10


@pytest.mark.parametrize(("each", "count"), [(MS, 1000), (100 * MS, 50), (20 * MS, 50), (10 * MS, 100)])
def test_at_least_fifty_invocations_and_at_least_one_second_are_timed(each: int, count: int) -> None:
    machine = Machine(repeat(each))
    samples = timed(machine.invoke, 50, 1.0, machine.alive, machine.clock)
    assert list(samples) == [each] * count


def test_a_slow_model_gives_signs_of_life_every_second() -> None:
    machine = Machine(repeat(300 * MS))
    timed(machine.invoke, 50, 1.0, machine.alive, machine.clock)
    gaps = [later - earlier for earlier, later in zip(machine.signs, machine.signs[1:], strict=False)]
    assert max(gaps) <= 1300 * MS


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=50))
def test_the_median_is_the_librarys(values: list[int]) -> None:
    assert median(values) == library_median(values)


@pytest.mark.parametrize("count", [0, 1, 50, 20_000, 20_001, 70_000])
def test_samples_are_packed_as_the_records_do_it(count: int) -> None:
    samples = [1000 + k for k in range(count)]
    assert pack(samples) == pack_samples_ns(samples)
    assert unpack_samples_ns(pack(samples)[0]) == tuple(samples[:: pack(samples)[1]])


def test_a_sample_that_is_too_long_for_32_bits_is_the_longest_that_fits() -> None:
    assert unpack_samples_ns(pack([1 << 33])[0]) == (0xFFFFFFFF,)


def test_inputs_are_the_same_for_the_same_seed_and_fit_their_dtypes() -> None:
    ports = [((1, 49, 10, 1), "int8"), ((1, 3), "float32"), ((1, 4), "int32"), ((2,), "uint8"), ((1,), "bool")]
    inputs = seeded_inputs(ports, 0)
    assert [(array.shape, array.dtype.name) for array in inputs] == ports
    assert all((a == b).all() for a, b in zip(inputs, seeded_inputs(ports, 0), strict=True))
    assert (inputs[0] != seeded_inputs(ports, 1)[0]).any()
    assert inputs[0].min() < -100
    assert inputs[0].max() > 100
    assert 0 <= inputs[1].min() <= inputs[1].max() < 1
    assert not inputs[2].any()  # indices stay in range, whatever the table
