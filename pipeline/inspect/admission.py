"""The one door for model files: what comes in here was looked at before TensorFlow sees it, or the user answers for it."""

from __future__ import annotations

from pathlib import Path

from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.events import Emit, Note
from edgepipe.pipeline.inspect.keras_archive import KerasArchive, read_archive
from edgepipe.pipeline.inspect.saved_model import check_saved_model
from edgepipe.pipeline.inspect.weights_file import check_weights

HDF5_SUFFIXES = (".h5", ".hdf5")


def is_function(source: str, base: Path) -> bool:
    """True where a model's source is `module:function`: the user's own code, which no scan is about."""
    return ":" in source and not (base / source).exists()


def admit(path: Path, *, trusted: bool, emit: Emit, modules: frozenset[str] = frozenset()) -> KerasArchive | None:
    """Return what a `.keras` file says of itself, None for a SavedModel folder or `.h5`; nothing in them is executed.

    `trusted` is the user's `--trust-model`: it lets any SavedModel and any `.h5` in, with a warning. A `.keras` is held to the same
    rules either way, since nothing that Keras writes for a model of layers needs less; it may name layers of `modules`, the user's
    own, which are still not imported here.

    Raises UnsupportedModel for what may run code or reach out of the file, ModelFileError for what is damaged or foreign.
    """
    if path.is_dir():
        _admit_folder(path, trusted, emit)
        return None
    if path.suffix in HDF5_SUFFIXES:
        _admit_hdf5(path, trusted, emit)
        return None
    archive = read_archive(path, modules=modules)
    check_weights(path)
    return archive


def _admit_folder(path: Path, trusted: bool, emit: Emit) -> None:
    try:
        check_saved_model(path)
    except UnsupportedModel as exc:
        if not trusted:
            raise
        more = f", and {len(exc.problems) - 1} more" if len(exc.problems) > 1 else ""
        emit(Note(warning=True, text=f"{exc.what} ({exc.problems[0]}{more}); it is loaded because you trust it"))


def _admit_hdf5(path: Path, trusted: bool, emit: Emit) -> None:
    if not trusted:
        raise UnsupportedModel(
            f"{path}: .h5 models can hold code, and are not loaded",
            todo="Save it as model.save('model.keras'), with the code that made it; or, if you know who made it, --trust-model.",
        )
    if not path.is_file():
        raise ModelFileError(f"there is no model at {path}", cause="a typo, or another current folder", todo="Check the path.")
    emit(
        Note(
            warning=True, text=f"{path}: .h5 models can hold code that runs when they are loaded; it is loaded because you trust it"
        )
    )
