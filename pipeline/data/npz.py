"""NumPy's .npz: `y` or `labels` are the labels, every other array is an input by its name.

The file is taken for hostile: every array's header is read before anything is allocated, and nothing is unpickled.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from edgepipe.errors import DataError
from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.labels import tidy
from edgepipe.pipeline.data.request import Request, first_problems
from edgepipe.places import regular

FORM = "a .npz file with arrays x and y"
LABEL_NAMES = ("y", "labels")
MOST_ARRAYS = 1000
# Deflate reaches 1,032:1 on zeros, and long constant labels come near that honestly: only large arrays are held to a ratio.
LARGEST_RATIO = 200
FREE_OF_RATIO_BYTES = 64 << 20
SAVING = "Save it with np.savez('train.npz', x=inputs, y=labels)."
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    TokenError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RuntimeError,
)


def matches(request: Request) -> bool:
    """Whether the name ends in .npz."""
    return request.spec.lower().endswith(".npz")


def read(request: Request) -> Dataset:
    """Return the arrays of the file as a dataset. Raises DataError."""
    return dataset_of(read_arrays(request.file(), largest_bytes=request.largest_bytes), request)


def dataset_of(arrays: dict[str, Array], request: Request) -> Dataset:
    """Return named arrays as a dataset. Raises DataError where they cannot be one."""
    problems = [f'"{name}" is a single value: the first axis must be the samples' for name, a in arrays.items() if not a.ndim]
    labelled = [name for name in LABEL_NAMES if name in arrays]
    inputs = {name: _native(array) for name, array in arrays.items() if name not in LABEL_NAMES}
    if len(labelled) > 1:
        problems.append('holds both "y" and "labels"')
    if not inputs:
        problems.append("holds no input" + (", only labels" if labelled else ""))
    if any(name.endswith(("_train", "_test")) for name in inputs):
        problems.append(f"holds several splits in one file ({', '.join(inputs)}): one file is one split")
    if problems:
        raise DataError(f"{request.spec} cannot be used", problems=problems, todo=SAVING)
    labels, names = None, request.class_names
    if labelled:
        labels, names = tidy(_native(arrays[labelled[0]]), request.class_names, source=request.spec)
    return Dataset(inputs=inputs, labels=labels, source=request.spec, class_names=names)


def _native(array: Array) -> Array:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def read_arrays(path: Path, *, largest_bytes: int) -> dict[str, Array]:
    """Return the arrays of a .npz by name. Raises DataError for damage, pickled objects and more than `largest_bytes`."""
    try:
        with zipfile.ZipFile(regular(path)) as archive:
            members = archive.infolist()
            _refuse_problems(path, _problems(archive, members, largest_bytes))
            return {info.filename.removesuffix(".npy"): _load(archive, info) for info in members}
    except _DAMAGE as exc:
        what = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise DataError(
            f"{path} is not a complete .npz file: {what}", cause="it was cut short, or is another kind of file", todo=SAVING
        ) from exc


def _refuse_problems(path: Path, problems: list[str]) -> None:
    if problems:
        raise DataError(f"{path} cannot be read", problems=first_problems(problems), todo=SAVING)


def _load(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _problems(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], largest_bytes: int) -> list[str]:
    if len(members) > MOST_ARRAYS:
        return [f"holds {len(members)} arrays; at most {MOST_ARRAYS} are read"]
    counts = Counter(info.filename for info in members)
    problems = [f'holds "{name}" {count} times' for name, count in counts.items() if count > 1]
    total = 0
    for info in members:
        problem, size_bytes = _examine(archive, info)
        total += size_bytes
        if problem:
            problems.append(f'"{info.filename.removesuffix(".npy")}" {problem}')
    if total > largest_bytes:
        problems.append(f"its arrays claim {total:,} bytes in all; at most {largest_bytes:,} are read")
    return problems


def _examine(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[str, int]:
    """Return (problem or "", bytes claimed), from the headers alone."""
    if not info.filename.endswith(".npy"):
        return "is not a NumPy array", 0
    with archive.open(info) as member:
        shape, dtype = _header(member)
        header_bytes = member.tell()
    if dtype.hasobject:
        return "holds pickled Python objects, which are never read", 0
    if any(size < 0 for size in shape):
        return f"claims the shape {shape}", 0
    size_bytes = math.prod(shape) * dtype.itemsize
    if header_bytes + size_bytes != info.file_size:
        return f"claims the shape {shape} ({size_bytes:,} bytes) but brings {info.file_size - header_bytes:,} bytes", 0
    if size_bytes > FREE_OF_RATIO_BYTES and size_bytes > LARGEST_RATIO * max(1, info.compress_size):
        return f"is compressed over {LARGEST_RATIO}:1 to {size_bytes:,} bytes; np.savez (without compression) is taken", 0
    return "", size_bytes


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(member)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read_header is None:
        raise ValueError(f"array format {version[0]}.{version[1]} is not one for numbers")
    shape, _, dtype = read_header(member)
    return shape, dtype
