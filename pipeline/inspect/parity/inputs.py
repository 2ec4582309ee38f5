"""The inputs that all runtimes are asked: real ones as the model takes them, or made-up ones from a seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import DataError
from edgepipe.facts import ModelFacts, TensorPort
from edgepipe.pipeline import scoring
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.parity.run import Rows, pack

Array = NDArray[np.generic]
LARGEST_BYTES = 2 << 30


def made_up(facts: ModelFacts, samples: int, seed: int) -> tuple[Rows, str]:
    """Return `samples` made-up inputs as rows of bytes, and in words what they are; the same for the same seed.

    Integers with a scale: uniform over all codes. Floats: normal with mean 0 and deviation 1. Indices and truth values: 0 or 1,
    which is a legal index of any table. Raises DataError where they would not fit into memory.
    """
    size = sum(_elements(port) * np.dtype(_stored(port)).itemsize for port in facts.inputs)
    if samples * size > LARGEST_BYTES:
        raise DataError(f"{samples} inputs of {size:,} bytes are too many", todo=f"Take at most {max(1, LARGEST_BYTES // size)}.")
    random = np.random.default_rng(seed)
    values = [_values(random, port, samples) for port in facts.inputs]
    kinds = dict.fromkeys(_kind(port) for port in facts.inputs)
    return pack(values), f"{samples} made up with seed {seed}: {', '.join(kinds)}"


def from_data(dataset: Dataset, facts: ModelFacts, samples: int | None, seed: int) -> tuple[Rows, str]:
    """Return the dataset's inputs as rows of bytes, at most `samples` of them, drawn with `seed`, in their order.

    Raises DataError for data that does not fit the model's inputs.
    """
    words = f"{dataset.samples} of {dataset.source}"
    if samples is not None and samples < dataset.samples:
        words = f"{samples} of the {dataset.samples} of {dataset.source}, drawn with seed {seed}"
        dataset = dataset.take(drawn(dataset.samples, samples, seed))
    rows = [np.frombuffer(b"".join(sample), np.uint8) for sample in scoring.samples(dataset, facts)]
    if not rows:
        raise DataError(f"{dataset.source} has no samples")
    return np.stack(rows), words


def drawn(available: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """Return the sorted numbers of `wanted` of `available` samples, the same for the same seed."""
    return np.sort(np.random.default_rng(seed).permutation(available)[:wanted])


def _elements(port: TensorPort) -> int:
    return int(np.prod([max(length, 1) for length in port.shape], dtype=np.int64))


def _stored(port: TensorPort) -> str:
    if port.dtype not in KINDS:
        raise DataError(f'input "{port.name}" is {port.dtype}, for which nothing is made up', todo="Give real inputs with --data.")
    return port.dtype


KINDS: Mapping[str, str] = {
    **dict.fromkeys(("int8", "uint8", "int16"), "any code alike"),
    **dict.fromkeys(("float32", "float64", "float16"), "normal with deviation 1"),
    **dict.fromkeys(("int32", "int64", "bool"), "0 or 1"),
}


def _kind(port: TensorPort) -> str:
    return f"{port.dtype} {KINDS[_stored(port)]}"


def _values(random: np.random.Generator, port: TensorPort, samples: int) -> Array:
    shape, dtype = (samples, _elements(port)), np.dtype(_stored(port))
    if dtype.kind == "f":
        real: Array = random.standard_normal(shape).astype(dtype)
        return real
    if dtype.itemsize > 2 or dtype.kind == "b":
        bits: Array = random.integers(0, 2, shape).astype(dtype)
        return bits
    limits = np.iinfo(dtype)
    codes: Array = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return codes
