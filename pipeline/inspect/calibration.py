"""Quantised tensors whose ranges no sensible calibration data can have given."""

from __future__ import annotations

from edgepipe.pipeline.inspect.graph import Subgraph


def uncalibrated(graph: Subgraph) -> tuple[str, ...]:
    """Return the names of quantised tensors whose range is degenerate."""
    return tuple(
        tensor.name
        for op in graph.ops
        for index in op.outputs
        for tensor in [graph.tensors[index]]
        if tensor.quantised and tensor.data is None and float(tensor.scales[0]) * 255 < 1e-5
    )
