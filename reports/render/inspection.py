"""What a model file says of itself, as sheets: operators and tensors of a `.tflite`, layers of a `.keras`."""

from __future__ import annotations

from collections.abc import Iterable

from edgepipe.facts import Inspection, KerasInspection, OpFacts, Quantisation, TensorFacts, TensorPort, TensorRole
from edgepipe.reports import words
from edgepipe.reports.render.sheets import Sheet

NAME = 28  # letters of a name; what a converter joins of all that was fused has hundreds, and --json has it whole
NAMED = 3  # tensors that are called by their names; the others are counted


def sheets(name: str, inspection: Inspection | KerasInspection) -> tuple[Sheet, ...]:
    """Return all sheets of one file; `name` is what to call it."""
    if isinstance(inspection, KerasInspection):
        return Sheet(title=name, rows=tuple(_keras_summary(inspection))), _layers(inspection)
    weights = [tensor for tensor in inspection.tensors if tensor.role is TensorRole.WEIGHT]
    constants = [tensor for tensor in inspection.tensors if tensor.sha256 is not None and tensor.role is not TensorRole.WEIGHT]
    computed = [tensor for tensor in inspection.tensors if tensor.sha256 is None]
    found = (
        Sheet(title=name, rows=tuple(_summary(inspection))),
        _operators(inspection),
        _constants("Weights", weights),
        _constants("Other constants", constants),
        _computed(computed),
    )
    return tuple(sheet for sheet in found if sheet.rows)


def _summary(inspection: Inspection) -> Iterable[tuple[str, str]]:
    facts = inspection.facts
    share, kinds = facts.int8_mac_share, {op.op for op in facts.ops}
    zeros = f", {words.percent(1 - facts.nonzero / facts.elements)} zero" if facts.elements else ""
    yield "sha256", facts.sha256[:16]
    yield "size", f"{facts.size_bytes:,} bytes: {inspection.stored_bytes:,} of constants, the rest is names, structure and metadata"
    yield "inputs", "; ".join(_port(port) for port in facts.inputs) or "none"
    yield "outputs", "; ".join(_port(port) for port in facts.outputs) or "none"
    yield "operators", f"{len(facts.ops):,} of {len(kinds):,} kind{'' if len(kinds) == 1 else 's'}"
    yield "MACs", f"{facts.macs:,}" + ("" if share is None else f", {words.percent(share)} of them in integers")
    yield (
        "weights",
        f"{facts.elements:,}{zeros}",
    )
    yield "float tensors", _some(facts.float_tensors)
    yield "open dimensions", _some(facts.dynamic_tensors)
    yield "Flex operators", _some(facts.flex_ops)
    yield "custom operators", _some(facts.custom_ops)
    if facts.uncalibrated_tensors:
        yield "odd ranges", "; ".join(facts.uncalibrated_tensors[:NAMED])


def _some(names: tuple[str, ...]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{len(names):,}: {', '.join(words.short(name, NAME) for name in names[:NAMED])}{more}"


def _port(port: TensorPort) -> str:
    offset = f"{'+' if (port.zero_point or 0) < 0 else '−'} {abs(port.zero_point or 0)}"
    scale = "" if port.scale is None else f", real = {port.scale:.6g} · (q {offset})"
    return f"{words.short(port.name, NAME)} {port.dtype} {words.shape(port.shape)}{scale}"


def _keras_summary(inspection: KerasInspection) -> Iterable[tuple[str, str]]:
    totals = inspection.totals
    unknown = totals["layers_of_unknown_parameters"]
    yield "sha256", inspection.sha256[:16]
    yield "size", f"{inspection.size_bytes:,} bytes"
    yield "written by", inspection.written_by
    yield "inputs", "; ".join(_port(port) for port in inspection.inputs) or "none"
    yield "layers", f"{totals['layers']:,}"
    yield "parameters", f"{totals['known_parameters']:,}" + (f" without those of {unknown:,} layers not known" if unknown else "")


def _layers(inspection: KerasInspection) -> Sheet:
    return Sheet(
        title="Layers",
        columns=("layer", "kind", "input", "parameters", "activation"),
        numbers=frozenset({"parameters"}),
        rows=tuple(
            (
                words.short(layer.name, 2 * NAME),
                layer.kind,
                words.DASH if layer.input_shape is None else words.shape(layer.input_shape),
                words.whole(layer.parameters),
                layer.activation or "",
            )
            for layer in inspection.layers
        ),
    )


def _operators(inspection: Inspection) -> Sheet:
    return Sheet(
        title="Operators",
        columns=("#", "operator", "v", "layer", "MACs", "dtypes"),
        numbers=frozenset({"#", "v", "MACs"}),
        rows=tuple(
            (str(op.index), op.op, str(op.version), words.short(op.layer, NAME), f"{op.macs:,}", _dtypes(op))
            for op in inspection.facts.ops
        ),
    )


def _dtypes(op: OpFacts) -> str:
    """Return "int8, int32 → int8", or one dtype where it is everywhere."""
    taken, given = dict.fromkeys(op.input_dtypes), dict.fromkeys(op.output_dtypes)
    return next(iter(given), "") if taken == given and len(given) == 1 else f"{', '.join(taken)} → {', '.join(given)}"


def _constants(title: str, tensors: list[TensorFacts]) -> Sheet:
    return Sheet(
        title=title,
        columns=("#", "layer", "dtype", "shape", "bytes", "scale, zero point", "zeros", "clusters"),
        numbers=frozenset({"#", "bytes", "zeros", "clusters"}),
        rows=tuple(
            (
                *_head(tensor),
                "shared" if tensor.shared else words.whole(tensor.size_bytes),
                _quantisation(tensor.quantisation),
                words.percent(tensor.sparsity),
                words.count(tensor.clusters),
            )
            for tensor in tensors
        ),
    )


def _computed(tensors: list[TensorFacts]) -> Sheet:
    return Sheet(
        title="Computed tensors",
        columns=("#", "layer", "dtype", "shape", "bytes", "scale, zero point", "role"),
        numbers=frozenset({"#", "bytes"}),
        rows=tuple(
            (
                *_head(tensor),
                words.whole(tensor.size_bytes),
                _quantisation(tensor.quantisation),
                "" if tensor.role is TensorRole.COMPUTED else tensor.role.value,
            )
            for tensor in tensors
        ),
    )


def _head(tensor: TensorFacts) -> tuple[str, str, str, str]:
    number = f"{tensor.graph}.{tensor.index}" if tensor.graph else str(tensor.index)
    return number, words.short(tensor.layer or tensor.name or "(no name)", NAME), tensor.dtype, words.shape(tensor.shape)


def _quantisation(given: Quantisation | None) -> str:
    """Return "0.5847, 83", or "0.0046…0.0224 ×64 on axis 3" for a scale per channel."""
    if given is None:
        return words.DASH
    if given.axis is None:
        return f"{given.scale_min:.4g}, {given.zero_point_min}"
    zero = "" if given.zero_point_min == given.zero_point_max == 0 else f", {given.zero_point_min}…{given.zero_point_max}"
    return f"{given.scale_min:.2g}…{given.scale_max:.2g}{zero} ×{given.channels} axis {given.axis}"
