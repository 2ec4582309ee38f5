"""The sample stream of a Power Profiler Kit II: words of four bytes with a counter, found again after any damage.

A word, little-endian: bits 0 to 13 the converter's value, 14 to 16 the measurement range (0 to 4), 18 to 23 a counter modulo 64,
24 to 31 the eight lines of the logic port. Source: Nordic's Power Profiler app, src/device/serialDevice.ts, which reads the same
(github.com/NordicSemiconductor/pc-nrfconnect-ppk).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Word = NDArray[np.uint32]

COUNTS = 64
RANGES = 5
# So many words in a row must count up before bytes are taken for words: what is not in step looks so with 64 ** -15 by chance.
SURE = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """Words (uint32) with the number of each (int64), which jumps where some are missing; `dropped` of them are."""

    words: Word
    numbers: NDArray[np.int64]
    dropped: int = 0


class WordStream:
    """Cuts bytes into words. What is lost inside a word only costs the words around it.

    A gap's length is known modulo 64: one of exactly 64, 128, … words is not seen here, a longer one is seen as the rest of it.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._expected: int | None = None
        self._next = 0

    @property
    def next_number(self) -> int:
        """The number that the next word would have."""
        return self._next

    def feed(self, data: bytes) -> Words:
        """Return the words that `data` completes; of what is unreadable, at most SURE words are kept for later."""
        import numpy as np

        data = self._rest + data
        words = np.frombuffer(data, "<u4", len(data) // 4)
        in_step = 0 if self._expected is None else _in_step(words, self._expected)
        pieces = [words[:in_step]]
        at = 4 * in_step
        if in_step < words.size:
            found, at = _runs(data, at)
            pieces += found
        self._rest = data[at:]
        return self._numbered([piece for piece in pieces if piece.size])

    def _numbered(self, pieces: list[Word]) -> Words:
        import numpy as np

        numbers, dropped = [], 0
        for piece in pieces:
            first, last = (int(word) >> 18 & 63 for word in (piece[0], piece[-1]))
            missing = 0 if self._expected is None else (first - self._expected) % COUNTS
            dropped += missing
            self._next += missing
            numbers.append(np.arange(self._next, self._next + piece.size))
            self._next += piece.size
            self._expected = (last + 1) % COUNTS
        if not pieces:
            return Words(words=np.empty(0, np.uint32), numbers=np.empty(0, np.int64))
        return Words(words=np.concatenate(pieces), numbers=np.concatenate(numbers), dropped=dropped)


def _in_step(words: Word, expected: int) -> int:
    """Return how many words from the first on have the counter that they should."""
    import numpy as np

    counters: Word = np.arange(expected, expected + words.size, dtype=np.uint32)
    wrong = ((words >> 18) ^ counters) & 63 != 0
    return int(wrong.argmax()) if wrong.any() else words.size


def _runs(data: bytes, at: int) -> tuple[list[Word], int]:
    """Return the runs of words that count up, at any offset from `at` on, and where the bytes begin that are none yet."""
    import numpy as np

    views = [np.frombuffer(data, "<u4", (len(data) - shift) // 4, shift) for shift in range(4) if len(data) - shift >= 4]
    steps = [_steps(view) for view in views]
    starts = np.sort(np.concatenate([4 * _sure(step) + shift for shift, step in enumerate(steps)])) if views else np.empty(0, int)
    breaks = [np.flatnonzero(~step) for step in steps]
    runs = []
    while (nth := int(np.searchsorted(starts, at))) < starts.size:
        index, shift = divmod(int(starts[nth]), 4)
        broken = int(np.searchsorted(breaks[shift], index))
        end = int(breaks[shift][broken]) + 1 if broken < breaks[shift].size else views[shift].size
        runs.append(views[shift][index:end])
        at = 4 * end + shift
    return runs, max(at, len(data) - 4 * SURE - 3)


def _steps(view: Word) -> NDArray[np.bool_]:
    """Return for each word but the last whether the next one follows it, and both have a range that there is."""
    ranged = (view >> 14 & 7) < RANGES
    steps: NDArray[np.bool_] = (((view[1:] >> 18) - (view[:-1] >> 18) & 63) == 1) & ranged[1:] & ranged[:-1]
    return steps


def _sure(steps: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where SURE words in a row begin."""
    import numpy as np

    run = SURE - 1
    if steps.size < run:
        return np.empty(0, np.intp)
    sums = np.concatenate([[0], np.cumsum(steps)])
    return np.flatnonzero(sums[run:] - sums[:-run] == run)
