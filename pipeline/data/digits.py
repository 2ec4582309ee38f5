"""The bundled data: 1,797 real handwritten digits of 8 x 8 pixels (UCI "Optical Recognition of Handwritten Digits")."""

from __future__ import annotations

import numpy as np

from edgepipe.errors import MissingExtra
from edgepipe.pipeline.data.dataset import Dataset
from edgepipe.pipeline.data.request import Request

FORM = "digits"
LEVELS = 16  # a pixel counts the dark points of a 4 x 4 block of the scan


def matches(request: Request) -> bool:
    """Whether the spec is the word "digits"; a folder of that name is written ./digits."""
    return request.spec == "digits"


def read(request: Request) -> Dataset:
    """Return float32 images (1797, 8, 8, 1) from 0 to 1 and their labels 0 to 9. Raises MissingExtra without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as exc:
        raise MissingExtra(
            "the digits come with scikit-learn, which is not installed", todo="pip install 'edgepipe[demo]'"
        ) from exc
    bunch = load_digits()
    images = (bunch.images / LEVELS).astype(np.float32)[..., np.newaxis]
    return Dataset(inputs={"x": images}, labels=bunch.target.astype(np.int64), source="digits", class_names=tuple("0123456789"))
