"""What was read back from a model file, and what was proved on it.

All are frozen, keyword-only dataclasses made of JSON's types, as in `edgepipe.records`, which carry them further.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class TensorPort:
    """One input or output of a model; -1 in `shape` is a dimension that is not fixed. int8: real = scale * (q - zero_point)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, kw_only=True)
class WeightFacts:
    """One constant tensor that multiplies: the weights of a convolution, a dense layer and the like.

    `clusters` counts the distinct values of the fullest output channel, since per-channel scales multiply what one codebook holds;
    `clusters_whole` those of the whole tensor. Zero counts as a value in both.
    """

    name: str
    layer: str
    op: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    elements: int
    nonzero: int
    clusters: int
    clusters_whole: int

    @property
    def sparsity(self) -> float:
        """Share of the weights that are exactly zero, 0 to 1."""
        return 1 - self.nonzero / self.elements if self.elements else 0.0


@dataclass(frozen=True, kw_only=True)
class OpFacts:
    """One operator: its TFLite name and version, the layer it came from, its multiply-accumulates, its dtypes."""

    index: int
    op: str
    version: int
    layer: str
    macs: int
    input_dtypes: tuple[str, ...]
    output_dtypes: tuple[str, ...]

    @property
    def in_integers(self) -> bool:
        """Whether it takes and gives no floating-point numbers."""
        return not any("float" in dtype for dtype in (*self.input_dtypes, *self.output_dtypes))


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What was read back from one `.tflite` file."""

    sha256: str
    size_bytes: int
    gzip_bytes: int
    inputs: tuple[TensorPort, ...]
    outputs: tuple[TensorPort, ...]
    ops: tuple[OpFacts, ...]
    weights: tuple[WeightFacts, ...]
    float_tensors: tuple[str, ...]
    dynamic_tensors: tuple[str, ...]
    custom_ops: tuple[str, ...]
    flex_ops: tuple[str, ...]
    uncalibrated_tensors: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(op.macs for op in self.ops)

    @property
    def elements(self) -> int:
        """Number of weights."""
        return sum(weight.elements for weight in self.weights)

    @property
    def nonzero(self) -> int:
        """Number of weights that are not zero."""
        return sum(weight.nonzero for weight in self.weights)

    @property
    def int8_mac_share(self) -> float | None:
        """Share of the multiply-accumulates whose operators take and give integers only; None for a model without any."""
        if not self.macs:
            return None
        return sum(op.macs for op in self.ops if op.in_integers) / self.macs


class ClaimKind(StrEnum):
    """A property that a stage promises of the file it writes."""

    SPARSITY = "sparsity"  # share of zeros in each named layer's weights
    CLUSTERS = "clusters"  # distinct values per output channel of each named layer's weights
    DTYPE = "dtype"  # what the weights, activations, inputs and outputs are made of
    FIXED_BATCH = "fixed_batch"  # no dimension is left open


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a stage promises; every later stage is held to it too. `layers` empty: the whole model."""

    kind: ClaimKind
    stage: str
    wanted: float | str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A claim held against a file: `measured` is what the file holds, `failing` the layers or tensors that break it."""

    claim: Claim
    measured: float | str
    holds: bool
    failing: tuple[str, ...] = ()
