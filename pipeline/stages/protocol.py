"""What a stage is: a frozen dataclass of typed parameters with `apply()`.

Life cycle:
1. The recipe's keys become the stage's fields, without TensorFlow; `check()` lists what is wrong with their values.
2. In the worker, `apply()` gets a trainable model of its own and a `Workbench`, and returns a `Product`.
3. The parent process reads the written file and holds it to the product's claims, and to those of all earlier stages.

A new technique is one file with one such class, and one line in `edgepipe.pipeline.stages.STAGES`. TensorFlow is imported inside
`apply()`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

from edgepipe.facts import CalibrationFacts, Claim, ClaimKind

if TYPE_CHECKING:
    from edgepipe.pipeline.training import KerasModel, Workbench


MOST_EPOCHS = 1_000_000
ZEROS = (ClaimKind.SPARSITY, ClaimKind.BLOCKS, ClaimKind.PATTERN)


class Form(StrEnum):
    """What a model is made of between stages."""

    KERAS = "keras"  # can still be trained
    TFLITE = "tflite"  # final


@dataclass(frozen=True, kw_only=True)
class Product:
    """What a stage made: the flatbuffer that is proved, and the Keras model while there is one to go on with."""

    tflite: bytes
    model: KerasModel | None = None
    claims: tuple[Claim, ...] = ()
    skipped_layers: tuple[str, ...] = ()
    calibration: CalibrationFacts | None = None


class Stage(Protocol):
    """One compression technique."""

    gives: ClassVar[Form]

    @property
    def needs_data(self) -> bool:
        """Whether the stage trains or takes ranges from data."""

    def check(self) -> list[str]:
        """Return what is wrong with the parameters, one line each."""

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return a new, changed model. Raises UnsupportedModel naming the layers it cannot take."""


def layers_claimed(claims: Sequence[Claim], kind: ClaimKind) -> tuple[str, ...]:
    """Return the layers that earlier stages made a claim of this kind about, each once."""
    return tuple(dict.fromkeys(layer for claim in claims if claim.kind is kind for layer in claim.layers))


def sparse_layers(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return the layers whose zeros were promised, one by one, in blocks or in a pattern."""
    return tuple(dict.fromkeys(layer for kind in ZEROS for layer in layers_claimed(claims, kind)))


def clustered_layers(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return the layers that were promised to hold few distinct values."""
    return layers_claimed(claims, ClaimKind.CLUSTERS)


def cluster_numbers(claims: Sequence[Claim]) -> dict[str, int]:
    """Return how many distinct values each of these layers was promised to hold; the last promise counts."""
    return {layer: int(claim.wanted) for claim in claims if claim.kind is ClaimKind.CLUSTERS for layer in claim.layers}


@contextmanager
def frozen(model: KerasModel, names: Iterable[str]) -> Iterator[None]:
    """Keep these layers as they are while the block trains a model that shares them: what was promised of them would be lost."""
    held = [layer for layer in model.layers if layer.name in set(names) and layer.trainable]
    for layer in held:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in held:
            layer.trainable = True


def schedule_problems(epochs: int | None, learning_rate: float | None) -> list[str]:
    """Return what is wrong with a stage's own training settings; None is none of its own."""
    problems = []
    if epochs is not None and not 1 <= epochs <= MOST_EPOCHS:
        problems.append(f"epochs is {epochs}; it must lie between 1 and {MOST_EPOCHS:,}")
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        problems.append(f"learning_rate is {learning_rate}; it must be a number above 0")
    return problems
