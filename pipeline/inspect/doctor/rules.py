"""What comes out of a Keras layer and what it costs, from its settings and the shapes that it is given.

Shapes are without the batch; -1 is an open dimension, and counts as 1 where elements are counted. Sources: each layer's
`compute_output_shape()` and `build()` in Keras. Every rule raises KeyError, TypeError, ValueError or IndexError for settings that
Keras does not write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Shape: TypeAlias = tuple[int, ...]
LARGEST_SIZE = 1 << 31  # of any number that is multiplied here
BIAS_BYTES = 4  # int32


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a rule is asked about: a layer's settings, the shapes of its inputs, the constants among its arguments."""

    settings: Mapping[str, Any]
    shapes: tuple[Shape, ...]
    constants: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """The shape of the first input."""
        return self.shapes[0]

    def size(self, key: str, default: int | None = None) -> int:
        """Return a setting that is multiplied with. Raises ValueError for what no layer has."""
        return whole(self.settings[key] if default is None else self.settings.get(key, default))

    def sizes(self, key: str, rank: int) -> Shape:
        """Return a setting that has a number for each of `rank` dimensions, or one for all."""
        value = self.settings[key]
        values = [value] * rank if isinstance(value, int) else list(value)
        if len(values) != rank:
            raise ValueError(f"{key} has {len(values)} numbers for {rank} dimensions")
        return tuple(whole(each) for each in values)


Rule: TypeAlias = Callable[[Given], Shape]
Cost: TypeAlias = Callable[[Given], int]


def whole(value: object) -> int:
    """Return a size that is safe to multiply with. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST_SIZE:
        raise ValueError("not a size")
    return value


def elements(shape: Shape) -> int:
    """Return how many numbers a tensor of batch 1 holds."""
    return math.prod(1 if size < 0 else size for size in shape)


def same(given: Given) -> Shape:
    """Return the shape of the first input."""
    return given.shape


def nothing(_: Given) -> int:
    """Return 0."""
    return 0


# Windows -------------------------------------------------------------------------------------------------------------------------


def _slid(size: int, window: int, stride: int, dilation: int, padding: str) -> int:
    if size < 0:
        return -1
    if padding.lower() in ("same", "causal"):
        return -(-size // stride)
    fits = (size - (window - 1) * dilation - 1) // stride + 1
    if fits < 1:
        raise ValueError("the window is larger than its input")
    return fits


def _channels_last(given: Given) -> None:
    if given.settings.get("data_format") == "channels_first":
        raise ValueError("channels first")


def _windowed(given: Given, rank: int, key: str) -> Shape:
    _channels_last(given)
    if len(given.shape) != rank + 1:
        raise ValueError("another number of dimensions")
    window, strides = (
        given.sizes(key, rank),
        given.sizes("strides", rank) if given.settings.get("strides") else given.sizes(key, rank),
    )
    dilation = given.sizes("dilation_rate", rank) if "dilation_rate" in given.settings else (1,) * rank
    padding = str(given.settings["padding"])
    return tuple(
        _slid(size, *each, padding) for size, each in zip(given.shape, zip(window, strides, dilation, strict=True), strict=False)
    )


def convolved(rank: int, channels: Callable[[Given], int]) -> Rule:
    """A convolution of this rank that gives `channels`."""
    return lambda given: (*_windowed(given, rank, "kernel_size"), channels(given))


def pooled(rank: int) -> Rule:
    """A pooling of this rank; strides default to the window."""
    return lambda given: (*_windowed(given, rank, "pool_size"), given.shape[-1])


def transposed(rank: int) -> Rule:
    """A transposed convolution."""

    def rule(given: Given) -> Shape:
        _channels_last(given)
        window, strides = given.sizes("kernel_size", rank), given.sizes("strides", rank)
        valid = given.settings["padding"] == "valid"
        extra = [max(size - stride, 0) if valid else 0 for size, stride in zip(window, strides, strict=True)]
        if given.settings.get("output_padding") is not None:
            raise ValueError("output padding")
        grown = (
            size if size < 0 else size * stride + more for size, stride, more in zip(given.shape, strides, extra, strict=False)
        )
        return (*grown, given.size("filters"))

    return rule


def global_pool(given: Given) -> Shape:
    """All positions become one."""
    _channels_last(given)
    ones = (1,) * (len(given.shape) - 1) if given.settings.get("keepdims") else ()
    return (*ones, given.shape[-1])


def filters(given: Given) -> int:
    """Output channels of a convolution."""
    return given.size("filters")


def multiplied(given: Given) -> int:
    """Output channels of a depthwise convolution."""
    return given.shape[-1] * given.size("depth_multiplier", 1)


def kernel(given: Given) -> int:
    """Elements of the window."""
    value = given.settings["kernel_size"]
    return math.prod(whole(each) for each in ([value] if isinstance(value, int) else value))


def resized(rank: int, grow: Callable[[int, Any], int], key: str) -> Rule:
    """Each of `rank` dimensions changed by its entry of a setting."""

    def rule(given: Given) -> Shape:
        _channels_last(given)
        value = given.settings[key]
        one = isinstance(value, int) or rank == 1  # of one dimension, a pair says both of its ends
        each = [value] * rank if one else list(value)
        changed = tuple(size if size < 0 else grow(size, by) for size, by in zip(given.shape[:rank], each, strict=True))
        if any(size == 0 or size < -1 for size in changed):
            raise ValueError("nothing is left")
        return (*changed, *given.shape[rank:])

    return rule


def both_sides(by: Any) -> int:
    """Return the sum of what is added or cut at both ends: a number for each, or a pair."""
    return 2 * whole(by) if isinstance(by, int) else sum(whole(each) for each in by)


# Dense, recurrent, attention -----------------------------------------------------------------------------------------------------


def dense(given: Given) -> Shape:
    """The last dimension becomes `units`."""
    return (*given.shape[:-1], given.size("units"))


def recurrent(given: Given) -> Shape:
    """The last state, or all of them."""
    units = given.size("units")
    return (given.shape[0], units) if given.settings.get("return_sequences") else (units,)


def both_ways(given: Given) -> Shape:
    """A recurrent layer run forwards and backwards."""
    inner = recurrent(inside(given))
    return (*inner[:-1], 2 * inner[-1]) if given.settings.get("merge_mode", "concat") == "concat" else inner


def inside(given: Given) -> Given:
    """Return what the layer within a wrapper is given."""
    return Given(settings=given.settings["layer"]["config"], shapes=given.shapes)


def gates(number: int) -> Cost:
    """Weights of a recurrent layer with this many gates."""
    return lambda given: number * given.size("units") * (whole(given.shape[-1]) + given.size("units"))


def einsum_dense(given: Given) -> Shape:
    """The letters right of the arrow, with sizes from input and settings."""
    letters = _letters(given)
    return tuple(letters[letter] for letter in given.settings["equation"].split("->")[1][1:])


def einsum_weights(given: Given) -> int:
    """The product of the letters of the second operand."""
    letters = _letters(given)
    return math.prod(letters[letter] for letter in given.settings["equation"].split("->")[0].split(",")[1])


def _letters(given: Given) -> dict[str, int]:
    left, right = given.settings["equation"].replace(" ", "").split("->")
    wanted = given.settings["output_shape"]
    outputs = [wanted] if isinstance(wanted, int) else list(wanted)
    letters = dict(zip(right[1:], (size if size else -1 for size in outputs), strict=True))
    letters.update(zip(left.split(",")[0][1:], given.shape, strict=True))
    return letters


def heads(given: Given) -> tuple[int, int, int]:
    """Return (width of all heads' keys, of all heads' values, of the output) of a MultiHeadAttention."""
    number, key = given.size("num_heads"), given.size("key_dim")
    value = whole(given.settings.get("value_dim") or key)
    wanted = given.settings.get("output_shape")
    return (
        number * key,
        number * value,
        given.shape[-1] if wanted is None else whole(wanted if isinstance(wanted, int) else wanted[-1]),
    )


def attention_weights(given: Given) -> int:
    """Query, key, value and output projections."""
    keys, values, out = heads(given)
    width = whole(given.shape[-1])
    other = whole(given.shapes[1][-1]) if len(given.shapes) > 1 else width
    return width * keys + other * keys + other * values + values * out


def attention_macs(given: Given) -> int:
    """Projections of every position, then queries times keys times values."""
    keys, values, _ = heads(given)
    rows = elements(given.shape[:-1])
    others = elements(given.shapes[1][:-1]) if len(given.shapes) > 1 else rows
    return rows * attention_weights(given) + rows * others * (keys + values)


# Joining and reshaping -----------------------------------------------------------------------------------------------------------


def broadcast(given: Given) -> Shape:
    """All inputs, spread over each other."""
    rank = max(len(shape) for shape in given.shapes)
    padded = [(1,) * (rank - len(shape)) + shape for shape in given.shapes]
    return tuple(_one_of(sizes) for sizes in zip(*padded, strict=True))


def _one_of(sizes: tuple[int, ...]) -> int:
    wide = {size for size in sizes if size != 1}
    if len(wide) > 1:
        raise ValueError("shapes that do not go together")
    return wide.pop() if wide else 1


def concatenated(given: Given) -> Shape:
    """Inputs joined along an axis; `axis` counts the batch."""
    axis = given.settings.get("axis", given.keywords.get("axis", -1))
    place = axis if axis < 0 else axis - 1
    joined = sum(shape[place] for shape in given.shapes)
    shape = list(given.shape)
    shape[place] = joined
    return tuple(shape)


def flat(given: Given) -> Shape:
    """One dimension."""
    return (-1,) if -1 in given.shape else (elements(given.shape),)


def reshaped(given: Given) -> Shape:
    """`target_shape`, with one open place computed."""
    wanted = [int(size) for size in given.settings["target_shape"]]
    if -1 in wanted and -1 not in given.shape:
        wanted[wanted.index(-1)] = elements(given.shape) // max(math.prod(size for size in wanted if size > 0), 1)
    return tuple(wanted)


def permuted(given: Given) -> Shape:
    """`dims`, counted from 1."""
    return tuple(given.shape[place - 1] for place in given.settings["dims"])


def sliced(given: Given) -> Shape:
    """What `x[key]` leaves; `key` counts the batch. Raises ValueError for what is more than plain slices and numbers."""
    key = given.constants[0] if given.constants else given.keywords["key"]
    keys = list(key) if isinstance(key, list | tuple) else [key]
    shape: list[int] = []
    for size, each in zip(given.shape, keys[1:], strict=False):
        if isinstance(each, slice):
            shape.append(size if size < 0 else len(range(*each.indices(size))))
        elif not isinstance(each, int):
            raise ValueError("an index that is no number")
    return (*shape, *given.shape[len(keys) - 1 :])


def reduced(given: Given) -> Shape:
    """What a mean, sum or maximum over `axis` leaves."""
    settings: dict[str, Any] = {**given.settings, **given.keywords}
    axis: Any = settings.get("axis", given.constants[0] if given.constants else None)
    places: list[int] = [axis] if isinstance(axis, int) else list(axis)
    axes = {(place if place < 0 else place - 1) % len(given.shape) for place in places}
    keep = bool(settings.get("keepdims"))
    return tuple(1 if place in axes else size for place, size in enumerate(given.shape) if keep or place not in axes)


def matrix_product(given: Given) -> Shape:
    """Rows of the first by columns of the second."""
    left, right = given.shapes[:2]
    return (*left[:-1], right[-2] if given.keywords.get("transpose_b") else right[-1])
