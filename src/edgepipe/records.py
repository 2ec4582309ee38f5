"""The values that cross rooms: artefacts, devices, measurements, ledgers; `edgepipe.facts` is what they hold of a model file.

All are frozen, keyword-only dataclasses made of JSON's types, with units in their names. `None` means "not known" or
"not measured", and is never shown as 0. Files carry `SCHEMA_VERSION`; `as_json` writes what `edgepipe.documents.parse` reads.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edgepipe.energy import Energy
from edgepipe.facts import CalibrationFacts, ModelFacts, Proof

SCHEMA_VERSION = 1
SAMPLES_KEPT = 20_000  # per block; beyond that every k-th sample is kept and k recorded


def as_json(record: Any) -> Any:
    """Return a record, or any other dataclass made of JSON's types, as these types."""
    return dataclasses.asdict(record)


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """How one training went, epoch by epoch: `curves` has loss, val_loss and metrics by name, every `stride`-th of `epochs`.

    None in a curve is a value that was no number. `kept_epoch`, from 1, is the one whose weights stayed; None: the last.
    """

    epochs: int
    stride: int = 1
    kept_epoch: int | None = None
    seconds: float = 0.0
    curves: dict[str, tuple[float | None, ...]]


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A file with its history: who made it from what, with which versions, and what was proved on it.

    `folder` holds model.tflite, manifest.json and, as long as it can be trained on, model.keras.
    """

    sha256: str
    folder: str
    stage: str
    parent: str | None
    parameters: dict[str, Any]
    versions: dict[str, str]
    facts: ModelFacts
    proofs: tuple[Proof, ...]
    skipped_layers: tuple[str, ...] = ()
    calibration: CalibrationFacts | None = None
    training: tuple[TrainingHistory, ...] = ()
    seconds: float
    schema_version: int = SCHEMA_VERSION


# Requirements against capabilities ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a model file needs to run; computed from the file."""

    dtypes: tuple[str, ...]
    ops: dict[str, int]
    flash_bytes: int
    arena_bytes: int | None
    fixed_shapes: bool


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a board or a target offers; None means no limit is known. `engine` is a microcontroller's."""

    dtypes: tuple[str, ...] | None = None
    ops: dict[str, int] | None = None
    flash_bytes: int | None = None
    model_bytes: int | None = None  # of RAM, for a file that is sent there to be measured
    arena_bytes: int | None = None
    open_shapes: bool = True
    engine: str | None = None


# Devices and measurements ---------------------------------------------------------------------------------------------------


class RunOutcome(StrEnum):
    """How one measurement ended."""

    OK = "ok"
    REJECTED = "rejected"  # the model crashed, hung or does not fit
    INVALID = "invalid"  # the conditions changed
    INFRA = "infra"  # the farm's fault


class Verdict(StrEnum):
    """How a comparison or a gate ended."""

    PASS = "pass"
    IMPROVED = "improved"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, kw_only=True)
class DeviceIdentity:
    """Which board this was: `serial` is what stays the same when it is plugged in elsewhere."""

    name: str
    board: str
    serial: str
    arch: str
    cpu: str
    os: str
    agent_sha256: str | None = None
    emulated: bool = False
    tick_hz: int | None = None  # of the counter that a microcontroller's times are taken with

    @property
    def counts_instructions(self) -> bool:
        """Whether its times are an emulated core's instruction counts; those of other boards and of stand-ins are not."""
        return self.emulated and self.board == "mcu" and self.arch.startswith("arm")


@dataclass(frozen=True, kw_only=True)
class RuntimeIdentity:
    """What ran the model, and how. `affinity` None: not pinned."""

    name: str
    version: str
    delegate: str
    threads: int
    affinity: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of a board at one moment; None is unknown, which is not the same as fine."""

    temperature_c: float | None = None
    clock_mhz: float | None = None
    governor: str | None = None
    throttle_bits: int | None = None
    load_average_1m: float | None = None
    other_processes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fresh process (or boot) on the device: the unit of statistics.

    `samples_ns_zlib` is base64 of zlib of little-endian uint32 nanoseconds, every `stride`-th of `invocations` timed ones.
    `cooled_s` is what the board waited before it to be cool enough, `delegate_ns` how long an Edge TPU's delegate took to load.
    A microcontroller counts: `ticks` is the median, `step_ticks` are those of each operator in the last invocation, in their order.
    With a `resolution_ns`, what a step of the board's coarse clock makes of it, a sample is the mean of `stride` invocations.
    """

    index: int
    outcome: RunOutcome
    reason: str = ""
    cooled_s: float = 0.0
    delegate_ns: int | None = None
    load_ns: int | None = None
    first_ns: int | None = None
    warmup_invocations: int = 0
    warmup_settled: bool = False
    invocations: int = 0
    stride: int = 1
    samples_ns_zlib: str = ""
    median_ns: float | None = None
    resolution_ns: float | None = None
    ticks: int | None = None
    step_ticks: tuple[int, ...] = ()
    peak_memory_bytes: int | None = None
    model_memory_bytes: int | None = None
    output_sha256: str | None = None
    artefact_sha256: str | None = None
    before: Snapshot = Snapshot()
    after: Snapshot = Snapshot()


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """What a model takes of a microcontroller's memory, and what there is for it, in bytes; None: not known, or not there.

    A file that is measured stands in `model_room_bytes` of RAM, a deployed one in `slot_room_bytes` of flash. The engine took
    `arena_bytes` of `arena_room_bytes`; `host_arena_bytes` is the smallest arena that TFLite Micro runs in on this machine.
    """

    model_room_bytes: int | None = None
    slot_room_bytes: int | None = None
    arena_bytes: int | None = None
    arena_room_bytes: int | None = None
    host_arena_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How well a model answers: `accuracy`, the share of right answers, or `mse`, the mean squared error of numbers.

    `correct` tells of each sample whether it was answered rightly, so that two models can be compared in pairs; None for `mse`.
    """

    metric: str
    value: float
    samples: int
    data_sha256: str
    correct: tuple[bool, ...] | None = None

    @property
    def gain(self) -> float:
        """The value with the sign that makes more better."""
        return -self.value if self.metric == "mse" else self.value


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything about one measurement of one artefact on one device.

    `id` is 32 hex digits; `kind` is `bench` or `eval`; `started_utc` is ISO 8601. The conditions stand with each block.
    `tpu_mac_share`: the share of the multiply-accumulates on an Edge TPU; None: not known, or the file is not compiled for one.
    """

    id: str
    kind: str
    started_utc: str
    artefact_sha256: str
    artefact_name: str
    model_bytes: int
    device: DeviceIdentity
    runtime: RuntimeIdentity
    input_shapes: tuple[tuple[int, ...], ...]
    outcome: RunOutcome
    reason: str = ""
    blocks: tuple[Block, ...] = ()
    accuracy: Accuracy | None = None
    energy: Energy | None = None
    memory: MemoryUse | None = None
    facts: ModelFacts | None = None
    tpu_mac_share: float | None = None
    edgepipe_version: str = ""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """What one stage cost and brought; `paid` is None for the reference rows.

    `treated` holds shares of the multiply-accumulates by treatment, as `edgepipe.pipeline.treatment` says.
    """

    stage: str
    artefact_sha256: str
    raw_bytes: int
    gzip_bytes: int
    elements: int
    nonzero: int
    clusters: int | None
    macs: int
    int8_mac_share: float | None
    accuracy: float | None
    accuracy_engine: str
    correct: tuple[bool, ...] | None
    latency_us: float | None
    arena_bytes: int | None
    seconds: float
    cached: bool
    reference: bool
    paid: bool | None
    paid_reason: str
    treated: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate of a recipe held against the final artefact."""

    gate: str
    limit: float
    measured: float | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class CompressionRecord:
    """One run of a recipe: the ledger, the gates, and every artefact it made, in order.

    `test_sha256` names the data behind `accuracy` and `correct`: only answers to the same questions can be compared.
    """

    id: str
    started_utc: str
    recipe: str
    target: str
    metric: str
    test_samples: int
    test_sha256: str | None = None
    rows: tuple[LedgerRow, ...]
    gates: tuple[GateResult, ...]
    artefacts: tuple[Artefact, ...]
    seconds: float
    edgepipe_version: str = ""
    schema_version: int = SCHEMA_VERSION


def pack_samples_ns(samples_ns: Sequence[int]) -> tuple[str, int]:
    """Return (base64 of zlib of little-endian uint32, stride), keeping at most SAMPLES_KEPT samples.

    A sample of 4.29 s or more does not fit 32 bits and is stored as the largest that does.
    """
    stride = max(1, -(-len(samples_ns) // SAMPLES_KEPT))
    kept = [min(ns, 0xFFFFFFFF) for ns in samples_ns[::stride]]
    return b64encode(zlib.compress(struct.pack(f"<{len(kept)}I", *kept))).decode(), stride


def unpack_samples_ns(packed: str) -> tuple[int, ...]:
    """Return the samples that `pack_samples_ns` stored, in nanoseconds. Raises ValueError for anything else."""
    if not packed:
        return ()
    limit = 4 * SAMPLES_KEPT
    decoder = zlib.decompressobj()
    try:
        raw = decoder.decompress(b64decode(packed, validate=True), limit)
    except zlib.error as exc:
        raise ValueError(f"the samples are damaged: {exc}") from exc
    if decoder.unconsumed_tail or len(raw) % 4:
        raise ValueError("the samples are damaged: wrong length")
    return struct.unpack(f"<{len(raw) // 4}I", raw)
