"""Quantised tensors whose ranges no sensible calibration data can have given.

Calibration leaves its mark: each int8 activation carries the range that was seen. From the file alone four mistakes show:

* data of zeros: a range that is practically zero wide;
* data larger than what the model was trained on: one step of the logits is so coarse that softmax cannot resolve it;
* data that is one number everywhere: every range equals what that number gives, which a replay of the first layers shows;
* data smaller than what the model was trained on (or divided by 255 twice): the ranges are what an input of zeros gives.

Data of the right scale that is merely unrepresentative leaves no mark that could be told from good data.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from edgepipe.pipeline.inspect.graph import Op, Subgraph, Tensor
from edgepipe.pipeline.inspect.replay import respond

SQUASHING = frozenset({"SOFTMAX", "LOG_SOFTMAX", "LOGISTIC"})
NO_WIDTH = 1e-4  # of real values; the converter stores 2e-6 where it saw nothing but zeros
COARSEST_LOGITS = 1.0  # per step: neighbouring values then differ by a factor of e in probability
REPLAYED = 4  # convolutions and dense layers; rounding of the weights adds up beyond
SAME_RANGE = 0.02  # of the width, for the rounding of weights
HARDLY_MOVED = 1.25  # median ratio of the recorded ranges to those that zeros give
FIRST_HARDLY_MOVED = 1.6  # the same of the first layer alone


def uncalibrated(graph: Subgraph) -> tuple[str, ...]:
    """Return "tensor: reason" for every suspicious tensor of the main graph, the most telling first."""
    return tuple(dict.fromkeys((*_without_width(graph), *_coarse_logits(graph), *_constant_input(graph))))


def _range(tensor: Tensor) -> tuple[float, float]:
    scale, zero_point = float(tensor.scales[0]), int(tensor.zero_points[0])
    return (-128 - zero_point) * scale, (127 - zero_point) * scale


def _calibrated(tensor: Tensor) -> bool:
    return tensor.dtype == "int8" and tensor.data is None and tensor.scales.size == 1 and tensor.zero_points.size == 1


def _activations(graph: Subgraph) -> Iterator[Tensor]:
    for index in dict.fromkeys((*graph.inputs, *(index for op in graph.ops for index in op.outputs))):
        if _calibrated(graph.tensors[index]):
            yield graph.tensors[index]


def _without_width(graph: Subgraph) -> Iterator[str]:
    for tensor in _activations(graph):
        low, high = _range(tensor)
        if high - low < NO_WIDTH:
            yield f"{tensor.name}: its range is {high - low:.1e} wide, so the calibration data was all zeros there"


def _coarse_logits(graph: Subgraph) -> Iterator[str]:
    for op in graph.ops:
        logits = graph.input_of(op, 0)
        if op.name in SQUASHING and logits is not None and _calibrated(logits) and float(logits.scales[0]) >= COARSEST_LOGITS:
            low, high = _range(logits)
            yield (
                f"{logits.name}: it spans {low:.0f} to {high:.0f} before {op.name}, "
                "so the calibration data was far larger than what the model was trained on"
            )


def _constant_input(graph: Subgraph) -> Iterator[str]:
    start = _first_quantised(graph)
    if start is None:
        return
    low, high = _range(graph.tensors[start])
    name = graph.tensors[start].name
    value = high if low == 0 else low
    if high - low < NO_WIDTH:
        return
    if _like_zeros(graph, start):
        yield (
            f"{name}: the ranges behind it are what an input of zeros gives, "
            f"so the calibration data ({low:.3g} to {high:.3g}) was far smaller than what the model was trained on"
        )
    elif 0 in (low, high) and _replays(graph, start, value):
        yield f"{name}: every range is what an input of {value:.4g} everywhere gives, so the calibration data was constant"


def _first_quantised(graph: Subgraph) -> int | None:
    """Return the only input, or what QUANTIZE makes of it; None where there is no single int8 one."""
    if len(graph.inputs) != 1:
        return None
    made = (op.outputs[0] for op in graph.ops if _quantises(op, graph.inputs[0]))
    return next((index for index in (graph.inputs[0], *made) if _calibrated(graph.tensors[index])), None)


def _quantises(op: Op, source: int) -> bool:
    return op.name == "QUANTIZE" and op.inputs[:1] == (source,) and len(op.outputs) == 1


def _compared(graph: Subgraph, start: int, value: float) -> list[tuple[Tensor, float, float]]:
    """Return the replayed tensors with their ranges, which calibration always stretches to include zero."""
    answers = respond(graph, start, value, REPLAYED)
    return [(tensor, min(low, 0.0), max(high, 0.0)) for tensor, low, high in answers if _calibrated(tensor)]


def _replays(graph: Subgraph, start: int, value: float) -> bool:
    answers = _compared(graph, start, value)

    def equal(tensor: Tensor, low: float, high: float) -> bool:
        recorded = _range(tensor)
        slack = SAME_RANGE * (recorded[1] - recorded[0]) + 2 * float(tensor.scales[0])
        return abs(recorded[0] - low) <= slack and abs(recorded[1] - high) <= slack

    return bool(answers) and all(equal(*answer) for answer in answers)


def _like_zeros(graph: Subgraph, start: int) -> bool:
    answers = _compared(graph, start, 0.0)
    if len(answers) < 2 or any(high <= low for _, low, high in answers):
        return False
    ratios = [(_range(tensor)[1] - _range(tensor)[0]) / (high - low) for tensor, low, high in answers]
    # Below 1, zeros are no plausible input of this model and move it more than its real data does.
    return min(ratios) >= 1 - 2 * SAME_RANGE and ratios[0] <= FIRST_HARDLY_MOVED and median(ratios) <= HARDLY_MOVED
