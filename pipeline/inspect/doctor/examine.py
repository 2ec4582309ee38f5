"""The examination: a model and a target in, every finding out. Nothing of the model is run, TensorFlow is not imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepipe.diagnosis import TECHNIQUES, Budget, Examination, Finding, LayerDiagnosis, Severity
from edgepipe.errors import UsageError
from edgepipe.facts import TensorPort
from edgepipe.pipeline.hardware import Hardware
from edgepipe.pipeline.hardware import board as named_board
from edgepipe.pipeline.inspect.doctor.budget import against, budget
from edgepipe.pipeline.inspect.doctor.checks import Patient, findings
from edgepipe.pipeline.inspect.doctor.codes import finding
from edgepipe.pipeline.inspect.doctor.lowering import Lowered, lower
from edgepipe.pipeline.inspect.doctor.network import read_network
from edgepipe.pipeline.inspect.doctor.techniques import treatments
from edgepipe.pipeline.inspect.doctor.tflite import examine_tflite
from edgepipe.pipeline.inspect.keras_archive import read_config
from edgepipe.pipeline.inspect.keras_classes import objections
from edgepipe.pipeline.inspect.keras_training import take_training, training_objections
from edgepipe.pipeline.targets import TARGETS, Target

ORDER = [*Severity]


def examine(path: Path, *, target: str = "mcu", board: str | None = None, modules: frozenset[str] = frozenset()) -> Examination:
    """Return everything that will go wrong with a `.keras` or `.tflite` on `target`, read from the file alone.

    `modules` are those of the user's own that a `.keras` may name; none of them is imported.
    Raises ModelFileError for a damaged file, UsageError for an unknown target or board.
    """
    place, hardware = where(target, board)
    if path.suffix == ".tflite":
        return examine_tflite(path, place, hardware)
    config, _ = read_config(path)
    return examine_config(config, name=path.name, source="keras", place=place, hardware=hardware, modules=modules)


def where(target: str, board: str | None) -> tuple[Target, Hardware | None]:
    """Return the target and the board of these names. Raises UsageError, also for a board that is of another kind."""
    if target not in TARGETS:
        known = [f"{each.name}: {each.summary}" for each in TARGETS.values()]
        raise UsageError(f'unknown target "{target}"; known are {", ".join(TARGETS)}', problems=known)
    place = TARGETS[target]
    hardware = named_board(board) if board else None
    if hardware is not None and TARGETS[hardware.target].in_arena != place.in_arena:
        raise UsageError(f'"{hardware.name}" is no board for the target "{target}"', todo=f"Give --target {hardware.target}.")
    return place, hardware


def examine_config(
    config: dict[str, Any],
    *,
    name: str,
    source: str,
    place: Target,
    hardware: Hardware | None,
    modules: frozenset[str] = frozenset(),
) -> Examination:
    """Return the examination of a model's configuration, of either Keras; what it was compiled with is taken out of it.

    Raises ModelFileError where it does not say how its layers are joined.
    """
    training = [*take_training(config)]
    lines = dict.fromkeys([*objections(config, modules=modules), *training_objections(training)])
    foreign = [_code_of_its_own(line) for line in lines]
    settings = config.get("config")
    if not isinstance(settings, dict) or not isinstance(settings.get("layers"), list):
        found = (*foreign, finding("EP102", f"{config.get('class_name', 'the model'):.80} is a class of its own"))
        return Examination(
            model=name,
            target=place.name,
            source=source,
            inputs=(),
            layers=(),
            findings=found,
            budget=against(None, None, None, hardware),
        )
    network = read_network(config)
    layers = lower(network)
    inputs = tuple(_inputs(layers))
    keras_3 = "batch_input_shape" not in json.dumps(config)  # tf_keras alone writes it
    patient = Patient(
        network=network,
        layers=layers,
        treatments=tuple(treatments(layers, number, place, keras_3=keras_3) for number in range(len(layers))),
        inputs=inputs,
        target=place,
        budget=budget(network, layers, hardware) if place.in_arena else _weights_only(layers, hardware),
    )
    strange = {found.layer for found in foreign}
    known = (found for found in findings(patient) if found.code != "EP104" or found.layer.rsplit("/", 1)[-1] not in strange)
    return Examination(
        model=name,
        target=place.name,
        source=source,
        inputs=inputs,
        layers=tuple(_rows(patient)),
        findings=tuple(sorted((*foreign, *known), key=lambda each: ORDER.index(each.severity))),
        budget=patient.budget,
    )


def _code_of_its_own(line: str) -> Finding:
    """Return the finding for a line such as: layer "twice": a Lambda holds Python code."""
    owner, _, reason = line.partition(": ")
    return finding("EP101", reason or line, layer=owner.removeprefix('layer "').rstrip('"') if owner.startswith("layer") else "")


def _inputs(layers: tuple[Lowered, ...]) -> Iterator[TensorPort]:
    for layer in layers:
        if layer.call.kind == "InputLayer":
            dtype = layer.call.settings.get("dtype")
            shape = (-1, *(layer.shape or ()))
            yield TensorPort(name=layer.call.path, shape=shape, dtype=dtype if isinstance(dtype, str) else "float32")


def _weights_only(layers: tuple[Lowered, ...], hardware: Hardware | None) -> Budget:
    sizes = [layer.weights_bytes for layer in layers]
    known = [size for size in sizes if size is not None]
    return against(sum(known) if len(known) == len(sizes) else None, None, None, hardware)


def _rows(patient: Patient) -> Iterator[LayerDiagnosis]:
    for layer, treated in zip(patient.layers, patient.treatments, strict=True):
        if layer.call.kind != "InputLayer" and layer.call.first:
            yield LayerDiagnosis(
                layer=layer.call.path,
                kind=layer.call.kind,
                shape=layer.shape,
                ops=layer.ops,
                macs=layer.macs,
                weights_bytes=layer.weights_bytes,
                treatments={name: treated[name] for name in TECHNIQUES},
            )
