"""Give a Linux board a runtime: what fits it is fetched here, brought there, installed without internet, and tried on one model."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgepipe.devices import smoke_model
from edgepipe.devices.board_state import BoardState
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.runtimes import Refusal, RuntimePlan, choose_runtime, program_arch, version_of
from edgepipe.devices.wheels import WheelSet, fetch
from edgepipe.documents import parse
from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.events import Emit, step

CHILD_S = 60.0  # between two signs of life of the agent's child
FOLLOW_S = 2400.0  # the agent itself ends what hangs before that
REMOVE_S = 120.0


class Fetch(Protocol):
    """Where wheels come from: `edgepipe.devices.wheels.fetch`."""

    def __call__(self, plan: RuntimePlan, *, again: bool) -> WheelSet:
        """Return a plan's wheels; `again`: though there are some."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What was provisioned on a board: the wheels by name with their hashes, and how the first model did."""

    digest: str
    runtime: str
    requirements: tuple[str, ...]
    python: str
    wheels: dict[str, str]
    smoke: dict[str, float | None]
    made_utc: str

    @property
    def versions(self) -> dict[str, str]:
        """The version of each package."""
        return dict(sorted(name.split("-")[:2] for name in self.wheels))


@dataclass(frozen=True, kw_only=True)
class Provisioned:
    """A board's runtime; `changed` is False where it had been there already."""

    stamp: Stamp
    changed: bool
    sent_bytes: int = 0


def probe(board: LinuxBoard) -> BoardState:
    """Return the facts about an open board."""
    return parse(BoardState, board.ask("probe", {}), source="what the board says of itself", error=InfrastructureError)


def provisioned(board: LinuxBoard) -> Stamp | None:
    """Return what an open board was given, None for nothing."""
    found = board.ask("provisioned", {})
    return parse(Stamp, found, source="the stamp of the board's runtime", error=InfrastructureError) if found else None


def plan_for(name: str, state: BoardState) -> RuntimePlan:
    """Return what the board should get. Raises UsageError where it can have no runtime."""
    glibc = version_of(state.glibc) if state.glibc else None
    found = choose_runtime(program_arch(state.arch, state.bits), version_of(state.python), glibc)
    if isinstance(found, Refusal):
        raise UsageError(f"{name} can have no runtime", problems=[found.reason], todo=found.todo)
    if found.system_numpy and not state.numpy:
        problem = f"there is no wheel of numpy for {state.arch}, and the board has none of its own"
        raise UsageError(
            f"{name} can have no runtime yet", problems=[problem], todo="On the board: sudo apt-get install python3-numpy"
        )
    return found


def provision(name: str, board: LinuxBoard, *, upgrade: bool, emit: Emit, fetch: Fetch = fetch) -> Provisioned:
    """Install the runtime that fits an open board, unless it is there. `upgrade`: look for newer wheels first.

    Raises UsageError where there is none for it, InfrastructureError where it cannot be fetched or does not work there; what was
    provisioned before stays then.
    """
    plan, before = plan_for(name, probe(board)), provisioned(board)
    if before and not upgrade and before.requirements == plan.requirements and version_of(before.python) == plan.python:
        return Provisioned(stamp=before, changed=False)
    with step(emit, f"fetch wheels for {name}"):
        wheels = fetch(plan, again=upgrade)
    if before and before.digest == wheels.digest:
        return Provisioned(stamp=before, changed=False)
    request = _bring(name, board, plan, wheels, emit)
    with step(emit, f"install on {name}") as advance:
        said: dict[str, Any] = {}
        for message in board.follow("provision", request, deadline_s=FOLLOW_S):
            said.update(message)
            if "doing" in message:
                advance(0, str(message["doing"]))
    if "result" not in said:
        reason = said.get("failed") or said.get("ended") or "it ended without an answer"
        kept = f"; {_words(before)} stays" if before else ""
        raise InfrastructureError(
            f"{name} was not provisioned: {reason}{kept}", todo=f"edgepipe farm probe {name} says what it has."
        )
    stamp = parse(Stamp, said["result"], source="the stamp of the board's runtime", error=InfrastructureError)
    return Provisioned(stamp=stamp, changed=True, sent_bytes=wheels.size_bytes)


def remove(board: LinuxBoard) -> bool:
    """Delete what was provisioned on an open board; returns whether there was anything."""
    return bool(board.ask("unprovision", {}, deadline_s=REMOVE_S)["removed"])


def _bring(name: str, board: LinuxBoard, plan: RuntimePlan, wheels: WheelSet, emit: Emit) -> dict[str, Any]:
    """Send everything, and return the request that names it."""
    sent = []
    total = wheels.size_bytes
    with step(emit, f"send {total / 1e6:.1f} MB to {name}", total=total, unit="bytes") as advance:
        done = 0
        for wheel in wheels.wheels:
            sent.append({"path": board.bring(wheel.path, wheel.path.name), "name": wheel.path.name, "sha256": wheel.sha256})
            done += wheel.path.stat().st_size
            advance(done, wheel.path.name)
    return {
        "digest": wheels.digest,
        "wheels": sent,
        "requirements": list(plan.requirements),
        "system_numpy": plan.system_numpy,
        "runtime": plan.runtime,
        "smoke": _bring_model(board),
        "deadline_s": CHILD_S,
    }


def _bring_model(board: LinuxBoard) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(prefix="edgepipe-smoke-", suffix=".tflite") as file:
        file.write(smoke_model.content())
        file.flush()
        path = board.bring(Path(file.name), "smoke.tflite")
    return {
        "path": path,
        "sha256": hashlib.sha256(smoke_model.content()).hexdigest(),
        "job": smoke_model.JOB,
        "output_sha256": smoke_model.answer_sha256(),
    }


def _words(stamp: Stamp) -> str:
    return f"what was provisioned on {stamp.made_utc[:10]}"
