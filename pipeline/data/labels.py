"""Labels as they were written become class numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgepipe.documents import suggestion
from edgepipe.errors import DataError
from edgepipe.pipeline.data.dataset import Array
from edgepipe.pipeline.data.request import first_problems


def encode(words: Sequence[str], known: Sequence[str], *, source: str) -> tuple[Array, tuple[str, ...]]:
    """Return (int64 labels, class names): names in the order of `known`, or sorted where nothing is known yet.

    Raises DataError for words that are not `known`: two splits that number their classes differently cannot be compared.
    """
    names = tuple(known) or tuple(sorted(set(words)))
    strangers = sorted(set(words) - set(names))
    if strangers:
        problems = [f'class "{word}" (first at index {words.index(word)}).{suggestion(word, list(names))}' for word in strangers]
        raise DataError(f"{source} has classes that the other data do not have", problems=first_problems(problems))
    numbers = {name: k for k, name in enumerate(names)}
    return np.array([numbers[word] for word in words], dtype=np.int64), names


def tidy(labels: Array, known: Sequence[str], *, source: str) -> tuple[Array, tuple[str, ...]]:
    """Return (labels, class names) of an array: words are numbered, (N, 1) becomes (N,), integers and booleans int64.

    What cannot be a label is left as it is: the checks say so, together with everything else.
    """
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.dtype.kind in "US" and flat.ndim == 1:
        words = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in flat.tolist()]
        return encode(words, known, source=source)
    if flat.dtype.kind in "biu":
        return flat.astype(np.int64), tuple(known)
    return flat, tuple(known)
