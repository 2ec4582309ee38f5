"""What a bundle says of itself: its files, where the model came from, what it needs, what it must answer, how well it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgepipe.facts import TensorPort
from edgepipe.records import SCHEMA_VERSION, Requirements

KIND = "edgepipe bundle"
MANIFEST, CARD_JSON, CARD_MD, MODEL, GOLDEN = "manifest.json", "model_card.json", "MODEL_CARD.md", "model.tflite", "golden.npz"


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """One artefact on the way from the trained model; `data_sha256` by split, as far as it was recorded."""

    stage: str
    sha256: str
    parameters: dict[str, Any]
    versions: dict[str, str]
    data_sha256: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """How the model came about, the trained model first, this file last; `missing` says where the trail ends, '' where it does not.

    `source` is the path or function that the model was loaded from, `source_sha256` the hash of that file or folder.
    """

    source: str | None
    source_sha256: str | None
    steps: tuple[Ancestor, ...]
    missing: str


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What is done to raw values before `quantize_input()`: divided by `divided_by`, minus `mean`; None where it is not known.

    `known_from` says who told. `model_rescales`: the network begins with a layer that rescales or normalises, so that it takes raw
    values. `layout` is that of the inputs.
    """

    divided_by: float | None
    mean: float | None
    model_rescales: bool | None
    known_from: str
    layout: str


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Inputs and what must come out, bit for bit: of `runtime`, `samples` of them, `in_c` of these as C arrays too.

    `inputs` says what they are; `has_real`: they are also there as real values, to try `quantize_input()` on.
    """

    runtime: str
    version: str
    samples: int
    in_c: int
    inputs: str
    has_real: bool


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a model card, written out, and how it was made."""

    what: str
    value: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model card: what is known of the model, and what is not."""

    name: str
    model_sha256: str
    target: str
    licence: str
    inputs: tuple[TensorPort, ...]
    outputs: tuple[TensorPort, ...]
    figures: tuple[Figure, ...]
    limits: tuple[str, ...]
    preprocessing: Preprocessing
    lineage: Lineage
    golden: Golden
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class BundleManifest:
    """The manifest: every other file with its hash; `seal` is the SHA-256 of the manifest itself with an empty seal."""

    kind: str
    name: str
    target: str
    model_sha256: str
    edgepipe_version: str
    versions: dict[str, str]
    requirements: Requirements
    preprocessing: Preprocessing
    lineage: Lineage
    golden: Golden
    files: dict[str, FileEntry]
    seal: str = ""
    schema_version: int = SCHEMA_VERSION
