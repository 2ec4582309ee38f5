"""What the doctor found: each layer and what every technique can do with it, each finding with its fix, and the memory it takes.

All are frozen, keyword-only dataclasses made of JSON's types, as in `edgepipe.facts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from edgepipe.facts import TensorPort


class Severity(StrEnum):
    """How much a finding matters, worst first."""

    ERROR = "error"  # it will not run on the target
    WARNING = "warning"  # it runs, and something will disappoint
    NOTE = "note"  # good to know


class Verdict(StrEnum):
    """What becomes of a layer under one technique."""

    OK = "ok"
    SKIPPED = "skipped"  # left as it is, the others are treated
    REWRITTEN = "rewritten"  # treated after being put in another form that computes the same
    IMPOSSIBLE = "impossible"
    NOTHING = "nothing"  # it has no weights and computes nothing that the technique is about


TECHNIQUES = ("prune", "cluster", "qat", "int8", "target")


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """A verdict with its reason; no reason where it is ok."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class LayerDiagnosis:
    """One layer: what comes out of it (no batch; -1 open, None unknown), the TFLite operators it becomes at int8, its work.

    `treatments` has one entry for each of TECHNIQUES. `weights_bytes` are those at int8, biases at 32 bits; None: not known.
    """

    layer: str
    kind: str
    shape: tuple[int, ...] | None
    ops: tuple[str, ...]
    macs: int | None
    weights_bytes: int | None
    treatments: dict[str, Treatment] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that will go wrong, or that deserves a word: `code` is stable, `layer` empty where it is about the whole model."""

    code: str
    severity: Severity
    layer: str
    what: str
    why: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a code stands for: its title, a paragraph, an example that has it, and what helps."""

    code: str
    severity: Severity
    title: str
    text: str
    example: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Estimated memory against a board's; None where a part of the model is not known, or no board was named.

    `flash_bytes`: the model at int8 with the runtime's code. `arena_low_bytes`: the largest tensors that live at the same time;
    `arena_high_bytes`: with what the runtime keeps about each tensor and operator.
    """

    model_bytes: int | None
    flash_bytes: int | None
    arena_low_bytes: int | None
    arena_high_bytes: int | None
    board: str | None = None
    board_flash_bytes: int | None = None
    board_ram_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Everything that the doctor says of one model for one target. `source`: how it was read (keras, tflite, worker)."""

    model: str
    target: str
    source: str
    inputs: tuple[TensorPort, ...]
    layers: tuple[LayerDiagnosis, ...]
    findings: tuple[Finding, ...]
    budget: Budget

    @property
    def fits(self) -> bool:
        """Whether nothing stands in the way of running on the target, once it is int8 where the target asks for that."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def ops(self) -> tuple[str, ...]:
        """The kinds of TFLite operators, each once, in their order."""
        return tuple(dict.fromkeys(op for layer in self.layers for op in layer.ops))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers as far as they are known."""
        return sum(layer.macs or 0 for layer in self.layers)

    def count(self, severity: Severity) -> int:
        """Return the number of findings of this severity."""
        return sum(finding.severity is severity for finding in self.findings)
