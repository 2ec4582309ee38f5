"""What an LPM01A prints becomes currents; what it lost, and why it stops, is read from the same lines."""

from __future__ import annotations

import pytest

from edgepipe.devices.power.lpm01a_text import Lines, Said

HZ = 500


def printed(numbers: range, *, lost: frozenset[int] = frozenset(), every: int = 100, hz: int = HZ) -> bytes:
    lines = []
    for number in numbers:
        if number % every == 0:
            at_ms = 1000 * number // hz
            lines.append(f"TimeStamp: {at_ms // 1000:03}s {at_ms % 1000:03}ms, buff 12%\r\n\0")
        if number not in lost:
            lines.append("6409-07\r\n")
    return "".join(lines).encode()


def read(data: bytes, piece: int, hz: int = HZ) -> Said:
    lines, whole = Lines(hz), Said()
    for at in range(0, len(data), piece):
        said = lines.feed(data[at : at + piece])
        whole.amps += said.amps
        whole.numbers += said.numbers
        whole.dropped += said.dropped
        whole.over_current += said.over_current
        whole.ended = whole.ended or said.ended
    return whole


@pytest.mark.parametrize(("text", "amps"), [(b"6409-07", 640.9e-6), (b"0000-10", 0.0), (b"2972-05", 29.72e-3), (b"0001+00", 1.0)])
def test_a_sample_is_four_digits_and_a_power_of_ten(text: bytes, amps: float) -> None:
    assert Lines(HZ).feed(text + b"\r\n").amps == [pytest.approx(amps)]


@pytest.mark.parametrize("piece", [1, 7, 64, 100_000])
def test_samples_are_numbered_whatever_the_pieces(piece: int) -> None:
    said = read(printed(range(1000)), piece)
    assert said.numbers == list(range(1000))
    assert (said.dropped, said.ended) == (0, "")


@pytest.mark.parametrize("count", [1, 2, 50, 700])
def test_at_500_hz_every_lost_sample_shows_by_the_next_time_stamp(count: int) -> None:
    said = read(printed(range(2000), lost=frozenset(range(130, 130 + count))), 1000)
    assert said.dropped == count
    assert said.numbers[-1] == 1999


@pytest.mark.parametrize("hz", [1000, 5000])
def test_above_500_hz_a_loss_of_more_than_a_millisecond_shows(hz: int) -> None:
    count = hz // 1000 + 1
    said = read(printed(range(3000), lost=frozenset(range(130, 130 + count)), hz=hz), 1000, hz)
    assert said.dropped == count


def test_a_torn_line_is_a_lost_sample() -> None:
    said = read(b"6409-07\r\n649-07\r\n6409-076409-07\r\n6409-07\r\n", 5)
    assert said.dropped == 2
    assert said.numbers == [0, 3]


@pytest.mark.parametrize("words", ["error: buffer overflow", "end", "PowerShield > Acquisition completed", "err acquisition"])
def test_the_end_of_an_acquisition_is_told_with_its_words(words: str) -> None:
    said = read(f"6409-07\r\n\r\n{words}\r\n".encode(), 4)
    assert said.ended == words.removeprefix("PowerShield > ")
    assert len(said.amps) == 1


def test_too_much_current_is_counted() -> None:
    assert read(b"6409-07\r\nOvercurrent detected\r\n", 9).over_current == 1


def test_an_endless_line_takes_no_memory() -> None:
    lines = Lines(HZ)
    for _ in range(1000):
        lines.feed(b"6" * 1000)
    assert len(lines._rest) <= 1000
