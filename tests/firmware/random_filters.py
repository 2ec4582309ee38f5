"""Random operators that weigh what they see through a window or all at once: convolutions, fully connected layers, pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tests.firmware.graph import Array, Graph, one_of


def _weights(graph: Graph, shape: Sequence[int], axis: int) -> tuple[int, Array]:
    values = graph.rng.integers(-127, 128, shape, np.int8)
    count = shape[axis] if graph.rng.random() < 0.7 else 1
    scales = np.exp(graph.rng.uniform(np.log(0.001), np.log(0.05), count)).astype(np.float32)
    return graph.constant(values, scales=list(scales), axis=axis), scales


def _biases(graph: Graph, source: int, scales: Array, count: int, reach: int) -> list[int]:
    if graph.rng.random() < 0.2:
        return []
    values = graph.rng.integers(-reach * 4000, reach * 4000, count, np.int32)
    return [graph.constant(values, scales=list(scales * graph.scale_of(source)))]


def _summed(graph: Graph, source: int, scales: Array, reach: int, shape: Sequence[int]) -> int:
    """Return an output whose scale makes good use of int8 for sums over `reach` products."""
    typical = graph.scale_of(source) * float(np.median(scales)) * np.sqrt(reach) * 74 * 90
    return graph.tensor(shape, scales=[typical / 127 * graph.rng.uniform(0.3, 2)], zero_point=graph.zero_point())


def _window(graph: Graph, size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    covered = size if padding == 0 else size - (kernel - 1) * dilation
    return -(-covered // stride)


def convolution(graph: Graph, source: int | None = None) -> int:
    """CONV_2D with groups, dilation or strides; returns its output."""
    side = graph.rng.integers(5, 10, 2)
    if source is None:
        source = graph.input((one_of(graph, 1, 1, 2), *side, one_of(graph, 1, 3, 4, 8)))
    batch, height, width, channels = graph.shape(source)
    groups = one_of(graph, 1, 1, 1, 2) if channels % 2 == 0 else 1
    outputs = groups * int(graph.rng.integers(1, 7))
    kernel = graph.rng.integers(1, min(height, width, 4) + 1, 2)
    padding, dilated = one_of(graph, 0, 1), graph.rng.random() < 0.3 and min(height, width) >= 7
    stride, dilation = (np.ones(2, int), graph.rng.integers(1, 3, 2)) if dilated else (graph.rng.integers(1, 4, 2), np.ones(2, int))
    weights, scales = _weights(graph, (outputs, *kernel, channels // groups), 0)
    reach = int(kernel.prod()) * channels // groups
    out = [_window(graph, *map(int, sizes), padding) for sizes in zip((height, width), kernel, stride, dilation, strict=True)]
    target = _summed(graph, source, scales, reach, (batch, *out, outputs))
    graph.step(
        "CONV_2D",
        [source, weights, *_biases(graph, source, scales, outputs, reach)],
        [target],
        version=3,
        of="Conv2DOptions",
        padding=padding,
        strideH=int(stride[0]),
        strideW=int(stride[1]),
        dilationHFactor=int(dilation[0]),
        dilationWFactor=int(dilation[1]),
        fusedActivationFunction=one_of(graph, 0, 0, 1, 2, 3),
    )
    return target


def depthwise(graph: Graph, source: int | None = None) -> int:
    """DEPTHWISE_CONV_2D with a depth multiplier, dilation or strides; returns its output."""
    if source is None:
        source = graph.input((one_of(graph, 1, 1, 2), *graph.rng.integers(5, 10, 2), one_of(graph, 1, 2, 5, 8)))
    batch, height, width, channels = graph.shape(source)
    multiplier, padding = one_of(graph, 1, 1, 2, 3), one_of(graph, 0, 1)
    kernel = graph.rng.integers(1, min(height, width, 4) + 1, 2)
    dilated = graph.rng.random() < 0.3 and min(height, width) >= 7
    stride = 1 if dilated else one_of(graph, 1, 2, 3)
    dilation = graph.rng.integers(1, 3, 2) if dilated else np.ones(2, int)
    outputs = channels * multiplier
    weights, scales = _weights(graph, (1, *kernel, outputs), 3)
    reach = int(kernel.prod())
    out = [
        _window(graph, int(size), int(taps), stride, int(factor), padding)
        for size, taps, factor in zip((height, width), kernel, dilation, strict=True)
    ]
    target = _summed(graph, source, scales, reach, (batch, *out, outputs))
    graph.step(
        "DEPTHWISE_CONV_2D",
        [source, weights, *_biases(graph, source, scales, outputs, reach)],
        [target],
        version=3,
        of="DepthwiseConv2DOptions",
        padding=padding,
        strideH=stride,
        strideW=stride,
        depthMultiplier=multiplier,
        dilationHFactor=int(dilation[0]),
        dilationWFactor=int(dilation[1]),
        fusedActivationFunction=one_of(graph, 0, 0, 1, 3),
    )
    return target


def fully_connected(graph: Graph, source: int | None = None) -> int:
    """FULLY_CONNECTED on one row or several, one scale or one per output; returns its output."""
    if source is None:
        source = graph.input((one_of(graph, 1, 1, 3), int(graph.rng.integers(1, 70))))
    rows, inputs = graph.shape(source)[0], int(np.prod(graph.shape(source)[1:]))
    outputs = int(graph.rng.integers(1, 20))
    weights, scales = _weights(graph, (outputs, inputs), 0)
    target = _summed(graph, source, scales, inputs, (rows, outputs))
    biases = _biases(graph, source, scales, outputs, inputs)
    activation = one_of(graph, 0, 0, 1, 3)
    graph.step(
        "FULLY_CONNECTED",
        [source, weights, *(biases or [-1])],
        [target],
        version=12 if len(scales) > 1 else 4,
        of="FullyConnectedOptions",
        fusedActivationFunction=activation,
    )
    return target


def large_factors(graph: Graph) -> int:
    """FULLY_CONNECTED with sums that are scaled by 0.01 to 100, up to the ends of 32 bits; returns its output."""
    source, outputs = graph.input((1, int(graph.rng.integers(1, 4)))), 8
    factors = np.exp(graph.rng.uniform(np.log(0.01), np.log(100), outputs)).astype(np.float32)
    reach = np.where(graph.rng.random(outputs) < 0.3, (1 << 31) - 400, 100)
    values = graph.rng.integers(-3, 4, (outputs, graph.shape(source)[1]), np.int8)
    weights = graph.constant(values, scales=list(factors))
    biases = graph.constant(graph.rng.integers(-reach, reach).astype(np.int32), scales=list(factors * graph.scale_of(source)))
    target = graph.like(source, (1, outputs))
    graph.step("FULLY_CONNECTED", [source, weights, biases], [target], version=12, of="FullyConnectedOptions")
    return target


def pool(name: str) -> Callable[[Graph], int]:
    """Return a maker of AVERAGE_POOL_2D or MAX_POOL_2D."""

    def make(graph: Graph, source: int | None = None) -> int:
        if source is None:
            source = graph.input((one_of(graph, 1, 2), *graph.rng.integers(3, 10, 2), int(graph.rng.integers(1, 9))))
        batch, height, width, channels = graph.shape(source)
        size = [int(graph.rng.integers(1, min(side, 4) + 1)) for side in (height, width)]
        stride, padding = graph.rng.integers(1, 4, 2), one_of(graph, 0, 1)
        out = [
            _window(graph, side, taps, int(pace), 1, padding)
            for side, taps, pace in zip((height, width), size, stride, strict=True)
        ]
        target = graph.like(source, (batch, *out, channels))
        graph.step(
            name,
            [source],
            [target],
            version=2,
            of="Pool2DOptions",
            padding=padding,
            strideH=int(stride[0]),
            strideW=int(stride[1]),
            filterHeight=size[0],
            filterWidth=size[1],
            fusedActivationFunction=one_of(graph, 0, 0, 1, 3),
        )
        return target

    return make
