"""Any Keras model that a user brings becomes a functional tf_keras model, which TF-MOT accepts. Runs in the worker only."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.events import Emit, silent
from edgepipe.pipeline.compiled import Compiled, compiled_with, read_compiled
from edgepipe.pipeline.inspect.admission import admit, is_function
from edgepipe.pipeline.inspect.keras_archive import KerasArchive
from edgepipe.pipeline.inspect.keras_modules import check_objects
from edgepipe.pipeline.inspect.saved_model import training_of
from edgepipe.pipeline.keras_rebuild import rebuild, subclassed
from edgepipe.pipeline.precision import in_float32


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A functional tf_keras model, and what the one it came from was compiled with: no model from a file is compiled itself."""

    model: Any
    compiled: Compiled


def load_model(source: str, base: Path, emit: Emit, *, trusted: bool = False, modules: frozenset[str] = frozenset()) -> Loaded:
    """Return the tf_keras model behind a `.keras` file, a SavedModel folder, `module:function`, or a trusted `.h5`.

    A file is looked at once more where it is loaded, whatever was done before. Keras is never given what a file says of its
    training: that is read here. Raises ModelFileError, or UnsupportedModel naming the layers; also where the rebuilt model
    computes something else.
    """
    loaded = _loaded(source, base, emit, trusted, modules)
    return replace(loaded, model=in_float32(loaded.model, emit))


def _loaded(source: str, base: Path, emit: Emit, trusted: bool, modules: frozenset[str]) -> Loaded:
    path = base / source
    if is_function(source, base):
        return _from_function(source, base, emit)
    archive = admit(path, trusted=trusted, emit=silent, modules=modules)
    if archive is not None and modules:
        check_objects(archive.config, modules)
    if path.is_dir():
        return _saved_model(path, modules)
    return _from_archive(path, archive, modules, emit) if archive else _from_hdf5(path, source, modules, emit)


def _from_archive(path: Path, archive: KerasArchive, modules: frozenset[str], emit: Emit) -> Loaded:
    import tf_keras

    compiled = read_compiled(archive.training, modules)
    try:
        with without_training(path, archive) as plain:
            if not archive.is_keras_3:
                return Loaded(model=tf_keras.models.load_model(plain, compile=False), compiled=compiled)
            import keras

            return Loaded(model=rebuild(keras.models.load_model(plain, compile=False, safe_mode=True), emit), compiled=compiled)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, IndexError) as exc:
        raise ModelFileError(
            f"{path} cannot be loaded: {_first_line(exc)}", cause="the file is damaged, or needs code it does not carry"
        ) from exc


@contextmanager
def without_training(path: Path, archive: KerasArchive) -> Iterator[Path]:
    """Yield a file of the same model in which no model within it is compiled: those Keras builds, whatever it is told."""
    if not archive.inner_training:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="edgepipe-model-") as folder, zipfile.ZipFile(path) as given:
        plain = Path(folder) / "plain.keras"
        with zipfile.ZipFile(plain, "w") as made:
            for name in given.namelist():
                if name == "config.json":
                    made.writestr(name, json.dumps(archive.config))
                    continue
                with given.open(name) as content, made.open(name, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(content, copy)
        yield plain


def _from_hdf5(path: Path, source: str, modules: frozenset[str], emit: Emit) -> Loaded:
    """Return the model in a trusted `.h5`, by the Keras that wrote it."""
    import h5py
    import tf_keras

    try:
        with h5py.File(path, "r") as file:
            version = str(file.attrs.get("keras_version", "2"))
            compiled = read_compiled(json.loads(file.attrs.get("training_config", "null")), modules)
        if not version.startswith("3"):
            return Loaded(model=adopt(tf_keras.models.load_model(path, compile=False), source, emit), compiled=compiled)
        import keras

        return Loaded(model=adopt(keras.models.load_model(path, compile=False), source, emit), compiled=compiled)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, IndexError) as exc:
        raise ModelFileError(
            f"{path} cannot be loaded: {_first_line(exc)}", cause="the file is damaged, or needs code it does not carry"
        ) from exc


def _saved_model(path: Path, modules: frozenset[str]) -> Loaded:
    import tf_keras

    if not (path / "saved_model.pb").is_file():
        raise ModelFileError(f"{path} is a folder without a saved_model.pb", cause="this is not a SavedModel")
    try:
        model = tf_keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, AttributeError, KeyError) as exc:
        raise ModelFileError(
            f"{path} cannot be loaded: {_first_line(exc)}", cause="the SavedModel is damaged or incomplete"
        ) from exc
    if not hasattr(model, "layers") or not model.inputs:
        raise UnsupportedModel(
            f"{path} holds no Keras layers",
            cause="it was exported for serving only",
            todo="Save the Keras model itself: model.save('model.keras').",
        )
    return Loaded(model=model, compiled=read_compiled(training_of(path), modules))


def _from_function(source: str, base: Path, emit: Emit) -> Loaded:
    module_name, _, function_name = source.partition(":")
    sys.path.insert(0, str(base))
    try:
        model = getattr(importlib.import_module(module_name), function_name)()
    except Exception as exc:  # the user's own code may raise anything
        raise ModelFileError(
            f"{source} failed: {type(exc).__name__}: {_first_line(exc)}", todo="Run it by itself to see where."
        ) from exc
    finally:
        sys.path.remove(str(base))
    return Loaded(model=adopt(model, source, emit), compiled=compiled_with(model))


def adopt(model: Any, source: str, emit: Emit) -> Any:
    """Return a Keras model in hand as a functional tf_keras model. Raises UnsupportedModel for anything else."""
    import keras
    import tf_keras

    if isinstance(model, tf_keras.Model):
        if type(model).__name__ not in ("Functional", "Sequential") or not model.inputs:
            raise subclassed(source, type(model).__name__)
        return model
    if isinstance(model, keras.Model):
        return rebuild(model, emit)
    raise ModelFileError(f"{source} gave a {type(model).__name__}, not a Keras model", todo="Return the model itself.")


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
