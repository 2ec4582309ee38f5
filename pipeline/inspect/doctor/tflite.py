"""The examination of a `.tflite`: what `verify` finds, what TFLite Micro's kernels refuse, and the arena from its real tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgepipe.diagnosis import TECHNIQUES, Examination, Finding, LayerDiagnosis, Severity, Treatment, Verdict
from edgepipe.facts import GraphFacts, OpFacts
from edgepipe.pipeline.export.tflm_limits import refusal
from edgepipe.pipeline.hardware import Hardware
from edgepipe.pipeline.inspect.doctor.budget import ARENA_BYTES, ARENA_CHANNEL_BYTES, ARENA_OP_BYTES, against
from edgepipe.pipeline.inspect.doctor.checks import is_picture, memory_findings
from edgepipe.pipeline.inspect.doctor.codes import finding
from edgepipe.pipeline.inspect.flatbuffer import inspect_model, read_file
from edgepipe.pipeline.inspect.graph import STORED_BITS, Subgraph, Tensor, read_graph
from edgepipe.pipeline.inspect.verify import Problem, verify
from edgepipe.pipeline.targets import Target

FINAL = Treatment(verdict=Verdict.IMPOSSIBLE, reason="a .tflite is final: treat the Keras model it came from")
ORDER = [*Severity]


def examine_tflite(path: Path, place: Target, hardware: Hardware | None) -> Examination:
    """Return everything that will go wrong with a `.tflite` on `place`. Raises ModelFileError for a damaged file."""
    facts = inspect_model(path).facts
    graph = read_graph(read_file(path))[0]
    verified = verify(facts, place)
    refused = _refused(graph, facts, place)
    low, high = _arena_bytes(graph) if place.in_arena else (None, None)
    memory = against(facts.size_bytes, low, high, hardware)
    found = (
        *(_finding("EP601", problem) for problem in verified.problems),
        *(finding("EP203", f"operator {op.index} {op.op}: {reason}", layer=op.layer) for op, reason in refused),
        *(_finding("EP602", warning) for warning in verified.warnings),
        *memory_findings(memory),
        *_pictures(facts),
    )
    blocked = {op.index: reason for op, reason in refused}
    blocked |= {op.index: problem.reason for problem in verified.problems for op in facts.ops if _is_about(problem, op)}
    return Examination(
        model=path.name,
        target=place.name,
        source="tflite",
        inputs=facts.inputs,
        layers=tuple(_row(op, blocked.get(op.index)) for op in facts.ops),
        findings=tuple(sorted(found, key=lambda each: ORDER.index(each.severity))),
        budget=memory,
    )


def _finding(code: str, problem: Problem) -> Finding:
    return finding(code, f"{problem.where}: {problem.reason}", why=problem.reason, fix=problem.fix)


def _is_about(problem: Problem, op: OpFacts) -> bool:
    return problem.where.startswith(f"operator {op.index} ")


def _row(op: OpFacts, blocked: str | None) -> LayerDiagnosis:
    int8 = Treatment(verdict=Verdict.OK) if op.in_integers else Treatment(verdict=Verdict.IMPOSSIBLE, reason="it was left in float")
    target = Treatment(verdict=Verdict.OK) if blocked is None else Treatment(verdict=Verdict.IMPOSSIBLE, reason=blocked)
    return LayerDiagnosis(
        layer=op.layer or f"operator {op.index}",
        kind=op.op,
        shape=None,
        ops=(op.op,),
        macs=op.macs,
        weights_bytes=None,
        treatments={**dict.fromkeys(TECHNIQUES, FINAL), "int8": int8, "target": target},
    )


def _refused(graph: Subgraph, facts: GraphFacts, place: Target) -> Sequence[tuple[OpFacts, str]]:
    """Return the operators of the main graph that TFLite Micro's kernels refuse, with the reason."""
    if place.runtime != "tflm":
        return ()
    found = []
    for op, known in zip(graph.ops, facts.ops, strict=False):
        first = graph.input_of(op, 0)
        rank = len(first.shape) if first is not None else 0
        if reason := refusal(op.name, integers=known.in_integers, inputs=len(op.inputs), rank=rank):
            found.append((known, reason))
    return found


def _arena_bytes(graph: Subgraph) -> tuple[int, int]:
    """Return (what lives at the same time, with what the runtime adds) for the main graph, in bytes."""
    first: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    for number, op in enumerate(graph.ops):
        for index in op.outputs:
            first.setdefault(index, number)
        for index in (*op.inputs, *op.outputs):
            last[index] = number
    last.update(dict.fromkeys(graph.outputs, len(graph.ops)))
    lives = [(first[index], last[index], _size(graph.tensors[index])) for index in first if graph.tensors[index].data is None]
    low = max((sum(size for start, end, size in lives if start <= at <= end) for at in range(len(graph.ops))), default=0)
    channels = sum(tensor.scales.size for tensor in graph.tensors if tensor.scales.size > 1)
    return low, low + ARENA_BYTES + ARENA_OP_BYTES * len(graph.ops) + ARENA_CHANNEL_BYTES * channels


def _size(tensor: Tensor) -> int:
    return tensor.elements * STORED_BITS.get(tensor.dtype, 32) // 8


def _pictures(facts: GraphFacts) -> Iterator[Finding]:
    for port in facts.inputs:
        if is_picture(port.shape[1:]) and port.code_range is not None:
            low, high = (port.real(code) for code in port.code_range)
            yield finding("EP501", f'input "{port.name}" takes {low:.3g} to {high:.3g}: scale pictures to that', layer=port.name)
