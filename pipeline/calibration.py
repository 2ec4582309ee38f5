"""What calibration samples do to the ranges of a float `.tflite`: the smallest and largest value of each tensor, sample by sample.

From these follow the two answers that a range alone cannot give: whether more samples would still move it, and whether one sample
set it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgepipe.events import Emit, Note, step
from edgepipe.facts import CalibrationFacts, LoneSample
from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.ports import plain_name
from edgepipe.pipeline.inspect.graph import FLOATS, Op, Subgraph, read_graph
from edgepipe.pipeline.inspect.layers import name_layers

Values: TypeAlias = NDArray[np.float64]

MOST_CHANGE = 0.05  # of a range's width; beyond it the range is not settled
ALONE = 2.0  # times wider than without that one sample
MOST_LONE = 8  # told of; a model has many tensors that one loud sample reaches
FEWEST = 4  # samples; fewer have no halves worth comparing
# Their ranges are fixed by the format, whatever the data.
FIXED_RANGE = frozenset({"SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "TANH", "L2_NORMALIZATION"})
TRAINED_RANGE = frozenset({"QUANTIZE", "DEQUANTIZE"})  # around what quantisation-aware training has fixed


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """The smallest and largest value of every tensor in every sample: `lows` and `highs` are [samples, tensors].

    `tensors` and `layers` name the columns.
    """

    tensors: tuple[str, ...]
    layers: tuple[str, ...]
    lows: Values
    highs: Values


def samples_in_order(ports: Mapping[str, str], data: Dataset) -> Iterator[list[Array]]:
    """Yield each sample as a list of arrays with a batch of 1, bound to a file's inputs by name, in the file's own dtypes.

    `ports` are the dtypes by name, in the file's order. Data may well have others: pictures as uint8, tables as float64.
    """
    plain = {plain_name(name): dtype for name, dtype in ports.items()}
    columns = data.inputs if len(plain) > 1 else dict(zip(plain, data.inputs.values(), strict=True))
    for index in range(data.samples):
        yield [columns[name][index : index + 1].astype(dtype) for name, dtype in plain.items()]


def observe(content: bytes, data: Dataset, layers: Sequence[str], emit: Emit) -> Extremes:
    """Run a float `.tflite` of our own making on every sample and return what its tensors held.

    `layers` are the Keras model's, to name the tensors after. Runs LiteRT in this process, so only in the worker.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graphs = read_graph(content)
    columns = _ranged(graphs[0], name_layers(graphs, layers))
    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    ports = interpreter.get_input_details()
    lows, highs = (np.zeros((data.samples, len(columns))) for _ in range(2))
    with step(emit, "watch the ranges", data.samples, "samples") as advance:
        types = {port["name"]: np.dtype(port["dtype"]).name for port in ports}
        for row, sample in enumerate(samples_in_order(types, data)):
            for port, values in zip(ports, sample, strict=True):
                interpreter.set_tensor(port["index"], values)
            interpreter.invoke()
            for column, index in enumerate(columns):
                values = interpreter.get_tensor(index)
                lows[row, column], highs[row, column] = values.min(), values.max()
            advance(row + 1)
    names = tuple(graphs[0].tensors[index].name for index in columns)
    return Extremes(tensors=names, layers=tuple(columns.values()), lows=lows, highs=highs)


def judge(seen: Extremes, data: Dataset) -> CalibrationFacts:
    """Return whether the ranges have settled, which moves most, and which single samples set one alone."""
    change = _range_change(np.minimum(seen.lows, 0), np.maximum(seen.highs, 0))
    worst = int(np.argmax(change)) if change.size else None
    largest = float(change[worst]) if worst is not None else 0.0
    return CalibrationFacts(
        samples=data.samples,
        data_sha256=data.sha256,
        converged=worst is None or (data.samples >= FEWEST and largest <= MOST_CHANGE),
        worst_layer=seen.layers[worst] if worst is not None else "",
        worst_tensor=seen.tensors[worst] if worst is not None else "",
        range_change=largest,
        constant_samples=_constant_samples(data),
        lone_samples=tuple(_lone_samples(seen, data))[:MOST_LONE],
    )


def warn(facts: CalibrationFacts, emit: Emit) -> None:
    """Say what of the calibration deserves a second look."""
    for text in warnings(facts):
        emit(Note(warning=True, text=text))


def warnings(facts: CalibrationFacts) -> Iterator[str]:
    """Yield a sentence for each thing that is suspicious about the calibration samples."""
    if not facts.converged:
        where = f'"{facts.worst_layer}"' if facts.worst_layer else facts.worst_tensor
        yield (
            f"calibration has not settled: half of the {facts.samples} samples leave the range of {where} "
            f"{facts.range_change:.0%} narrower; take more (data: {{calibration: {{samples: {4 * facts.samples}}}}})"
        )
    if facts.constant_samples:
        yield f"{facts.constant_samples} of {facts.samples} calibration samples hold one value throughout"
    if facts.lone_samples:
        lone = facts.lone_samples[0]
        label = "" if lone.label is None else f" (class {lone.label})"
        yield (
            f"calibration sample {lone.sample}{label} alone stretches the range of "
            f"{_quoted(lone)} to {lone.low:.4g} … {lone.high:.4g}; "
            f"the others stay within {lone.low_without:.4g} … {lone.high_without:.4g}"
            + (f"; likewise {len(facts.lone_samples) - 1} more ranges" if len(facts.lone_samples) > 1 else "")
        )


def _quoted(lone: LoneSample) -> str:
    return f'"{lone.layer}"' if lone.layer else lone.tensor


def _ranged(graph: Subgraph, named: dict[tuple[int, int], str]) -> dict[int, str]:
    """Return the main graph's tensors whose range is taken from data, each with its layer."""
    trained = {index for op in graph.ops if op.name in TRAINED_RANGE for index in (*op.inputs, *op.outputs)}
    columns = {index: "" for index in graph.inputs if _is_float(graph, index)}
    for number, op in enumerate(graph.ops):
        if not _fixed(op):
            columns |= {index: named[0, number] for index in op.outputs if _is_float(graph, index)}
    return {index: layer for index, layer in columns.items() if index not in trained}


def _fixed(op: Op) -> bool:
    return op.name in FIXED_RANGE or op.name in TRAINED_RANGE


def _is_float(graph: Subgraph, index: int) -> bool:
    return graph.tensors[index].dtype in FLOATS and graph.tensors[index].elements > 0


def _range_change(lows: Values, highs: Values) -> Values:
    """Return for each tensor the share of its range's width that half of the samples miss, averaged over all halves.

    The k-th largest of n values is the largest of a random half of m with probability C(n-k, m-1) / C(n, m); summed over k this is
    the expected extreme without drawing any half, so the answer does not hang on a seed.
    """
    samples, tensors = highs.shape
    if samples < 2:
        return np.ones(tensors)
    chances = _chances(samples, samples // 2)
    expected = _expected_largest(highs, chances) + _expected_largest(-lows, chances)
    width = highs.max(axis=0) - lows.min(axis=0)
    return np.where(width > 0, 1 - expected / np.where(width > 0, width, 1), 0.0)


def _chances(samples: int, half: int) -> Values:
    """Return the probability that the k-th largest of all is the largest of a half, k from 1."""
    chances = [half / samples]
    for k in range(1, samples - half + 1):
        chances.append(chances[-1] * (samples - k - half + 1) / (samples - k))
    return np.asarray(chances)


def _expected_largest(values: Values, chances: Values) -> Values:
    largest: Values = np.sort(values, axis=0)[::-1][: len(chances)]
    expected: Values = chances @ largest
    return expected


def _lone_samples(seen: Extremes, data: Dataset) -> Iterator[LoneSample]:
    """Yield the ranges that one sample alone makes at least ALONE times wider, the most stretched first."""
    if len(seen.highs) < FEWEST:
        return
    lows, highs = np.minimum(seen.lows, 0), np.maximum(seen.highs, 0)
    found = []
    for column in range(highs.shape[1]):
        low, high = lows[:, column], highs[:, column]
        for sample in {int(low.argmin()), int(high.argmax())}:
            rest_low, rest_high = np.delete(low, sample).min(), np.delete(high, sample).max()
            width, rest = high.max() - low.min(), rest_high - rest_low
            if width > ALONE * rest:
                found.append((width / max(rest, 1e-30), sample, column, float(rest_low), float(rest_high)))
    for _, sample, column, rest_low, rest_high in sorted(found, key=lambda each: (-each[0], each[1], each[2])):
        yield LoneSample(
            layer=seen.layers[column],
            tensor=seen.tensors[column],
            sample=sample,
            label=_label(data, sample),
            low=float(lows[:, column].min()),
            high=float(highs[:, column].max()),
            low_without=rest_low,
            high_without=rest_high,
        )


def _label(data: Dataset, sample: int) -> int | None:
    labels = data.labels
    return int(labels[sample]) if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu" else None


def _constant_samples(data: Dataset) -> int:
    """Return how many samples hold one value throughout, in every input that has more than one."""
    rows = [np.asarray(array).reshape(data.samples, -1) for array in data.inputs.values()]
    wide = [row for row in rows if row.shape[1] > 1]
    return int(np.all([(row == row[:, :1]).all(axis=1) for row in wide], axis=0).sum()) if wide and data.samples else 0
