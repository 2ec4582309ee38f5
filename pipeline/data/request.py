"""What is asked of a source of data, and what a source is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgepipe.errors import DataError
from edgepipe.events import Emit, silent
from edgepipe.facts import TensorPort
from edgepipe.pipeline.data.dataset import Dataset

LARGEST_BYTES = 4 << 30
SHOWN_PROBLEMS = 20


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing to load. Paths in `spec` are relative to `base`; `inputs` are the model's, where it is known already.

    `class_names` gives the order of the classes where another split has settled it; `scale` divides an image's 0..255.
    """

    spec: str
    base: Path
    inputs: tuple[TensorPort, ...] = ()
    scale: float | None = None
    class_names: tuple[str, ...] = ()
    largest_bytes: int = LARGEST_BYTES
    timeout_s: float = 600.0
    emit: Emit = silent

    @property
    def path(self) -> Path:
        """The spec as a path. Raises DataError for the home of somebody who has none."""
        try:
            return self.base / Path(self.spec).expanduser()
        except RuntimeError as exc:
            raise DataError(f'"{self.spec}" names a home folder that does not exist') from exc

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """The shape of one sample where the model has a single input, -1 for what is free; else None."""
        if len(self.inputs) != 1 or not self.inputs[0].shape:
            return None
        return tuple(-1 if size in (-1, None) else size for size in self.inputs[0].shape[1:])

    def file(self) -> Path:
        """Return the path of an existing, regular, non-empty file. Raises DataError, with the nearest name in that folder."""
        path = self.path
        if not path.exists():
            raise DataError(f"{path} does not exist.{nearest(path)}", todo="Check the path.")
        if not path.is_file():
            raise DataError(f"{path} is not a file")
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty", cause="writing it was interrupted")
        return path


class Source(Protocol):
    """One kind of data: a module with these three names, entered in the table of `edgepipe.pipeline.data`."""

    FORM: str  # how a user writes it, for messages

    def matches(self, request: Request) -> bool:
        """Whether the spec is one of this kind; looks at the name and at what kind of file stands there, at no content."""

    def read(self, request: Request) -> Dataset:
        """Return the data. Raises DataError with every problem found."""


def nearest(path: Path) -> str:
    """Return ' Perhaps you meant …' with the nearest name in the same folder, or nothing."""
    if not path.parent.is_dir():
        return f" There is no folder {path.parent}."
    near = difflib.get_close_matches(path.name, sorted(other.name for other in path.parent.iterdir()), n=1, cutoff=0.6)
    return f' Perhaps you meant "{near[0]}"?' if near else ""


def first_problems(problems: Sequence[str]) -> tuple[str, ...]:
    """Return the first 20 problems and, where there are more, how many more."""
    if len(problems) <= SHOWN_PROBLEMS:
        return tuple(problems)
    return (*problems[:SHOWN_PROBLEMS], f"and {len(problems) - SHOWN_PROBLEMS} more like these")
