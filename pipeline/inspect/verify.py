"""Does a file fit a target? Requirements from the file, capabilities from the target or the board, and every mismatch at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgepipe.facts import GraphFacts, OpFacts
from edgepipe.pipeline.inspect.graph import STORED_BITS
from edgepipe.pipeline.targets import Target
from edgepipe.records import Capabilities, Requirements

FLOAT_FIX = "Convert with int8 input, output and representative data: `edgepipe quantize --mode int8`."
BATCH_FIX = "Convert with a fixed batch: `edgepipe convert` does."
SHOWN = 8  # names listed per problem; the rest is counted


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that stands in the way, or that deserves a warning: where it is, why, and what helps."""

    where: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}. {self.fix}"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Everything that keeps a model from a target, and what is suspicious although it would run."""

    target: str
    requirements: Requirements
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.problems


def requirements(facts: GraphFacts, arena_bytes: int | None = None) -> Requirements:
    """Return what the file needs to run. `arena_bytes` as measured by `find_arena`, None where it was not.

    `flash_bytes` is the file itself; a TFLite Micro runtime of 70 to 120 kB comes on top of it.
    """
    versions: dict[str, int] = {}
    for op in facts.ops:
        versions[op.op] = max(op.version, versions.get(op.op, 0))
    ports = (port.dtype for port in (*facts.inputs, *facts.outputs))
    inner = (dtype for op in facts.ops for dtype in (*op.input_dtypes, *op.output_dtypes))
    return Requirements(
        dtypes=tuple(sorted({*ports, *inner})),
        ops=versions,
        flash_bytes=facts.size_bytes,
        arena_bytes=arena_bytes,
        fixed_shapes=not _computes_shapes(facts),
    )


def verify(
    facts: GraphFacts,
    target: Target,
    *,
    capabilities: Capabilities | None = None,
    arena_bytes: int | None = None,
) -> Verification:
    """Return all problems and warnings of this file on `target`.

    `capabilities`: what a real board reported, or the target's own with limits set; `arena_bytes`: as measured by `find_arena`.
    """
    offered = capabilities or target.capabilities
    needed = requirements(facts, arena_bytes)
    problems = (
        *_operators(facts, offered, target),
        *_ports(facts, target),
        *_dtypes(facts, offered),
        *_shapes(facts, offered),
        *(_sparse(facts) if not target.sparse else ()),
        *_memory(needed, offered),
    )
    warnings = tuple(_warnings(facts, offered, target))
    return Verification(target=target.name, requirements=needed, problems=problems, warnings=warnings)


def _named(names: tuple[str, ...]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _where(op: OpFacts) -> str:
    return f'operator {op.index} {op.op} of layer "{op.layer}"' if op.layer else f"operator {op.index} {op.op}"


def _operators(facts: GraphFacts, offered: Capabilities, target: Target) -> Iterator[Problem]:
    flex, custom = frozenset(facts.flex_ops), frozenset(facts.custom_ops)
    for op in facts.ops:
        if op.op in custom & target.custom_ops:
            continue
        newest = None if offered.ops is None else offered.ops.get(op.op)
        if op.op in flex:
            fix = "Convert with TFLITE_BUILTINS only, and replace the layer where that fails."
            yield Problem(where=_where(op), reason="a TensorFlow (Flex) operator, which needs TensorFlow on the device", fix=fix)
        elif op.op in custom and (offered.ops is None or newest is None):
            yield Problem(where=_where(op), reason="a custom operator", fix="Replace the layer by built-in ones.")
        elif offered.ops is not None and newest is None:
            yield Problem(where=_where(op), reason="the runtime there does not have it", fix="Replace the layer.")
        elif newest is not None and op.version > newest:
            reason = f"version {op.version}; the runtime there knows up to {newest}"
            yield Problem(where=_where(op), reason=reason, fix="Update the runtime on the board, or convert for an older one.")


def _ports(facts: GraphFacts, target: Target) -> Iterator[Problem]:
    for side, ports in (("input", facts.inputs), ("output", facts.outputs)):
        for port in ports:
            if target.io_dtypes is not None and port.dtype not in target.io_dtypes:
                yield Problem(where=f'{side} "{port.name}"', reason=f"is {port.dtype}, not int8", fix=FLOAT_FIX)


def _dtypes(facts: GraphFacts, offered: Capabilities) -> Iterator[Problem]:
    if offered.dtypes is None:
        return
    for op in facts.ops:
        refused = sorted({dtype for dtype in (*op.input_dtypes, *op.output_dtypes) if dtype not in offered.dtypes})
        if refused:
            weights = "int8" in op.input_dtypes and "float32" in op.input_dtypes
            what = "int8 weights on float data (hybrid), which only LiteRT runs" if weights else f"computes in {', '.join(refused)}"
            yield Problem(where=_where(op), reason=what, fix=FLOAT_FIX)


def _computes_shapes(facts: GraphFacts) -> bool:
    """An open batch is stored as 1 beside its -1, which TFLite Micro takes; operators that compute shapes from it are refused."""
    return bool(facts.dynamic_tensors) and any(op.op == "SHAPE" for op in facts.ops)


def _shapes(facts: GraphFacts, offered: Capabilities) -> Iterator[Problem]:
    if not offered.open_shapes and _computes_shapes(facts):
        where = f"tensors {_named(facts.dynamic_tensors)}"
        yield Problem(where=where, reason="their shapes are computed at run time from an open batch", fix=BATCH_FIX)


def _sparse(facts: GraphFacts) -> Iterator[Problem]:
    for weight in facts.weights:
        if weight.size_bytes * 8 < weight.elements * STORED_BITS[weight.dtype]:
            reason = "its zeros are left out of the file, which the runtime there cannot read"
            yield Problem(where=f'weights of layer "{weight.layer}"', reason=reason, fix="Convert without EXPERIMENTAL_SPARSITY.")


def _memory(needed: Requirements, offered: Capabilities) -> Iterator[Problem]:
    if offered.flash_bytes is not None and needed.flash_bytes > offered.flash_bytes:
        fix = "Quantise to int8, or make the largest layer smaller."
        yield Problem(where="flash", reason=_excess(needed.flash_bytes, offered.flash_bytes), fix=fix)
    if offered.model_bytes is not None and needed.flash_bytes > offered.model_bytes:
        fix = "Quantise to int8, or make the largest layer smaller; or `edgepipe export` it, to be read from flash."
        yield Problem(where="RAM for the file", reason=_excess(needed.flash_bytes, offered.model_bytes), fix=fix)
    if offered.arena_bytes is not None and needed.arena_bytes is not None and needed.arena_bytes > offered.arena_bytes:
        fix = "Make the largest activations smaller: stride or pool earlier, use fewer channels."
        yield Problem(where="arena", reason=_excess(needed.arena_bytes, offered.arena_bytes), fix=fix)


def _excess(needed: int, offered: int) -> str:
    return f"{needed:,} bytes, {needed - offered:,} more than the {offered:,} allowed"


def _warnings(facts: GraphFacts, offered: Capabilities, target: Target) -> Iterator[Problem]:
    for finding in facts.uncalibrated_tensors:
        fix = "Calibrate with real samples, scaled as they will be on the device."
        name, _, reason = finding.partition(": ")
        yield Problem(where=f'tensor "{name}"', reason=reason or "its range fits no real data", fix=fix)
    if facts.dynamic_tensors and not offered.open_shapes and not _computes_shapes(facts):
        reason = f"left open in the file; {'TFLite Micro' if target.in_arena else 'the runtime there'} takes the stored 1"
        yield Problem(where=f"batch of {len(facts.dynamic_tensors)} tensors", reason=reason, fix=BATCH_FIX)
    if facts.float_tensors and offered.dtypes is None and facts.int8_mac_share and facts.int8_mac_share < 1:
        share = f"{facts.int8_mac_share:.0%} of the multiplications are in integers"
        reason = f"{len(facts.float_tensors)} tensors are float; {share}"
        yield Problem(where="model", reason=reason, fix=FLOAT_FIX)
