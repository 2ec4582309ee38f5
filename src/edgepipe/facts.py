"""What was read back from a model file, and what was proved on it.

All are frozen, keyword-only dataclasses made of JSON's types, as in `edgepipe.records`, which carry them further.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

INTEGER_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


@dataclass(frozen=True, kw_only=True)
class TensorPort:
    """One input or output of a model; -1 in `shape` is a dimension that is not fixed. int8: real = scale * (q - zero_point)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    @property
    def code_range(self) -> tuple[int, int] | None:
        """Smallest and largest code of a quantised port; None for one that takes real values as they are."""
        return INTEGER_RANGES.get(self.dtype) if self.scale and self.zero_point is not None else None

    def real(self, code: int) -> float:
        """Return the real value that `code` stands for; the code itself where nothing is quantised."""
        return code if self.scale is None else self.scale * (code - (self.zero_point or 0))


@dataclass(frozen=True, kw_only=True)
class GroupFacts:
    """A weight matrix cut into groups of (outputs, inputs) from its first element; groups at the far edges may be smaller.

    `zero` of `groups` hold only zeros; `most_nonzero` is what the fullest holds.
    """

    shape: tuple[int, int]
    groups: int
    zero: int
    most_nonzero: int


@dataclass(frozen=True, kw_only=True)
class WeightFacts:
    """One constant tensor that multiplies: the weights of a convolution, a dense layer and the like.

    `clusters` counts the distinct values of the fullest output channel, since per-channel scales multiply what one codebook holds;
    `clusters_whole` those of the whole tensor, None beyond 65,536. Zero counts as a value in both. `grouped` are counts by group,
    for the shapes that were asked for. `scales` is how many the quantisation has, 0 for none.
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
    clusters_whole: int | None
    scales: int = 0
    grouped: tuple[GroupFacts, ...] = ()

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
class GraphFacts:
    """What was read back from one `.tflite` file, as far as reading is enough."""

    sha256: str
    size_bytes: int
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


@dataclass(frozen=True, kw_only=True)
class ModelFacts(GraphFacts):
    """What was read back from one `.tflite` file, and how small it packs: the latter takes a second for each 40 MB."""

    gzip_bytes: int


class TensorRole(StrEnum):
    """What a tensor is to its graph."""

    INPUT = "input"
    OUTPUT = "output"
    WEIGHT = "weight"  # a constant that is multiplied with
    CONSTANT = "constant"  # any other: biases, shapes, tables
    COMPUTED = "computed"
    UNUSED = "unused"


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """real = scale * (q - zero_point), with a scale for each of `channels` along `axis`; one for the whole tensor: axis None."""

    channels: int
    axis: int | None
    scale_min: float
    scale_max: float
    zero_point_min: int
    zero_point_max: int


@dataclass(frozen=True, kw_only=True)
class TensorFacts:
    """One tensor of one graph; -1 in `shape` is an open dimension.

    `size_bytes` is what the file stores for a constant, else what the tensor takes while it lives, None where its type does not
    say. `sha256` is that of the stored bytes; `shared` is True where an earlier tensor has them in common. The counts are those
    of a constant, see `WeightFacts`; `clusters` are those of the fullest channel where it has channels.
    """

    graph: int
    index: int
    name: str
    role: TensorRole
    layer: str
    dtype: str
    shape: tuple[int, ...]
    elements: int
    size_bytes: int | None
    quantisation: Quantisation | None = None
    sha256: str | None = None
    shared: bool = False
    nonzero: int | None = None
    clusters: int | None = None

    @property
    def stored_bytes(self) -> int:
        """Bytes of the file that are this tensor's alone, or first."""
        return 0 if self.sha256 is None or self.shared else self.size_bytes or 0

    @property
    def sparsity(self) -> float | None:
        """Share of a constant's elements that are exactly zero."""
        return None if self.nonzero is None or not self.elements else 1 - self.nonzero / self.elements


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Everything that a `.tflite` file says of itself: its facts, and every tensor."""

    facts: GraphFacts
    tensors: tuple[TensorFacts, ...]

    @property
    def stored_bytes(self) -> int:
        """Bytes of all constants, each counted once; the rest of the file is its structure."""
        return sum(tensor.stored_bytes for tensor in self.tensors)

    @property
    def totals(self) -> dict[str, int]:
        """The sums over the whole file."""
        return {
            "size_bytes": self.facts.size_bytes,
            "stored_bytes": self.stored_bytes,
            "ops": len(self.facts.ops),
            "macs": self.facts.macs,
            "weights": self.facts.elements,
            "nonzero_weights": self.facts.nonzero,
            "tensors": len(self.tensors),
            "float_tensors": len(self.facts.float_tensors),
        }


@dataclass(frozen=True, kw_only=True)
class KerasLayer:
    """One layer as a `.keras` file describes it; `parameters` None: not known without building it. -1 is an open dimension."""

    name: str
    kind: str
    input_shape: tuple[int, ...] | None
    parameters: int | None
    activation: str | None


@dataclass(frozen=True, kw_only=True)
class KerasInspection:
    """What a `.keras` file says of itself; `written_by` names the Keras that did, with its version."""

    sha256: str
    size_bytes: int
    written_by: str
    inputs: tuple[TensorPort, ...]
    layers: tuple[KerasLayer, ...]

    @property
    def totals(self) -> dict[str, int]:
        """The sums over all layers; parameters as far as they are known."""
        unknown = sum(layer.parameters is None for layer in self.layers)
        known = sum(layer.parameters or 0 for layer in self.layers)
        return {"layers": len(self.layers), "known_parameters": known, "layers_of_unknown_parameters": unknown}


@dataclass(frozen=True, kw_only=True)
class LoneSample:
    """A range that one sample sets alone: `low` to `high` with it, `low_without` to `high_without` in all the others.

    `sample` counts the calibration samples from 0; `label` is its class, None where labels are no classes.
    """

    layer: str
    tensor: str
    sample: int
    label: int | None
    low: float
    high: float
    low_without: float
    high_without: float


@dataclass(frozen=True, kw_only=True)
class CalibrationFacts:
    """The samples that set an integer file's ranges, and whether more of them would still move these.

    `range_change` is the share by which the range of `worst_tensor` falls short with half of the samples, on average over all ways
    to halve them; `constant_samples` hold one value throughout. "" where no range was taken from data.
    """

    samples: int
    data_sha256: str
    converged: bool
    worst_layer: str
    worst_tensor: str
    range_change: float
    constant_samples: int = 0
    lone_samples: tuple[LoneSample, ...] = ()


class ClaimKind(StrEnum):
    """A property that a stage promises of the file it writes."""

    SPARSITY = "sparsity"  # share of zeros in each named layer's weights
    BLOCKS = "blocks"  # share of blocks that are zero throughout, in each named layer's weight matrix; `shape` is a block's
    PATTERN = "pattern"  # "2:4": at most two weights that are not zero in any four along the inputs of each named layer
    CLUSTERS = "clusters"  # distinct values per output channel of each named layer's weights
    DTYPE = "dtype"  # what the weights, activations, inputs and outputs are made of
    FLOAT_LAYERS = "float_layers"  # the named layers compute in float32, all others in integers
    SCALES = "scales"  # one for each output channel of the weights, or one for each tensor
    FIXED_BATCH = "fixed_batch"  # no dimension is left open


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a stage promises; every later stage is held to it too. `layers` empty: the whole model.

    `shape` is that of a block of weights: (inputs, outputs) of a dense layer.
    """

    kind: ClaimKind
    stage: str
    wanted: float | str
    layers: tuple[str, ...] = ()
    shape: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A claim held against a file: `measured` is what the file holds, `failing` the layers or tensors that break it."""

    claim: Claim
    measured: float | str
    holds: bool
    failing: tuple[str, ...] = ()
