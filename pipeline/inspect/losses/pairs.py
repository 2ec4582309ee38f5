"""Which tensor of a quantised file stands for which of its float twin: by name, and by layer where training renamed things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import UnsupportedModel
from edgepipe.facts import INTEGER_RANGES
from edgepipe.pipeline.data.ports import plain_name
from edgepipe.pipeline.inspect.graph import FLOATS, Op, Subgraph, Tensor
from edgepipe.pipeline.inspect.layers import WRAPPERS, name_layers

TRAINED = re.compile(r"LastValueQuant|MovingAvgQuant|AllValuesQuant|FakeQuant")  # what QAT adds to a fused name
WRAPPED = re.compile(rf"(^|/)(?:{'|'.join(WRAPPERS)})+")
ANSWERS = frozenset({"SOFTMAX", "LOGISTIC", "LOG_SOFTMAX"})  # squash what they are given: an error is measured before them


@dataclass(frozen=True, kw_only=True)
class Codes:
    """How a tensor of the quantised file stores real numbers: real = scale * (code - zero_point); `scale` None: as they are."""

    dtype: str
    scale: float | None = None
    zero_point: int = 0

    @property
    def limits(self) -> tuple[float, float] | None:
        """The smallest and the largest real number that it can store; None where nothing is quantised."""
        if self.scale is None:
            return None
        low, high = INTEGER_RANGES[self.dtype]
        return self.scale * (low - self.zero_point), self.scale * (high - self.zero_point)

    def encode(self, values: NDArray[np.float32]) -> NDArray[np.generic]:
        """Return the codes nearest to `values`, half away from zero as TFLite has it, clipped to what can be stored."""
        if self.scale is None:
            return values.astype(self.dtype)
        low, high = INTEGER_RANGES[self.dtype]
        scaled = values.astype(np.float64) / self.scale
        codes: NDArray[np.generic] = np.clip(np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) + self.zero_point, low, high)
        coded: NDArray[np.generic] = codes.astype(self.dtype)
        return coded

    def decode(self, codes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the real numbers that `codes` stand for."""
        real = codes.astype(np.float64)
        return (real if self.scale is None else self.scale * (real - self.zero_point)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A tensor of the float graph and its stand-in; `op` is what computes it, "INPUT" for an input of the model.

    `float_op` and `quant_op` are the operators' places in their graphs, None for an input.
    """

    layer: str
    op: str
    name: str
    float_tensor: int
    quant_tensor: int
    codes: Codes
    float_op: int | None = None
    quant_op: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """All pairs, inputs first, then in the order of execution; `outputs` are the model's answers as (float, quantised).

    `judged` are the float tensors at which an error is weighed: the answers, or what a softmax or sigmoid at the end is given.
    `centred`: a number that is added to all of one answer changes nothing, as before a softmax. `threshold`: of a single number.
    """

    pairs: tuple[Pair, ...]
    outputs: tuple[tuple[int, int], ...]
    judged: tuple[int, ...]
    centred: bool
    threshold: float


def pair(wide: Sequence[Subgraph], narrow: Sequence[Subgraph], layers: Sequence[str] = ()) -> Pairing:
    """Return what of the float graphs `wide` and the quantised graphs `narrow` belongs together.

    `layers`: the Keras model's layer names, where they are known. Raises UnsupportedModel for files that are not of one network.
    """
    a, b = wide[0], narrow[0]
    _same_ports(a, b)
    of_a = {index: name for (graph, index), name in name_layers(wide, layers).items() if graph == 0}
    of_b = {index: name for (graph, index), name in name_layers(narrow, layers).items() if graph == 0}
    partners = _partners(a, b, of_a, of_b)
    pairs = [
        Pair(layer=plain_name(a.tensors[x].name), op="INPUT", name=a.tensors[x].name, float_tensor=x, quant_tensor=y, codes=codes)
        for x, y in zip(a.inputs, b.inputs, strict=True)
        if (codes := codes_of(b.tensors[y])) is not None and a.tensors[x].dtype == "float32"
    ]
    makers = {output: number for number, op in enumerate(b.ops) for output in op.outputs}
    for number, op in enumerate(a.ops):
        for tensor in op.outputs:
            if tensor in partners and (codes := codes_of(b.tensors[partners[tensor]])) is not None:
                pairs.append(
                    Pair(
                        layer=_layer(a, number, of_a) or of_b[makers[partners[tensor]]] or f"operator {number}",
                        op=op.name,
                        name=a.tensors[tensor].name,
                        float_tensor=tensor,
                        quant_tensor=partners[tensor],
                        codes=codes,
                        float_op=number,
                        quant_op=makers[partners[tensor]],
                    )
                )
    if len(pairs) <= len(a.inputs):
        raise UnsupportedModel(
            "no tensor of the two files carries the same name",
            cause="they were not converted from the same model",
            todo="Give the .keras model instead of the float .tflite, or convert both again.",
        )
    return _weighed(a, tuple(pairs), tuple(zip(a.outputs, b.outputs, strict=True)))


def _same_ports(a: Subgraph, b: Subgraph) -> None:
    problems = [
        f"{what}: {_shapes(a, ours)} in the float file, {_shapes(b, theirs)} in the quantised one"
        for what, ours, theirs in (("inputs", a.inputs, b.inputs), ("outputs", a.outputs, b.outputs))
        if _shapes(a, ours) != _shapes(b, theirs)
    ]
    quantised = [tensor.name for tensor in a.tensors if tensor.quantised and tensor.data is None]
    if quantised:
        problems.append(f"the float file is quantised itself: {quantised[0][:80]}")
    if problems:
        raise UnsupportedModel(
            "these are not a float file and its quantised twin",
            problems=problems,
            todo="The float file comes first; `edgepipe convert model.keras --to float.tflite` makes one.",
        )


def _shapes(graph: Subgraph, ports: Sequence[int]) -> list[list[int]]:
    return [list(graph.tensors[port].shape) for port in ports]


def _layer(graph: Subgraph, number: int, named: Mapping[int, str]) -> str:
    """Return an operator's layer; a softmax at the end is called after the port, and is part of the layer before it."""
    op = graph.ops[number]
    before = next((place for place, other in enumerate(graph.ops) if op.inputs and op.inputs[0] in other.outputs), None)
    anonymous = op.outputs[0] in graph.outputs and "/" not in graph.tensors[op.outputs[0]].name
    return named[before] if op.name in ANSWERS and anonymous and before is not None else named[number]


def codes_of(tensor: Tensor) -> Codes | None:
    """Return how an activation stores real numbers; None for what stores none: indices, shapes, a scale per channel."""
    if tensor.dtype in FLOATS:
        return Codes(dtype=tensor.dtype) if tensor.dtype == "float32" else None
    if tensor.scales.size != 1 or tensor.dtype not in INTEGER_RANGES or not tensor.scales[0] > 0:
        return None
    return Codes(dtype=tensor.dtype, scale=float(tensor.scales[0]), zero_point=int(tensor.zero_points[0]))


def _partners(a: Subgraph, b: Subgraph, of_a: Mapping[int, str], of_b: Mapping[int, str]) -> dict[int, int]:
    """Return the quantised tensor for each float one: outputs by place, others by name, the last of a layer by its layer."""
    named = {_plain(b.tensors[tensor].name): tensor for _, tensor in _computed(b)}
    found = dict(zip(a.outputs, b.outputs, strict=True))
    taken = set(found.values())
    for _, tensor in _computed(a):
        partner = named.get(_plain(a.tensors[tensor].name))
        if tensor not in found and partner not in taken and partner is not None and _alike(a, tensor, b, partner):
            found[tensor] = partner
            taken.add(partner)
    lasts = {of_b[op]: tensor for op, tensor in _computed(b) if of_b[op]}
    ours = {of_a[op]: tensor for op, tensor in _computed(a) if of_a[op]}
    for layer, tensor in ours.items():
        partner = lasts.get(layer)
        if tensor not in found and partner not in taken and partner is not None and _alike(a, tensor, b, partner):
            found[tensor] = partner
            taken.add(partner)
    return found


def _computed(graph: Subgraph) -> Iterator[tuple[int, int]]:
    """Yield (operator, output) of everything that depends on the input, as far as one can tell without running it."""
    unpacked = graph.unpacked()
    for number, op in enumerate(graph.ops):
        yield from ((number, tensor) for tensor in op.outputs if tensor not in unpacked)


def _plain(name: str) -> str:
    """Return a tensor's name without what training with quantisation adds to it."""
    parts = [WRAPPED.sub(r"\1", part) for part in name.split(";") if not TRAINED.search(part)]
    return ";".join(parts)


def _alike(a: Subgraph, ours: int, b: Subgraph, theirs: int) -> bool:
    return a.tensors[ours].shape == b.tensors[theirs].shape and a.tensors[ours].dtype == "float32"


def _weighed(graph: Subgraph, pairs: tuple[Pair, ...], outputs: tuple[tuple[int, int], ...]) -> Pairing:
    makers: dict[int, Op] = {output: op for op in graph.ops for output in op.outputs}
    last = {ours: op for ours, _ in outputs if (op := makers.get(ours)) is not None and op.name in ANSWERS}
    return Pairing(
        pairs=pairs,
        outputs=outputs,
        judged=tuple(last[ours].inputs[0] if ours in last else ours for ours, _ in outputs),
        centred=all(ours in last and last[ours].name != "LOGISTIC" for ours, _ in outputs),
        threshold=0.0 if last else 0.5,
    )
