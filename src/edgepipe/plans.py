"""How the built-in engine would run a model: which kernel after which, with what settings, and where its tensors stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tensor's bytes: of a constant, counted from the model's first byte; else from the first byte of the memory of a run."""

    constant: bool
    at: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One operator: `settings` are what its kernel prepared, None in `inputs` is an optional one left out."""

    kernel: str
    settings: bytes
    inputs: tuple[Place | None, ...]
    outputs: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True)
class EnginePlan:
    """The steps in their order, and `memory_bytes` for a run of them, which begin with `scratch_bytes` that all steps share.

    `arena_bytes` is what the interpreter takes in all: that memory, the settings, and what it keeps about the graph.
    """

    steps: tuple[PlannedStep, ...]
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    arena_bytes: int
    memory_bytes: int
    scratch_bytes: int


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why the engine does not take a model; `operator` is its place in the graph, None where it is not about one."""

    operator: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What the engine said: its operators with their latest versions, and a plan, or why there is none."""

    operators: Mapping[str, int]
    plan: EnginePlan | None
    refusal: Refusal | None
