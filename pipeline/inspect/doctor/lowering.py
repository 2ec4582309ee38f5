"""Every call of a network with its shape, its TFLite operators and its cost, after what the converter folds and fuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgepipe.pipeline.inspect.doctor.activations import Ops, activation_of
from edgepipe.pipeline.inspect.doctor.kinds import KINDS, Kind
from edgepipe.pipeline.inspect.doctor.network import Call, Network
from edgepipe.pipeline.inspect.doctor.operations import OPERATIONS
from edgepipe.pipeline.inspect.doctor.rules import BIAS_BYTES, Given, Shape

LINEAR = ("Conv2D", "DepthwiseConv2D", "Dense")  # into which TF-MOT folds a BatchNormalization
FOLDS = (*LINEAR, "Conv1D", "SeparableConv2D", "SeparableConv1D", "Conv2DTranspose")  # into which the converter folds one
FUSES = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL"})
FUSED = (("RELU",), ("RELU6",))
DAMAGED = (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """One call: `shape` None where it is not known; `known` False where the table has no row for the layer or its settings.

    `folded`: a BatchNormalization that goes into the layer before it; `into`, for any layer: which call its output is fused into.
    """

    call: Call
    shape: Shape | None
    ops: Ops
    macs: int | None
    weights: int | None
    biases: int
    known: bool = True
    folded: bool = False

    @property
    def weights_bytes(self) -> int | None:
        """Bytes at int8; None where the weights are not known."""
        return None if self.weights is None else self.weights + BIAS_BYTES * self.biases


def lower(network: Network) -> tuple[Lowered, ...]:
    """Return all calls in their order. What the table does not know has no operators and no shape, and is not guessed."""
    done: list[Lowered] = []
    for call in network.calls:
        done.append(_input(call) if call.kind == "InputLayer" else _one(call, done))
    takers = network.takers()
    for number, each in enumerate(done):
        if each.call.takes:
            done[number] = _fused(each, done, takers, number)
    return tuple(done)


def kind_of(call: Call) -> Kind | None:
    """Return the row of the table for a layer or an operation."""
    return OPERATIONS.get(call.kind[3:].lower()) if call.kind.startswith("op:") else KINDS.get(call.kind)


def _input(call: Call) -> Lowered:
    sizes = call.settings.get("batch_shape") or call.settings.get("batch_input_shape") or ()
    shape = tuple(-1 if size is None else int(size) for size in list(sizes)[1:])
    return Lowered(call=call, shape=shape, ops=(), macs=0, weights=0, biases=0)


def _one(call: Call, done: list[Lowered]) -> Lowered:
    unknown = Lowered(call=call, shape=None, ops=(), macs=None, weights=None, biases=0, known=False)
    kind = kind_of(call)
    shapes = tuple(_shape(done[number], index) for number, index in call.takes)
    if kind is None or any(shape is None for shape in shapes) or not shapes:
        return replace(unknown, known=kind is not None and bool(shapes))
    given = Given(
        settings=call.settings,
        shapes=tuple(shape for shape in shapes if shape is not None),
        constants=call.constants,
        keywords=call.keywords,
    )
    try:
        ops = kind.ops(given)
    except DAMAGED:
        return unknown
    try:
        return Lowered(
            call=call,
            shape=kind.shape(given),
            ops=ops,
            macs=kind.macs(given),
            weights=kind.weights(given) if call.first else 0,
            biases=kind.biases(given) if call.first else 0,
        )
    except DAMAGED:
        return replace(unknown, ops=ops, known=-1 in {size for shape in given.shapes for size in shape})


def _shape(source: Lowered, index: int) -> Shape | None:
    """Return the shape of an output: the second and third of a recurrent layer are its states."""
    if index == 0:
        return source.shape
    units = source.call.settings.get("units")
    return (units,) if isinstance(units, int) else source.shape


def _fused(each: Lowered, done: list[Lowered], takers: Mapping[int, list[int]], number: int) -> Lowered:
    """Return a call without the operators that the converter puts into the one before it."""
    before = each.call.takes[0][0]
    alone = takers[before] == [number]
    source = done[before]
    if each.call.kind == "BatchNormalization" and alone and source.call.kind in FOLDS and is_linear(source.call):
        return replace(each, ops=(), folded=True)
    if each.ops in FUSED and alone:
        giver = source
        while giver.folded:
            giver = done[giver.call.takes[0][0]]
        if giver.ops and giver.ops[-1] in FUSES and is_linear(giver.call):
            return replace(each, ops=())
    return each


def is_linear(call: Call) -> bool:
    """Whether a layer has no activation of its own."""
    return activation_of(call.settings) == "linear"
