"""Words of a PPK2 out of bytes in any pieces and with any damage: nothing is invented, and what is missing is counted."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edgepipe.devices.power.ppk2_stream import SURE, Words, WordStream
from tests.power_meters.ppk2_emulator import words

N = 4000


def rising(count: int = N) -> bytes:
    """Words that each show their own number as the converter's value, so that it can be seen which of them came through."""
    return (words(count, code=0) | np.arange(count, dtype="<u4") % 16384).astype("<u4").tobytes()


def fed(pieces: list[bytes]) -> tuple[WordStream, Words]:
    stream = WordStream()
    found = [stream.feed(piece) for piece in pieces]
    return stream, Words(
        words=np.concatenate([one.words for one in found]),
        numbers=np.concatenate([one.numbers for one in found]),
        dropped=sum(one.dropped for one in found),
    )


def codes(found: Words) -> np.ndarray:
    return found.words & 0x3FFF


@pytest.mark.parametrize("seed", range(5))
def test_pieces_of_any_length_make_the_same_words(seed: int) -> None:
    source, data, pieces = random.Random(seed), rising(), []
    while data:
        length = source.choice([1, 2, 3, 5, 64, 200, 1000])
        pieces.append(data[:length])
        data = data[length:]
    _, found = fed(pieces)
    assert found.dropped == 0
    assert np.array_equal(found.numbers, np.arange(N))
    assert np.array_equal(codes(found), np.arange(N))


@pytest.mark.parametrize("missing", [1, 2, 31, 63, 65, 100, 1000])
def test_missing_words_are_counted_and_leave_a_gap_in_the_numbers(missing: int) -> None:
    data = rising()
    _, found = fed([data[:4000], data[4000 + 4 * missing :]])
    assert found.dropped == missing % 64  # the counter has no more to say: the clock finds the rest
    assert found.words.size == N - missing
    assert found.numbers[1000] - found.numbers[999] == 1 + missing % 64


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 6, 7, 41, 333])
@pytest.mark.parametrize("piece", [7, 500, 16_000])
def test_bytes_lost_inside_a_word_cost_only_the_words_around_them(cut: int, piece: int) -> None:
    data = rising()
    data = data[:2002] + data[2002 + cut :]
    _, found = fed([data[at : at + piece] for at in range(0, len(data), piece)])
    broken = 500 + (cut + 2 + 3) // 4  # the first whole word after the cut
    kept = [*range(500), *range(broken, N)]
    seen = codes(found)
    assert set(kept[:499] + kept[500:]) <= set(seen.tolist())
    assert found.words.size <= len(kept) + 1
    assert found.dropped == N - found.words.size - 64 * ((N - found.words.size) // 64)
    assert np.array_equal(found.numbers[-100:] % 64, np.arange(N)[-100:] % 64)


@pytest.mark.parametrize("seed", range(10))
def test_single_bits_flipped_in_the_counter_cost_one_word_each(seed: int) -> None:
    source, data = random.Random(seed), bytearray(rising())
    places = source.sample(range(2 * SURE, N - 2 * SURE, 3 * SURE), 20)
    for place in places:
        data[4 * place + 2] ^= 4 << source.randrange(6)
    _, found = fed([bytes(data)])
    assert found.dropped == 20
    assert sorted(set(range(N)) - set(codes(found).tolist())) == sorted(places)
    assert np.array_equal(found.numbers, codes(found))


def test_noise_makes_no_words_and_the_stream_after_it_is_found_again() -> None:
    stream, noise = WordStream(), random.Random(1).randbytes(400_000)
    assert all(stream.feed(noise[at : at + 4096]).words.size == 0 for at in range(0, len(noise), 4096))
    assert len(stream._rest) < 5 * SURE
    _, found = fed([noise, rising()])
    assert found.words.size >= N - 1


def test_zeros_are_no_samples() -> None:
    assert WordStream().feed(bytes(40_000)).words.size == 0


def test_a_begin_in_the_middle_of_a_word_loses_that_word_only() -> None:
    stream, found = fed([rising()[3:]])
    assert np.array_equal(codes(found), np.arange(1, N))
    assert found.dropped == 0
    assert stream.next_number == N - 1


def test_a_range_that_there_is_not_is_no_word_where_the_stream_is_searched() -> None:
    wrong = words(200, number=6).tobytes()
    assert WordStream().feed(wrong).words.size == 0
