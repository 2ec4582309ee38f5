"""What a Coral board's Edge TPU will run of a model, foretold from the published rules: no compiler needed, nothing is executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgepipe.pipeline.export.edgetpu_log import COMPILED_OP
from edgepipe.pipeline.inspect.edgetpu_rules import DOUBTS, EIGHT_BITS, NEWEST_VERSIONS, Objection, objection
from edgepipe.pipeline.inspect.graph import FLOATS, Op, Subgraph, read_graph
from edgepipe.pipeline.inspect.layers import name_layers
from edgepipe.pipeline.inspect.macs import op_macs, runs
from edgepipe.pipeline.inspect.verify import Problem

# "The Edge TPU has roughly 8 MB of SRAM that can cache the model's parameter data", of which the program itself takes a little
# (https://coral.ai/docs/edgetpu/compiler/#parameter-data-caching); compilers report 7.7 to 8.1 MiB before anything is in it.
PARAMETER_CACHE_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class MappedOp:
    """One operator and where it runs: on the Edge TPU, or on the CPU for `reason`; `fix` is what may help.

    `follows` is True where the operator itself would be taken and only stands behind one that is not.
    """

    index: int
    op: str
    layer: str
    macs: int
    on_tpu: bool
    reason: str = ""
    fix: str = ""
    follows: bool = False


@dataclass(frozen=True, kw_only=True)
class TpuMapping:
    """Where every operator will run, as far as the published rules tell; bytes are those of the constants as stored in the file.

    `refused`: why the compiler would not take the file at all. `doubts`: what the rules leave open. `compiled`: the file went
    through the compiler already, which its own operator shows; its shares are then those of what was left outside.
    """

    ops: tuple[MappedOp, ...]
    parameter_bytes: int
    refused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    compiled: bool = False

    @property
    def ops_on_tpu(self) -> int:
        """Number of operators on the Edge TPU."""
        return sum(op.on_tpu for op in self.ops) if not self.refused else 0

    @property
    def op_share(self) -> float:
        """Share of the operators on the Edge TPU, 0 to 1."""
        return self.ops_on_tpu / len(self.ops) if self.ops else 0.0

    @property
    def mac_share(self) -> float | None:
        """Share of the multiply-accumulates on the Edge TPU; None for a model without any, or whose were compiled away."""
        total = sum(op.macs for op in self.ops)
        if not total or self.compiled:
            return None
        return sum(op.macs for op in self.ops if op.on_tpu) / total if not self.refused else 0.0

    @property
    def on_chip_bytes(self) -> int:
        """Parameters that the Edge TPU keeps, at most."""
        return min(self.parameter_bytes, PARAMETER_CACHE_BYTES)

    @property
    def off_chip_bytes(self) -> int:
        """Parameters that it is sent again with every inference, at least."""
        return self.parameter_bytes - self.on_chip_bytes

    @property
    def stopped_by(self) -> tuple[MappedOp, ...]:
        """The operators that are refused for reasons of their own, in the order of the file: the first ends the Edge TPU's part."""
        return tuple(op for op in self.ops if not op.on_tpu and not op.follows)


def map_model(content: bytes) -> TpuMapping:
    """Return where each operator of a `.tflite` will run on a Coral board.

    "As soon as an unsupported operation occurs, that operation and everything after it executes on the CPU, even if supported
    operations occur later" (https://coral.ai/docs/edgetpu/models-intro/#compiling): after means here whatever depends on it, which
    is how TensorFlow Lite divides a graph among delegates. Of a QUANTIZE that turns float inputs into int8 in front, the same page
    says that it stays on the CPU and ends nothing. Raises ModelFileError for a damaged file.
    """
    graphs = read_graph(content)
    named = name_layers(graphs, ())
    times = runs(graphs)
    mapped: list[MappedOp] = []
    for number, graph in enumerate(graphs):
        blocked: dict[int, int] = {}  # tensor -> index of the operator that keeps what depends on it from the Edge TPU
        for position, op in enumerate(graph.ops):
            index = len(mapped)
            blocker = next((blocked[each] for each in op.inputs if each in blocked), None)
            own = objection(graph, op) if number == 0 else _INSIDE
            on_tpu = (own is None and blocker is None) or op.name == COMPILED_OP
            if not on_tpu and not (blocker is None and _leads_in(graph, op)):
                blocked |= dict.fromkeys(op.outputs, index if own is not None or blocker is None else blocker)
            why = own or _behind(mapped, blocker)
            mapped.append(
                MappedOp(
                    index=index,
                    op=op.name,
                    layer=named[number, position],
                    macs=op_macs(graph, op) * times[number],
                    on_tpu=on_tpu,
                    reason="" if on_tpu else why.reason,
                    fix="" if on_tpu else why.fix,
                    follows=not on_tpu and own is None,
                )
            )
    return TpuMapping(
        ops=tuple(mapped),
        parameter_bytes=_parameter_bytes(graphs[0], mapped),
        refused=tuple(dict.fromkeys(_refusals(graphs))),
        doubts=tuple(_doubts(graphs[0], mapped)),
        compiled=any(op.op == COMPILED_OP for op in mapped),
    )


def mapping_warnings(mapping: TpuMapping) -> Iterator[Problem]:
    """Yield a line for everything that keeps operators from the Edge TPU, and one for the whole where it is little."""
    for reason in mapping.refused:
        yield Problem(where="Edge TPU compiler", reason=reason, fix="Convert with an older TensorFlow, or replace the layer.")
    for op in mapping.stopped_by:
        yield Problem(where=_where(op), reason=f"runs on the CPU: {op.reason}", fix=op.fix)
    behind = sum(op.follows for op in mapping.ops)
    if behind:
        macs = sum(op.macs for op in mapping.ops if op.follows)
        reason = f"{behind} operators with {macs:,} multiply-accumulates run on the CPU because they stand behind those above"
        yield Problem(where="model", reason=reason, fix="Mend the first, or move it to the end of the model.")
    if mapping.off_chip_bytes:
        reason = f"{mapping.off_chip_bytes:,} bytes of parameters do not fit the Edge TPU and are sent with every inference"
        yield Problem(where="parameters", reason=reason, fix="Make the model smaller, or expect the bus to be the limit.")


_INSIDE = Objection(reason="it stands inside a loop or a branch", fix="Unroll the loop; the Edge TPU runs straight graphs.")


def _where(op: MappedOp) -> str:
    return f'operator {op.index} {op.op} of layer "{op.layer}"' if op.layer else f"operator {op.index} {op.op}"


def _behind(mapped: Sequence[MappedOp], blocker: int | None) -> Objection:
    if blocker is None:
        return Objection(reason="", fix="")
    first = mapped[blocker]
    return Objection(
        reason=f"it stands behind operator {first.index} {first.op}, which runs on the CPU", fix="Mend that one first."
    )


def _leads_in(graph: Subgraph, op: Op) -> bool:
    """Whether this turns a float input of the model into int8."""
    ends = [graph.tensors[each].dtype for each in op.outputs]
    fed = all(each in graph.inputs and graph.tensors[each].dtype in FLOATS for each in op.inputs)
    return op.name == "QUANTIZE" and fed and all(dtype in EIGHT_BITS for dtype in ends)


def _parameter_bytes(graph: Subgraph, mapped: Sequence[MappedOp]) -> int:
    """Return the bytes of all constants that operators on the Edge TPU read, each counted once."""
    used = {each for op, place in zip(graph.ops, mapped, strict=False) if place.on_tpu for each in op.inputs if each >= 0}
    stored = {graph.tensors[each].buffer: graph.tensors[each].data for each in used}
    return sum(data.size for data in stored.values() if data is not None)


def _refusals(graphs: Sequence[Subgraph]) -> Iterator[str]:
    for op in (op for graph in graphs for op in graph.ops if not op.custom):
        if op.version > NEWEST_VERSIONS.get(op.name, op.version):
            yield f"version {op.version} of {op.name} is newer than the compiler, which then refuses the whole file"


def _doubts(graph: Subgraph, mapped: Sequence[MappedOp]) -> Iterator[str]:
    for name, count in Counter(op.op for op in mapped if op.on_tpu and op.op in DOUBTS).items():
        yield f"{name} ({count}): {DOUBTS[name]}"
    scaled = [
        op
        for op, place in zip(graph.ops, mapped, strict=False)
        if place.on_tpu
        and op.name == "FULLY_CONNECTED"
        and (weights := graph.input_of(op, 1)) is not None
        and weights.scales.size > 1
    ]
    if scaled:
        yield f"FULLY_CONNECTED ({len(scaled)}): a scale per output channel is newer than the compiler; no rule speaks of it"
