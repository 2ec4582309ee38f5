"""Multiply-accumulates of one operator, from the shapes in the file.

Sources: the operators' definitions in TensorFlow Lite's schema and reference kernels. Filters are stored as [out, h, w, in]
(CONV_2D, TRANSPOSE_CONV), [1, h, w, out] (DEPTHWISE_CONV_2D), [out, in] (FULLY_CONNECTED), [d, h, w, in, out] (CONV_3D). Padding is
counted as if it were data, an open dimension as 1; what only adds, compares or moves counts 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgepipe.errors import ModelFileError
from edgepipe.pipeline.inspect.graph import Op, Subgraph, Tensor

LARGEST_MACS = 1 << 62  # what a database integer holds


def op_macs(graph: Subgraph, op: Op) -> int:
    """Return the multiply-accumulates of one run of `op`. Raises ModelFileError for shapes that no machine could compute."""
    formula = FORMULAS.get(op.name)
    if formula is None or op.custom:
        return 0
    macs = formula(graph, op)
    if macs > LARGEST_MACS:
        raise ModelFileError(
            f"not a usable .tflite file: {op.name} would take {macs} multiply-accumulates", cause="the file is damaged"
        )
    return macs


def runs(graphs: Sequence[Subgraph]) -> tuple[int, ...]:
    """Return how often one inference runs each subgraph: 1 for the main one, the trip count for a loop's body, 0 where not reached.

    The trip count is the constant that the loop's condition compares its counter with, which is how Keras' recurrent layers are
    converted; a loop without one counts as a single trip.
    """
    counts = [1] + [0] * (len(graphs) - 1)
    waiting = [0]
    while waiting:
        caller = waiting.pop()
        for op in graphs[caller].ops:
            for position, callee in enumerate(op.calls):
                if counts[callee] == 0:
                    trips = _trips(graphs[op.calls[0]]) if op.name == "WHILE" and position == 1 else 1
                    counts[callee] = min(counts[caller] * trips, LARGEST_MACS)
                    waiting.append(callee)
    return tuple(counts)


def _trips(condition: Subgraph) -> int:
    limits = [
        int(tensor.data.view(np.int32)[0])
        for op in condition.ops
        if op.name == "LESS"
        for tensor in [condition.input_of(op, 1)]
        if tensor is not None and tensor.dtype == "int32" and tensor.data is not None and tensor.elements == 1
    ]
    return max(min(limits, default=1), 1)


def _size(tensor: Tensor | None) -> int:
    return tensor.elements if tensor is not None else 0


def _dim(tensor: Tensor | None, axis: int) -> int:
    if tensor is None or not -len(tensor.shape) <= axis < len(tensor.shape):
        return 0
    return max(tensor.shape[axis], 1)


def _output(graph: Subgraph, op: Op) -> Tensor | None:
    return graph.tensors[op.outputs[0]] if op.outputs else None


def _convolution(graph: Subgraph, op: Op) -> int:
    """Outputs times h * w * in; the filter's own `in` makes this right for grouped convolutions."""
    weights = graph.input_of(op, 1)
    return _size(_output(graph, op)) * math.prod(_dim(weights, axis) for axis in (1, 2, 3))


def _depthwise(graph: Subgraph, op: Op) -> int:
    """Outputs times h * w."""
    weights = graph.input_of(op, 1)
    return _size(_output(graph, op)) * _dim(weights, 1) * _dim(weights, 2)


def _transposed(graph: Subgraph, op: Op) -> int:
    """Inputs (the third operand) times out * h * w."""
    weights = graph.input_of(op, 1)
    return _size(graph.input_of(op, 2)) * math.prod(_dim(weights, axis) for axis in (0, 1, 2))


def _convolution_3d(graph: Subgraph, op: Op) -> int:
    """Outputs times d * h * w * in."""
    weights = graph.input_of(op, 1)
    return _size(_output(graph, op)) * math.prod(_dim(weights, axis) for axis in (0, 1, 2, 3))


def _transposed_3d(graph: Subgraph, op: Op) -> int:
    """Inputs times d * h * w * out, for a filter stored as [d, h, w, out, in]."""
    weights = graph.input_of(op, 1)
    return _size(graph.input_of(op, 2)) * math.prod(_dim(weights, axis) for axis in (0, 1, 2, 3))


def _dense(graph: Subgraph, op: Op) -> int:
    """Outputs times in."""
    return _size(_output(graph, op)) * _dim(graph.input_of(op, 1), 1)


def _batch_matmul(graph: Subgraph, op: Op) -> int:
    """Batch * rows * columns * depth. The depth follows without the transpose flags: sizes are B r k, B k c, B r c."""
    left, right, out = graph.input_of(op, 0), graph.input_of(op, 1), _output(graph, op)
    rows, columns = _dim(out, -2), _dim(out, -1)
    batches = _size(out) // max(rows * columns, 1)
    depth = _size(left) // max(rows, 1) // max(math.prod(max(size, 1) for size in left.shape[:-2]) if left else 1, 1)
    return batches * rows * columns * depth if right is not None else 0


def _every_step(first: int, last: int) -> Callable[[Subgraph, Op], int]:
    """Batch * time * the sizes of all matrices among the inputs `first` to `last`: each is multiplied once a step."""

    def formula(graph: Subgraph, op: Op) -> int:
        matrices = (graph.input_of(op, position) for position in range(first, last + 1))
        steps = _dim(graph.input_of(op, 0), 0) * _dim(graph.input_of(op, 0), 1)
        return steps * sum(_size(matrix) for matrix in matrices if matrix is not None and len(matrix.shape) == 2)

    return formula


def _svdf(graph: Subgraph, op: Op) -> int:
    """Batch * (feature weights + time weights)."""
    return _dim(graph.input_of(op, 0), 0) * (_size(graph.input_of(op, 1)) + _size(graph.input_of(op, 2)))


FORMULAS: dict[str, Callable[[Subgraph, Op], int]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "CONV_3D": _convolution_3d,
    "CONV_3D_TRANSPOSE": _transposed_3d,
    "FULLY_CONNECTED": _dense,
    "BATCH_MATMUL": _batch_matmul,
    "SVDF": _svdf,
    # Inputs 1 to 8 are the four gates' input and recurrent weights, 16 the projection; the vectors between only scale.
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _every_step(1, 16),
    "BIDIRECTIONAL_SEQUENCE_LSTM": _every_step(1, 34),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _every_step(1, 2),
    "BIDIRECTIONAL_SEQUENCE_RNN": _every_step(1, 5),
}
