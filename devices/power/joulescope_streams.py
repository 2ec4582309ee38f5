"""A Joulescope's streams put together: current, voltage and inputs come in blocks of their own, each with the number of its first.

A block, as the driver's Python binding gives it (pyjoulescope_driver/binding.pyx): `sample_id` counts samples of the converter, and
`decimate_factor` of these make one of `data`: float32, or eight inputs to a byte, the earliest in the lowest bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """Samples that every stream has, numbered; `came_s`: when the last block of them did, on this machine's monotonic clock."""

    numbers: Numbers
    values: dict[str, Values]
    dropped: int
    came_s: float

    def of(self, kind: str) -> Values:
        """Return a stream's values."""
        return self.values[kind]

    @property
    def marker(self) -> NDArray[np.bool_] | None:
        """The input's, where there is one."""
        return next((values != 0 for kind, values in self.values.items() if kind.startswith("gpi")), None)


@dataclass(kw_only=True)
class _Stream:
    """What has come of one stream and is not taken yet; `next` is the number after it."""

    numbers: list[Numbers] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)
    next: int = -1
    held: int = 0
    came_s: float = 0.0


class Streams:
    """Joins the streams of `kinds`. At most `most` samples of each wait to be taken: what comes then is lost, and counted."""

    def __init__(self, kinds: tuple[str, ...], *, most: int) -> None:
        self._streams = {kind: _Stream() for kind in kinds}
        self._most = most
        self._next: int | None = None

    @property
    def ready(self) -> bool:
        """Whether every stream has come beyond what was taken."""
        return all(stream.held for stream in self._streams.values())

    def put(self, kind: str, block: Mapping[str, object], now_s: float) -> None:
        """Take a block; one that the driver still had for streams of an earlier opening is nobody's."""
        import numpy as np

        if kind not in self._streams:
            return
        stream, data = self._streams[kind], cast("NDArray[np.uint8]", block["data"])
        first = cast(int, block["sample_id"]) // cast(int, block["decimate_factor"])
        if kind.startswith("gpi"):
            data = np.unpackbits(data, bitorder="little")
        known = max(0, stream.next - first)  # the last byte of inputs may have been filled up beyond what had come
        if stream.held + data.size > self._most or data.size <= known:
            return
        stream.numbers.append(np.arange(first + known, first + data.size, dtype=np.int64))
        stream.values.append(data[known:].astype(np.float64))
        stream.next, stream.came_s = first + data.size, now_s
        stream.held += data.size - known

    def take(self) -> Taken:
        """Return the samples that are complete, without those that the device itself says it lost (NaN)."""
        import numpy as np

        if not self.ready:
            empty = np.empty(0)
            return Taken(numbers=empty.astype(np.int64), values=dict.fromkeys(self._streams, empty), dropped=0, came_s=0.0)
        columns = {kind: (np.concatenate(one.numbers), np.concatenate(one.values)) for kind, one in self._streams.items()}
        last = min(int(numbers[-1]) for numbers, _ in columns.values())
        common = None
        for kind, (numbers, values) in columns.items():
            self._keep(self._streams[kind], numbers, values, last)
            good = numbers[(numbers <= last) & ~np.isnan(values)]
            common = good if common is None else np.intersect1d(common, good, assume_unique=True)
        assert common is not None
        begin = max(int(numbers[0]) for numbers, _ in columns.values()) if self._next is None else self._next
        common = common[common >= begin]
        self._next = last + 1
        return Taken(
            numbers=common,
            values={kind: values[np.searchsorted(numbers, common)] for kind, (numbers, values) in columns.items()},
            dropped=max(0, last + 1 - begin) - common.size,
            came_s=max(stream.came_s for stream in self._streams.values()),
        )

    @staticmethod
    def _keep(stream: _Stream, numbers: Numbers, values: Values, last: int) -> None:
        """Leave what came after `last` for the next time."""
        later = numbers > last
        stream.held = int(later.sum())
        stream.numbers, stream.values = ([numbers[later]], [values[later]]) if stream.held else ([], [])
