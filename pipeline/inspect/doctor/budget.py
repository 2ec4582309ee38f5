"""How much flash and arena a model will take on a microcontroller at int8, estimated from its static graph.

The lower arena estimate is what must live at the same time; no planner can do with less. The upper one adds what TFLite Micro
keeps about each tensor, operator and channel. Its constants were fitted so that the arenas of the single-layer models of
`benchmarks.layer_table` and of small CNNs, as measured by `edgepipe.pipeline.export.arena`, stay below it.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgepipe.diagnosis import Budget
from edgepipe.pipeline.hardware import Hardware
from edgepipe.pipeline.inspect.doctor.lowering import Lowered
from edgepipe.pipeline.inspect.doctor.network import Network
from edgepipe.pipeline.inspect.doctor.rules import elements

RUNTIME_BYTES = 116_236  # TFLite Micro with CMSIS-NN on a Cortex-M4, -O2, for the keyword spotting network: FACTS §7
FILE_BYTES = 1_200  # of a .tflite besides its operators and weights
OP_BYTES = 550  # of a .tflite for one operator: itself, its tensors, their names
CHANNEL_BYTES = 12  # of a .tflite for an output channel: float32 scale, int64 zero point
ARENA_BYTES = 1_600  # of an arena besides what follows
ARENA_OP_BYTES = 360  # for an operator: node, its data, its tensors
ARENA_CHANNEL_BYTES = 8  # for an output channel: multiplier and shift
INNER_COPIES = 2  # tensors of a layer's output size that a layer of several operators holds at once, at most
STEP_OPS = {"SimpleRNN": 4, "GRU": 16, "LSTM": 14, "Bidirectional": 40}  # of each step of an unrolled recurrent layer, about
LSTM_BYTES = 2_400  # of an arena for UNIDIRECTIONAL_SEQUENCE_LSTM, besides its tensors
SCRATCH = {"TRANSPOSE_CONV": 4}  # bytes for each element that comes out: int32 sums


def budget(network: Network, layers: Sequence[Lowered], board: Hardware | None) -> Budget:
    """Return the estimates for one network, None where a layer's shape or weights are not known."""
    model = _model_bytes(layers)
    low, high = _arena_bytes(network, layers) if _is_known(layers) else (None, None)
    return against(model, low, high, board)


def against(model: int | None, low: int | None, high: int | None, board: Hardware | None) -> Budget:
    """Return a budget held against a board, or against none."""
    return Budget(
        model_bytes=model,
        flash_bytes=None if model is None else model + RUNTIME_BYTES,
        arena_low_bytes=low,
        arena_high_bytes=high,
        board=board.name if board else None,
        board_flash_bytes=board.flash_bytes if board else None,
        board_ram_bytes=board.ram_bytes if board else None,
    )


def _is_known(layers: Sequence[Lowered]) -> bool:
    return all(layer.shape is not None and -1 not in layer.shape for layer in layers)


def _operators(layer: Lowered) -> int:
    """Return about how many operators a layer becomes: a recurrent one that is unrolled, a dozen and more for each step."""
    unrolled = "UNPACK" in layer.ops and layer.macs and layer.weights
    steps = layer.macs // layer.weights if unrolled and layer.macs and layer.weights else 0
    return STEP_OPS.get(layer.call.kind, max(STEP_OPS.values())) * steps or len(layer.ops)


def _model_bytes(layers: Sequence[Lowered]) -> int | None:
    total = FILE_BYTES
    for layer in layers:
        if layer.weights_bytes is None:
            return None
        total += layer.weights_bytes * (not layer.folded) + CHANNEL_BYTES * layer.biases + OP_BYTES * _operators(layer)
    return total


def _arena_bytes(network: Network, layers: Sequence[Lowered]) -> tuple[int, int]:
    """Return (what lives at the same time, the same with what the runtime adds), in bytes at int8."""
    root = _roots(layers)
    last = _last_uses(network, layers, root)
    sizes = [elements(layer.shape) if layer.shape is not None else 0 for layer in layers]
    low = high = 0
    for number, layer in enumerate(layers):
        if root[number] != number:
            continue
        live = {each for each in range(number + 1) if root[each] == each and last[each] >= number}
        now = sum(sizes[each] for each in live | {number})
        inner = sizes[number] * INNER_COPIES if len([op for op in layer.ops if op != "RESHAPE"]) > 1 else 0
        scratch = sizes[number] * max((SCRATCH.get(op, 0) for op in layer.ops), default=0)
        low, high = max(low, now), max(high, now + inner + scratch)
    operators = sum(map(_operators, layers))
    channels = sum(layer.biases for layer in layers)
    high += LSTM_BYTES * sum(op == "UNIDIRECTIONAL_SEQUENCE_LSTM" for layer in layers for op in layer.ops)
    return low, high + ARENA_BYTES + ARENA_OP_BYTES * operators + ARENA_CHANNEL_BYTES * channels


def _roots(layers: Sequence[Lowered]) -> list[int]:
    """Return, for each call, the one that owns its tensor: what has no operator, or is fused, hands on its input's."""
    roots: list[int] = []
    for number, layer in enumerate(layers):
        roots.append(roots[layer.call.takes[0][0]] if layer.call.takes and not layer.ops else number)
    return roots


def _last_uses(network: Network, layers: Sequence[Lowered], root: Sequence[int]) -> list[int]:
    last = list(range(len(layers)))
    for number, layer in enumerate(layers):
        for source, _ in layer.call.takes:
            last[root[source]] = max(last[root[source]], number)
    for source, _ in network.outputs:
        last[root[source]] = len(layers)
    return last
