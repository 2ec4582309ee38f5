"""Any Keras model that a user brings becomes a functional tf_keras model, which TF-MOT accepts. Runs in the worker only."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.events import Emit, silent
from edgepipe.pipeline.inspect.admission import admit, is_function
from edgepipe.pipeline.inspect.keras_archive import KerasArchive
from edgepipe.pipeline.inspect.keras_modules import check_objects
from edgepipe.pipeline.keras_rebuild import rebuild, subclassed


def load_model(source: str, base: Path, emit: Emit, *, trusted: bool = False, modules: frozenset[str] = frozenset()) -> Any:
    """Return the tf_keras model behind a `.keras` file, a SavedModel folder, `module:function`, or a trusted `.h5`.

    A file is looked at once more where it is loaded, whatever was done before. Raises ModelFileError, or UnsupportedModel
    naming the layers; also where the rebuilt model computes something else.
    """
    path = base / source
    if is_function(source, base):
        return _from_function(source, base, emit)
    archive = admit(path, trusted=trusted, emit=silent, modules=modules)
    if archive is not None and modules:
        check_objects(archive.config, modules)
    if path.is_dir():
        return _saved_model(path)
    return _from_archive(path, archive, emit) if archive else _from_hdf5(path, source, emit)


def _from_archive(path: Path, archive: KerasArchive, emit: Emit) -> Any:
    import tf_keras

    try:
        if not archive.is_keras_3:
            return tf_keras.models.load_model(path)
        import keras

        return rebuild(keras.models.load_model(path, safe_mode=True), emit)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, IndexError) as exc:
        raise ModelFileError(
            f"{path} cannot be loaded: {_first_line(exc)}", cause="the file is damaged, or needs code it does not carry"
        ) from exc


def _from_hdf5(path: Path, source: str, emit: Emit) -> Any:
    """Return the model in a trusted `.h5`, by the Keras that wrote it."""
    import h5py
    import tf_keras

    try:
        with h5py.File(path, "r") as file:
            version = str(file.attrs.get("keras_version", "2"))
        if not version.startswith("3"):
            return adopt(tf_keras.models.load_model(path), source, emit)
        import keras

        return adopt(keras.models.load_model(path), source, emit)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, IndexError) as exc:
        raise ModelFileError(
            f"{path} cannot be loaded: {_first_line(exc)}", cause="the file is damaged, or needs code it does not carry"
        ) from exc


def _saved_model(path: Path) -> Any:
    import tf_keras

    if not (path / "saved_model.pb").is_file():
        raise ModelFileError(f"{path} is a folder without a saved_model.pb", cause="this is not a SavedModel")
    try:
        model = tf_keras.models.load_model(path)
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
    return model


def _from_function(source: str, base: Path, emit: Emit) -> Any:
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
    return adopt(model, source, emit)


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
