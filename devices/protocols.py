"""The seams of this wing: how bytes get to a board (`Transport`), and what to do with it (`Board`).

Implementations need not inherit from these; one contract test class each is run against all of them (tests/contracts).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgepipe.records import Block, Capabilities, DeviceIdentity, RuntimeIdentity

if TYPE_CHECKING:
    from edgepipe.devices.deployments import Deployed, Order, Standing


class Channel(Protocol):
    """A line-oriented conversation with a program on the board. Every wait has a deadline."""

    def send(self, line: bytes, *, deadline_s: float) -> None:
        """Send one line, given without its line end. Raises DeviceUnreachable when the other side is gone or does not read."""

    def receive(self, *, deadline_s: float) -> bytes:
        """Return the next line without its line end. Raises DeviceUnreachable at the deadline or at the end."""

    def close(self) -> None:
        """End the conversation and the program behind it. May be called twice."""


class Transport(Protocol):
    """How bytes get to a board.

    1. `open()`.
    2. `put()` and `start_agent()`, any number of times.
    3. `close()`: frees everything, ends every channel; may be called at any time and twice.
    """

    def open(self, *, deadline_s: float) -> None:
        """Connect. Raises DeviceUnreachable."""

    def put(self, source: Path, name: str, *, deadline_s: float) -> str:
        """Copy a file to the board, whole or not at all, and return its path there. Raises UsageError for a `name` that is more."""

    def start_agent(self, agent: str, *, deadline_s: float, role: str = "serve") -> Channel:
        """Start the agent file at `agent` (a path on the board) in one of its roles and return the channel to it."""

    def close(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a model is run. `runtime` is a name of the agent's table of runtimes.

    `memory_limit_bytes` is what the model may add to its process, None: what is free; `deadline_s` the longest time without a sign
    of life from it, so that a slow model is not taken for a hung one.
    """

    runtime: str = "litert"
    delegate: str = "xnnpack"
    threads: int = 1
    affinity: tuple[int, ...] | None = None
    memory_limit_bytes: int | None = None
    deadline_s: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a board sees to before a block. `steady`: its governor is set to performance where that is allowed, and put back later.

    With `cool_below_c` it waits until it is no warmer than that, at most `cool_longest_s`.
    """

    steady: bool = True
    cool_below_c: float | None = None
    cool_longest_s: float = 120.0


@dataclass(frozen=True, kw_only=True)
class BlockRequest:
    """One block of timed invocations; the defaults are those of METHODS §1."""

    index: int
    options: RunOptions = RunOptions()
    conditions: Conditions = Conditions()
    seed: int = 0
    warmup_min: int = 10
    warmup_max_s: float = 10.0
    min_invocations: int = 50
    min_s: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Raw output bytes of one sample, one entry an output, in the model's own dtypes (little-endian)."""

    outputs: tuple[bytes, ...]


class Board(Protocol):
    """What to do with a board.

    1. `open()`: takes the board's lock before anything else, then connects. Raises DeviceBusy, DeviceUnreachable.
    2. `identify()`, `capabilities()`, `runtime()`.
    3. `push()` a model, whose hash the board checks on arrival.
    4. `measure()` and `predict()` it, any number of times. A model that crashes, hangs or does not fit is the outcome `rejected`
       (or ModelRejected), never the end of the board.
    5. `close()`: frees the lock; may be called at any time and twice.

    `stop()` may be called by another thread at any time: what waits for the board then raises Interrupted; only `close()` is left.
    """

    def open(self) -> None:
        """Lock and connect."""

    def identify(self) -> DeviceIdentity:
        """Say which board this is."""

    def capabilities(self) -> Capabilities:
        """Say what this board offers a model."""

    def runtime(self, options: RunOptions) -> RuntimeIdentity:
        """Say what would run a model. Raises UsageError for unknown names, ModelRejected for what is not installed there."""

    def push(self, model: Path, sha256: str) -> None:
        """Bring a model; nothing is sent when the board has it already. Raises InfrastructureError where the hash differs there."""

    def measure(self, sha256: str, request: BlockRequest) -> Block:
        """Run one block on the model pushed as `sha256` in a fresh process (or boot)."""

    def predict(self, sha256: str, samples: Iterator[Sequence[bytes]], options: RunOptions) -> Iterator[Prediction]:
        """Answer samples one by one; each is every input's raw bytes, in the model's order and dtypes. Raises ModelRejected."""

    def stop(self) -> None:
        """Have whatever waits for the board raise Interrupted."""

    def close(self) -> None:
        """Let go of the board."""


class Deployable(Board, Protocol):
    """A board that keeps models for applications, and never ends up without one that works.

    1. `deploy()` puts a model on trial: the board checks its health and goes back by itself where that is bad.
    2. `confirm()` within the deadline, or the board goes back by itself, whether the host is there or not; a microcontroller, which
       has no clock for that, at its next reset.
    3. `rollback()` goes back to what was current before, from a trial or from a confirmed model.
    """

    def deploy(self, order: Order) -> Deployed:
        """Put a model on trial; what was sent before is not sent again.

        Raises DeviceBusy during another trial, UsageError, SignatureRefused where it is not signed as the board demands.
        """

    def confirm(self, trial: str = "") -> None:
        """Keep the model on trial; `trial` makes sure that it is the one that was meant. Raises InfrastructureError if too late."""

    def rollback(self, reason: str) -> str | None:
        """Go back and return the hash of what is current then, None for nothing. Raises UsageError where there is no way back."""

    def standing(self) -> Standing:
        """Say how the board stands."""

    def trust(self, target: str, signers: Sequence[str], *, replace: bool = False) -> tuple[str, ...]:
        """Demand signatures of these keys from now on, of none: none; returns their fingerprints. Raises SignatureRefused."""

    def protect(self) -> str:
        """Install what rolls a trial back after a reboot and return its kind: systemd or cron. Raises StorageError for neither."""
