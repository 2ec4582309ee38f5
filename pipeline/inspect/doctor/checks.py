"""The findings of a model of layers: one small function for each thing that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgepipe.diagnosis import Budget, Finding, Severity, Treatment, Verdict
from edgepipe.facts import TensorPort
from edgepipe.pipeline.inspect.doctor.activations import LOOP
from edgepipe.pipeline.inspect.doctor.codes import finding
from edgepipe.pipeline.inspect.doctor.lowering import Lowered
from edgepipe.pipeline.inspect.doctor.network import Network
from edgepipe.pipeline.inspect.doctor.techniques import SEES_FLOAT, UNROUNDED, steps_beyond
from edgepipe.pipeline.keras_twins import NEWER, OPERATIONS
from edgepipe.pipeline.targets import Target

SCALES_ITSELF = ("Rescaling", "Normalization", "BatchNormalization")
PICTURE_CHANNELS = (1, 3, 4)
SMALLEST_PICTURE = 16  # pixels on the shorter side
HUGE_SHARE, HUGE_WEIGHTS = 0.7, 100_000


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is examined: the network, each call lowered, what every technique does with it, and where it is to run."""

    network: Network
    layers: tuple[Lowered, ...]
    treatments: tuple[Mapping[str, Treatment], ...]
    inputs: tuple[TensorPort, ...]
    target: Target
    budget: Budget


def findings(patient: Patient) -> Iterator[Finding]:
    """Yield everything about the model, worst first within each check."""
    for check in CHECKS:
        yield from check(patient)


def _each(patient: Patient) -> Iterator[tuple[Lowered, Mapping[str, Treatment]]]:
    """Yield each layer once, however often it is called, with its treatments."""
    for layer, treated in zip(patient.layers, patient.treatments, strict=True):
        if layer.call.first:
            yield layer, treated


def open_inputs(patient: Patient) -> Iterator[Finding]:
    for port in patient.inputs:
        if -1 in port.shape[1:]:
            yield finding("EP103", f'input "{port.name}" is {list(port.shape[1:])}; -1 is open', layer=port.name)


def unknown(patient: Patient) -> Iterator[Finding]:
    for layer, _ in _each(patient):
        name = layer.call.kind.removeprefix("op:")
        if layer.call.kind != name and name[0].isupper() and name not in OPERATIONS:  # a class of Keras 3
            yield finding("EP107", f"keras.ops.{name} has no twin in Keras 2", layer=layer.call.path)
        elif newer := [key for key in sorted(NEWER) if layer.call.settings.get(key)]:
            yield finding("EP107", f"{layer.call.kind} has no {' and no '.join(newer)} in Keras 2", layer=layer.call.path)
        elif not layer.known:
            yield finding(
                "EP104", f"{layer.call.kind} is not in the doctor's table, or its settings are not", layer=layer.call.path
            )


def on_target(patient: Patient) -> Iterator[Finding]:
    """What the target cannot run, under the code of its reason."""
    for layer, treated in _each(patient):
        if treated["target"].verdict is Verdict.IMPOSSIBLE:
            reason = treated["target"].reason
            yield finding(_reason_code(layer, patient.target), f"{layer.call.kind}: {reason}", layer=layer.call.path, why=reason)


def _reason_code(layer: Lowered, target: Target) -> str:
    if any(op.startswith("tf.") for op in layer.ops):
        return "EP201"
    if LOOP in layer.ops or steps_beyond(layer):
        return "EP205"
    if SEES_FLOAT & {*layer.ops} and not target.computes_in("float32"):
        return "EP204"
    return "EP202" if any(op.partition(" of ")[0] not in (target.ops or ()) for op in layer.ops) else "EP203"


def elsewhere(patient: Patient) -> Iterator[Finding]:
    """What blocks int8 on a target that could run the float model: a warning there."""
    for layer, treated in _each(patient):
        if treated["int8"].verdict is Verdict.IMPOSSIBLE and treated["target"].verdict is not Verdict.IMPOSSIBLE:
            code = "EP205" if LOOP in layer.ops or steps_beyond(layer) else "EP204"
            reason = treated["int8"].reason
            yield finding(
                code, f"{layer.call.kind}: {reason}", layer=layer.call.path, why="int8 is not to be had", severity=Severity.WARNING
            )


def unrolled(patient: Patient) -> Iterator[Finding]:
    for layer, _ in _each(patient):
        if "UNPACK" in layer.ops and not steps_beyond(layer):
            yield finding("EP206", f"{layer.call.kind} is unrolled, step by step", layer=layer.call.path)


def training(patient: Patient) -> Iterator[Finding]:
    """What the training stages leave out, rewrite or cannot have."""
    rows = [(layer, treated) for layer, treated in _each(patient) if layer.call.kind != "InputLayer"]
    for layer, treated in rows:
        qat = treated["qat"]
        if qat.reason.startswith(UNROUNDED):
            yield finding("EP302", qat.reason, layer=layer.call.path)
        elif layer.call.kind == "BatchNormalization" and qat.verdict is Verdict.SKIPPED:
            yield finding("EP303", qat.reason, layer=layer.call.path)
    skipped = [layer for layer, treated in rows if treated["qat"].verdict is Verdict.SKIPPED and layer.ops]
    if skipped:
        kinds = ", ".join(dict.fromkeys(layer.call.kind for layer in skipped))
        yield finding("EP301", f"{len(skipped)} of {len(rows)} layers are left out: {kinds}", layer=skipped[0].call.path)
    if rewritten := [layer for layer, treated in rows if treated["qat"].verdict is Verdict.REWRITTEN]:
        kinds = ", ".join(dict.fromkeys(layer.call.kind for layer in rewritten))
        yield finding("EP305", f"{len(rewritten)} of {len(rows)} layers: {kinds}", layer=rewritten[0].call.path)
    able = (Verdict.OK, Verdict.REWRITTEN)
    if idle := [stage for stage in ("prune", "cluster") if not any(treated[stage].verdict in able for _, treated in rows)]:
        yield finding("EP304", f"no layer has weights for the stages {' and '.join(idle)}")


def precision(patient: Patient) -> Iterator[Finding]:
    for layer, _ in _each(patient):
        policy = layer.call.settings.get("dtype")
        name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
        if isinstance(name, str) and ("mixed" in name or name in ("float16", "bfloat16", "float64")):
            yield finding("EP105", f"its dtype policy is {name}", layer=layer.call.path)
            return  # one word is enough: a policy is set for all layers


def outputs(patient: Patient) -> Iterator[Finding]:
    if len(patient.network.outputs) > 1:
        yield finding("EP106", f"the model has {len(patient.network.outputs)} outputs")


def memory(patient: Patient) -> Iterator[Finding]:
    yield from memory_findings(patient.budget)


def memory_findings(budget: Budget) -> Iterator[Finding]:
    """Yield what a board has too little of."""
    flash, room = budget.flash_bytes, budget.board_flash_bytes
    if flash is not None and room is not None and flash > room:
        yield finding("EP401", f"about {flash:,} bytes of flash with the runtime, and {budget.board} has {room:,}")
    low, high, ram = budget.arena_low_bytes, budget.arena_high_bytes, budget.board_ram_bytes
    if low is None or high is None or ram is None:
        return
    if low > ram:
        yield finding("EP402", f"at least {low:,} bytes of arena, and {budget.board} has {ram:,} of RAM")
    elif high > ram:
        yield finding("EP403", f"{low:,} to {high:,} bytes of arena, and {budget.board} has {ram:,} of RAM")


def huge_dense(patient: Patient) -> Iterator[Finding]:
    total = sum(layer.weights or 0 for layer in patient.layers)
    for layer, _ in _each(patient):
        weights = layer.weights or 0
        if layer.call.kind == "Dense" and weights > HUGE_WEIGHTS and weights > HUGE_SHARE * total:
            share = f"{weights:,} of {total:,} weights ({weights / total:.0%})"
            yield finding("EP404", share, layer=layer.call.path)


def preprocessing(patient: Patient) -> Iterator[Finding]:
    """Whether pictures are scaled inside, and whether word numbers come in as floats."""
    takers = patient.network.takers()
    for number, layer in enumerate(patient.layers):
        if layer.call.kind != "InputLayer":
            continue
        first = [patient.layers[each].call.kind for each in takers[number] if each >= 0]
        dtype = layer.call.settings.get("dtype")
        if "Embedding" in first and not (isinstance(dtype, str) and "int" in dtype):
            yield finding("EP504", f'input "{layer.call.path}" is {dtype or "float32"}', layer=layer.call.path)
        if not is_picture(layer.shape or ()):
            continue
        if any(kind in SCALES_ITSELF for kind in _beginning(patient, number, takers)):
            yield finding("EP502", "the network scales its pictures by itself: feed raw values", layer=layer.call.path)
        else:
            yield finding("EP501", "the network does not scale its pictures: feed them as in training", layer=layer.call.path)


def _beginning(patient: Patient, number: int, takers: Mapping[int, Sequence[int]]) -> Iterator[str]:
    """Yield the kinds of the first layers behind an input, up to the first with weights to learn."""
    while len(after := [each for each in takers[number] if each >= 0]) == 1:
        number = after[0]
        kind = patient.layers[number].call.kind
        yield kind
        if patient.layers[number].macs:
            return


def is_picture(shape: Sequence[int]) -> bool:
    """Whether a shape without the batch is that of a picture: height, width, 1 to 4 channels."""
    return len(shape) == 3 and shape[-1] in PICTURE_CHANNELS and all(size < 0 or size >= SMALLEST_PICTURE for size in shape[:2])


CHECKS = (open_inputs, on_target, elsewhere, memory, unknown, precision, outputs, training, unrolled, huge_dense, preprocessing)
