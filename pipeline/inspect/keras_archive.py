"""What a `.keras` file says of itself, read without TensorFlow and before it: is it safe, is it whole, what are its inputs."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.facts import TensorPort
from edgepipe.pipeline.inspect.keras_classes import objections, printable
from edgepipe.pipeline.inspect.keras_training import take_training, training_objections
from edgepipe.pipeline.inspect.keras_wiring import unreachable
from edgepipe.pipeline.zip_damage import ZIP_DAMAGE

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
# Configurations of Keras's own largest models stay under 2 MiB; one of 16 MiB can take a hundred times that in memory.
LARGEST_BYTES = {"metadata.json": 64 << 10, "config.json": 16 << 20, "model.weights.h5": 4 << 30}
LARGEST_RATIO = 100  # of unpacked to packed; trained weights hardly compress at all
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1  # bit of a member's flags


@dataclass(frozen=True, kw_only=True)
class KerasArchive:
    """The static part of a `.keras` file: who wrote it, its configuration, its inputs (batch -1)."""

    keras_version: str
    config: dict[str, Any]
    """Without what the model was compiled with."""
    training: object
    """What it was compiled with, as Keras wrote it: only to be read, since it may name code of anybody's."""
    inner_training: bool
    """True where a model within the model was compiled too."""
    inputs: tuple[TensorPort, ...]
    rescales: bool
    """True where a first layer rescales or normalises, so that the model takes raw values such as 0..255."""

    @property
    def is_keras_3(self) -> bool:
        """True for a file of Keras 3, which TF-MOT cannot take as it is."""
        return int(self.keras_version.split(".")[0]) >= 3 and not self._written_by_tf_keras

    @property
    def _written_by_tf_keras(self) -> bool:
        # tf_keras carries TensorFlow's version number; only Keras 3 writes `batch_shape` and lists of {"args": …} nodes.
        return "batch_input_shape" in json.dumps(self.config)


def read_archive(path: Path, *, modules: frozenset[str] = frozenset()) -> KerasArchive:
    """Return what a `.keras` file says of itself. `modules` are the user's own, whose layers it may name.

    Raises ModelFileError for a missing, truncated or foreign file, and UnsupportedModel that lists every layer with code of its own
    (Lambda, subclass, foreign module). A loss, metric or optimiser of anybody's own is no reason to refuse the file: only layers
    are loaded. Nothing in the file is executed, imported or unpacked to disk.
    """
    config, metadata = read_config(path)
    training, inner = take_training(config)
    if foreign := list(dict.fromkeys([*objections(config, modules=modules), *training_objections([training, inner])])):
        raise UnsupportedModel(
            f"{path} holds code of its own, which is not run",
            problems=[*foreign[:20], *([f"and {len(foreign) - 20} more"] if len(foreign) > 20 else [])],
            cause="a subclassed model, a Lambda or a custom layer",
            todo="Build the model from Keras layers (functional or Sequential); move preprocessing in front of it. "
            "Layers of a module of yours: --allow-module MODULE.",
        )
    if waiting := list(map(printable, unreachable(config))):
        raise ModelFileError(f"{path}: its layers cannot be joined", problems=waiting[:20], cause="its configuration is damaged")
    layers = config["config"].get("layers") or []
    try:
        inputs = tuple(_inputs(config, layers))
    except (TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise ModelFileError(f"{path}: its configuration is damaged: an Input layer without a shape ({exc})") from exc
    version = str(metadata.get("keras_version", "0"))
    if not version.split(".")[0].isdecimal() or len(version) > 40:
        raise ModelFileError(f"{path}: metadata.json names no version of Keras ({version!r:.60})")
    first = [kind for kind in _kinds(layers) if not kind.startswith("Random")][: len(inputs) + 2]
    rescales = bool({"Rescaling", "Normalization", "BatchNormalization"} & {*first})
    return KerasArchive(
        keras_version=version, config=config, training=training, inner_training=bool(inner), inputs=inputs, rescales=rescales
    )


def _kinds(layers: list[Any]) -> Iterator[str]:
    """Yield the classes of layers in their order; those of a first model within the model, such as one that augments, too."""
    for number, layer in enumerate(layers):
        if isinstance(layer, dict):
            inner = layer.get("config", {}).get("layers") if isinstance(layer.get("config"), dict) else None
            if isinstance(inner, list) and number < 2:
                yield from (str(each.get("class_name")) for each in inner[1:] if isinstance(each, dict))
            else:
                yield str(layer.get("class_name"))


def read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration and the metadata of a `.keras` file, whatever code they may name; nothing of it is run.

    Raises ModelFileError for a missing, truncated or foreign file.
    """
    try:
        if path.exists() and not path.is_file():
            raise ModelFileError(f"{path} is not a .keras file: it is a folder, pipe or device")
        with zipfile.ZipFile(path) as archive:
            return _members(path, archive)
    except FileNotFoundError as exc:
        raise ModelFileError(
            f"there is no model at {path}", cause="a typo, or another current folder", todo="Check the path."
        ) from exc
    except ZIP_DAMAGE as exc:
        raise ModelFileError(
            f"{path} is not a .keras file: {exc}", cause="the file is empty, cut short or in another format"
        ) from exc


def require_fixed_inputs(inputs: Sequence[TensorPort]) -> None:
    """Raise UnsupportedModel that lists every input with an open dimension besides the batch."""
    if problems := [f'input "{port.name}" is {port.shape}; -1 is open' for port in inputs if -1 in port.shape[1:]]:
        raise UnsupportedModel(
            "the model takes inputs of any size",
            problems=problems,
            cause="an Input layer with None in its shape",
            todo="Give the Input layer a fixed shape; a board needs to know how much memory to set aside.",
        )


def _members(path: Path, archive: zipfile.ZipFile) -> tuple[dict[str, Any], dict[str, Any]]:
    names = archive.namelist()
    extra = [name for name in names if name not in MEMBERS]
    missing = sorted(MEMBERS - set(names))
    if extra or missing or len(names) != len(set(names)):
        raise ModelFileError(
            f"{path} is not a .keras file of Keras",
            problems=[
                *(f"{name!r:.80} does not belong in it" for name in extra[:5]),
                *(f"{name} is missing" for name in missing),
                *(f"{name} is in it more than once" for name in sorted(MEMBERS) if names.count(name) > 1),
            ],
        )
    if problems := [problem for member in archive.infolist() for problem in _member_problems(member)]:
        raise ModelFileError(f"{path} is not a .keras file of Keras", problems=problems)
    try:
        config, metadata = (json.loads(archive.read(name)) for name in ("config.json", "metadata.json"))
    except (ValueError, RecursionError) as exc:
        raise ModelFileError(f"{path}: its configuration is damaged: {exc}") from exc
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict) or not isinstance(metadata, dict):
        raise ModelFileError(f"{path}: its configuration is not that of a Keras model")
    return config, metadata


def _member_problems(member: zipfile.ZipInfo) -> Iterator[str]:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        yield f"{member.filename} is a link, folder or device"
    if member.flag_bits & ENCRYPTED:
        yield f"{member.filename} is encrypted"
    if member.compress_type not in PACKINGS:
        yield f"{member.filename} is packed by method {member.compress_type}, which Keras does not use"
    if member.file_size > LARGEST_BYTES[member.filename]:
        yield f"{member.filename} is larger than {LARGEST_BYTES[member.filename] >> 10} KiB"
    if member.file_size > LARGEST_RATIO * max(1, member.compress_size):
        yield f"{member.filename} unpacks to more than {LARGEST_RATIO} times its size"


def _inputs(config: dict[str, Any], layers: list[Any]) -> Iterator[TensorPort]:
    order = _input_order(config["config"].get("input_layers"))
    found = {}
    for layer in layers:
        if isinstance(layer, dict) and layer.get("class_name") == "InputLayer":
            settings = layer.get("config") or {}
            shape = settings.get("batch_shape") or settings.get("batch_input_shape") or ()
            dtype = settings.get("dtype")
            found[str(settings.get("name"))] = TensorPort(
                name=str(settings.get("name")),
                shape=tuple(-1 if size is None else int(size) for size in shape),
                dtype=dtype if isinstance(dtype, str) else "float32",
            )
    yield from (found[name] for name in order or found if name in found)


def _input_order(entry: Any) -> list[str]:
    """Return the names in `input_layers`: ["x", 0, 0], [["x", 0, 0], …] or {"x": ["x", 0, 0]}."""
    if isinstance(entry, dict):
        return [name for value in entry.values() for name in _input_order(value)]
    if isinstance(entry, list) and entry and isinstance(entry[0], str):
        return [entry[0]]
    return [name for value in entry or [] for name in _input_order(value)] if isinstance(entry, list) else []
