"""What arithmetic on Keras tensors becomes: the second part of the table of layers, by the operation's name in small letters."""

from __future__ import annotations

import math

from edgepipe.pipeline.inspect.doctor import rules
from edgepipe.pipeline.inspect.doctor.activations import ACTIVATIONS, Ops, in_float
from edgepipe.pipeline.inspect.doctor.kinds import Kind, joined
from edgepipe.pipeline.inspect.doctor.rules import Given, Rule, Shape


def _plain(*ops: str, shape: Rule = rules.same) -> Kind:
    return Kind(shape=shape, ops=lambda given: ops)


def _in_float(op: str) -> Kind:
    return _plain(*in_float(op))


def _exponent(given: Given) -> object:
    return given.constants[0] if given.constants else given.keywords.get("y")


def _power(given: Given) -> Ops:
    return ("MUL",) if _exponent(given) == 2 else in_float("POW")


def _clipped(given: Given) -> Ops:
    limits = (*given.constants, *given.settings.values(), *given.keywords.values())
    return ("RELU_N1_TO_1",) if -1 in limits and 1 in limits else ("MINIMUM", "MAXIMUM")


def _divided(given: Given) -> Ops:
    return ("DIV",) if len(given.shapes) > 1 else ("MUL",)  # a constant divisor is a factor


def _reshaped(given: Given) -> Shape:
    wanted = given.settings.get("newshape") or given.settings.get("shape") or (given.constants[0] if given.constants else None)
    sizes = [-1 if size is None else int(size) for size in (wanted or given.keywords["shape"])][1:]
    if -1 in sizes and -1 not in given.shape:
        sizes[sizes.index(-1)] = rules.elements(given.shape) // max(math.prod(size for size in sizes if size > 0), 1)
    return tuple(sizes)


def _transposed(given: Given) -> Shape:
    axes = given.settings.get("axes") or given.keywords.get("perm") or given.constants[0]
    return tuple(given.shape[axis - 1] for axis in axes[1:])


def _expanded(given: Given) -> Shape:
    axis = given.settings.get("axis", given.keywords.get("axis", given.constants[0] if given.constants else None))
    place = axis + len(given.shape) + 1 if axis < 0 else axis - 1
    return (*given.shape[:place], 1, *given.shape[place:])


def _squeezed(given: Given) -> Shape:
    axis = given.settings.get("axis", given.keywords.get("axis"))
    axes = {axis} if isinstance(axis, int) else set(axis)
    places = {place % len(given.shape) if place < 0 else place - 1 for place in axes}
    return tuple(size for place, size in enumerate(given.shape) if place not in places)


def _product_macs(given: Given) -> int:
    return rules.elements(rules.matrix_product(given)) * rules.whole(given.shape[-1]) if len(given.shapes) > 1 else 0


PRODUCT = Kind(shape=rules.matrix_product, ops=lambda given: ("BATCH_MATMUL",), macs=_product_macs)
GIVEN_TWO = {"add": "ADD", "subtract": "SUB", "multiply": "MUL", "maximum": "MAXIMUM", "minimum": "MINIMUM"}
REDUCED = {"mean": "MEAN", "sum": "SUM", "max": "REDUCE_MAX", "min": "REDUCE_MIN"}

OPERATIONS: dict[str, Kind] = {
    **{name: _plain(op, shape=rules.broadcast) for name, op in GIVEN_TWO.items()},
    "sub": _plain("SUB", shape=rules.broadcast),
    "mul": _plain("MUL", shape=rules.broadcast),
    **{name: Kind(shape=rules.broadcast, ops=_divided) for name in ("divide", "truedivide", "truediv", "div")},
    **{name: _plain(op, shape=rules.reduced) for name, op in REDUCED.items()},
    **{f"reduce_{name}": _plain(op, shape=rules.reduced) for name, op in REDUCED.items()},
    **{name: Kind(shape=rules.same, ops=_power) for name in ("power", "pow")},
    **dict.fromkeys(("matmul", "einsum"), PRODUCT),
    **{name: _plain(*ops) for name, ops in ACTIVATIONS.items()},
    "hardsigmoid": _plain("ADD", "MUL"),
    "hardsilu": _plain("HARD_SWISH"),
    "square": _in_float("SQUARE"),
    "negative": _in_float("NEG"),
    "neg": _in_float("NEG"),
    "sin": _in_float("SIN"),
    "cos": _in_float("COS"),
    "absolute": _plain("ABS"),
    "abs": _plain("ABS"),
    "sqrt": _plain("SQRT"),
    "rsqrt": _plain("RSQRT"),
    "exp": _plain("EXP"),
    "log": _plain("LOG"),
    "clip": Kind(shape=rules.same, ops=_clipped),
    "clip_by_value": Kind(shape=rules.same, ops=_clipped),
    "getitem": _plain("STRIDED_SLICE", shape=rules.sliced),
    "reshape": _plain("RESHAPE", shape=_reshaped),
    "transpose": _plain("TRANSPOSE", shape=_transposed),
    "expanddims": _plain("RESHAPE", shape=_expanded),
    "expand_dims": _plain("RESHAPE", shape=_expanded),
    "squeeze": _plain("RESHAPE", shape=_squeezed),
    **{name: Kind(shape=rules.concatenated, ops=lambda given: (joined(len(given.shapes)),)) for name in ("concatenate", "concat")},
    "cast": _in_float("CAST"),
}
