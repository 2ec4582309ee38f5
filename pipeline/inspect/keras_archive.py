"""What a `.keras` file says of itself, read without TensorFlow and before it: is it safe, is it whole, what are its inputs."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.facts import TensorPort

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
LARGEST_CONFIG_BYTES = 64 << 20
DEEPEST_CONFIG = 100
LARGEST_RATIO = 100  # of unpacked to packed; trained weights hardly compress at all
MODULES = ("keras", "tf_keras", "builtins")
CODE = {
    "Lambda": "a Lambda holds Python code",
    "TFSMLayer": "a TFSMLayer runs a foreign graph",
    "__lambda__": "a Lambda holds Python code",
}


@dataclass(frozen=True, kw_only=True)
class KerasArchive:
    """The static part of a `.keras` file: who wrote it, its configuration, its inputs (batch -1)."""

    keras_version: str
    config: dict[str, Any]
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


def read_archive(path: Path) -> KerasArchive:
    """Return what a `.keras` file says of itself.

    Raises ModelFileError for a missing, truncated or foreign file, and UnsupportedModel that lists every layer with code of its own
    (Lambda, subclass, foreign module). Nothing in the file is executed, imported or unpacked to disk.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config, metadata = _members(path, archive)
    except FileNotFoundError as exc:
        raise ModelFileError(
            f"there is no model at {path}", cause="a typo, or another current folder", todo="Check the path."
        ) from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error, OSError) as exc:
        raise ModelFileError(
            f"{path} is not a .keras file: {exc}", cause="the file is empty, cut short or in another format"
        ) from exc
    foreign = list(dict.fromkeys(_foreign(config)))
    if foreign:
        raise UnsupportedModel(
            f"{path} holds code of its own, which is not run",
            problems=foreign,
            cause="a subclassed model, a Lambda or a custom layer",
            todo="Build the model from Keras layers (functional or Sequential); move preprocessing in front of it.",
        )
    layers = config["config"].get("layers") or []
    inputs = tuple(_inputs(config, layers))
    first = [layer.get("class_name") for layer in layers[: len(inputs) + 2] if isinstance(layer, dict)]
    rescales = bool({"Rescaling", "Normalization", "BatchNormalization"} & {*first})
    return KerasArchive(keras_version=str(metadata.get("keras_version", "0")), config=config, inputs=inputs, rescales=rescales)


def refuse_hdf5(path: Path) -> None:
    """Raise UnsupportedModel for an HDF5 model: it can hold code that Keras 2 runs without asking."""
    if path.suffix in (".h5", ".hdf5"):
        raise UnsupportedModel(
            f"{path}: .h5 models can hold code, and are not loaded",
            todo="Save it again as model.save('model.keras'), with the code that made it.",
        )


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
            problems=[*(f"{name!r} does not belong in it" for name in extra[:5]), *(f"{name} is missing" for name in missing)],
        )
    for member in archive.infolist():
        if member.file_size > LARGEST_RATIO * max(1, member.compress_size) or (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise ModelFileError(f"{path}: {member.filename} is a link, or unpacks to more than {LARGEST_RATIO} times its size")
    if archive.getinfo("config.json").file_size > LARGEST_CONFIG_BYTES:
        raise ModelFileError(f"{path}: its configuration is larger than {LARGEST_CONFIG_BYTES >> 20} MiB")
    try:
        config, metadata = (json.loads(archive.read(name)) for name in ("config.json", "metadata.json"))
    except (ValueError, RecursionError) as exc:
        raise ModelFileError(f"{path}: its configuration is damaged: {exc}") from exc
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict) or not isinstance(metadata, dict):
        raise ModelFileError(f"{path}: its configuration is not that of a Keras model")
    return config, metadata


def _foreign(config: dict[str, Any]) -> Iterator[str]:
    """Yield one line for each object in a configuration that would bring code along. Raises ModelFileError for one too deep."""
    pending: list[tuple[Any, str, int]] = [(config, "the model", 0)]
    while pending:
        node, owner, depth = pending.pop()
        if depth > DEEPEST_CONFIG:
            raise ModelFileError(
                f"the model's configuration is nested more than {DEEPEST_CONFIG} deep", cause="it is not Keras's own"
            )
        if isinstance(node, dict):
            settings = node.get("config")
            name = settings.get("name") if isinstance(settings, dict) else None
            owner = f'layer "{name}"' if isinstance(name, str) and depth else owner
            if reason := _code_in(node):
                yield f"{owner}: {reason}"
            children = [value for key, value in node.items() if key not in ("build_config", "build_input_shape")]
        else:
            children = node if isinstance(node, list) else []
        pending += [(child, owner, depth + 1) for child in reversed(children)]


def _code_in(node: dict[str, Any]) -> str:
    """Return why this object would bring code along, or nothing."""
    kind, module, registered = node.get("class_name"), node.get("module"), node.get("registered_name")
    if not isinstance(kind, str):
        return ""
    if kind in CODE:
        return CODE[kind]
    if isinstance(module, str) and module.split(".")[0] not in MODULES:
        return f"{kind} comes from the module {module!r}"
    if module is None and registered is not None:
        return f"{kind} is a class of your own"
    return ""


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
