"""Amperes of a PPK2 are those of Nordic's formula, with the kit's own constants."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from edgepipe.devices.power.ppk2_calibration import amperes, read_metadata, saturated
from tests.power_meters import ppk2_emulator as kit

ANSWER = (kit.ANSWER % (3300, 2)).encode()


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("code", [0, 1, 200, 1234, 16383])
@pytest.mark.parametrize("volts", [0.8, 3.3])
def test_a_current_is_what_the_formula_says(number: int, code: int, volts: float) -> None:
    table = amperes(read_metadata(ANSWER), volts)
    assert table[number << 14 | code] == pytest.approx(kit.amperes(code, number, volts), rel=1e-12, abs=1e-15)


def test_a_range_that_there_is_not_has_no_current() -> None:
    assert all(isnan(amperes(read_metadata(ANSWER), 3.3)[number << 14]) for number in (5, 6, 7))


def test_constants_are_found_in_any_order_and_after_leftovers_of_a_stream() -> None:
    lines = ANSWER.splitlines(keepends=True)
    mixed = b"\x00\xffR0\x80\n" + b"".join(reversed(lines)).replace(b"\n", b"\r\n")
    assert read_metadata(mixed) == read_metadata(ANSWER)
    assert read_metadata(ANSWER).missing() == []


@pytest.mark.parametrize("wrong", [b"R3: -nan", b"R3: nan", b"R3: inf", b"R3: zero", b"R3: 0.0", b""])
def test_a_constant_that_is_no_number_is_missing_and_never_guessed(wrong: bytes) -> None:
    line = next(line for line in ANSWER.splitlines() if line.startswith(b"R3"))
    assert read_metadata(ANSWER.replace(line, wrong)).missing() == ["R3"]


def test_a_users_gain_counts_and_is_one_where_none_was_set() -> None:
    raised, unset = ANSWER.replace(b"UG2: 1.00", b"UG2: 1.10"), ANSWER.replace(b"UG2: 1.00\n", b"")
    at = 2 << 14 | 1000
    plain = amperes(read_metadata(ANSWER), 3.3)[at]
    assert amperes(read_metadata(raised), 3.3)[at] == pytest.approx(1.1 * plain)
    assert amperes(read_metadata(unset), 3.3)[at] == plain


def test_only_the_top_of_the_highest_range_is_saturated() -> None:
    table = amperes(read_metadata(ANSWER), 3.3)
    shown = np.concatenate(
        [kit.words(10, code=16383, number=4), kit.words(7, code=16383, number=3), kit.words(5, code=100, number=4)]
    )
    assert saturated(shown, table[shown & 0x1FFFF]) == 10
    assert saturated(shown[:0], table[shown[:0] & 0x1FFFF]) == 0
