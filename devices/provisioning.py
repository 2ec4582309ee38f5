"""Give a Linux board a runtime: what fits it is fetched here, brought there, installed without internet, and tried on one model."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from edgepipe.devices import smoke_model
from edgepipe.devices.board_state import BoardState
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.debs import DebianSite, fetch_debs
from edgepipe.devices.runtimes import Refusal, RuntimePlan, choose_runtime, program_arch, version_of
from edgepipe.devices.wheels import Wheel, WheelSet, fetch
from edgepipe.documents import parse
from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.events import Emit, step

CHILD_S = 60.0  # between two signs of life of the agent's child
FOLLOW_S = 2400.0  # the agent itself ends what hangs before that
REMOVE_S = 120.0
NUMPY = ("python3-numpy",)
PLAIN_NAME = re.compile(r"[^A-Za-z0-9._+-]")  # Debian's file names may hold a %, which a board's would not


class Fetch(Protocol):
    """Where wheels come from: `edgepipe.devices.wheels.fetch`."""

    def __call__(self, plan: RuntimePlan, *, again: bool) -> WheelSet:
        """Return a plan's wheels; `again`: though there are some."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What was provisioned on a board: the wheels and Debian packages by name with their hashes, and how the first model did."""

    digest: str
    runtime: str
    requirements: tuple[str, ...]
    python: str
    wheels: dict[str, str]
    smoke: dict[str, float | None]
    made_utc: str
    debs: dict[str, str] = field(default_factory=dict)

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
    return replace(found, debian=NUMPY) if found.system_numpy and not state.numpy else found


def provision(name: str, board: LinuxBoard, *, upgrade: bool, emit: Emit, fetch: Fetch = fetch) -> Provisioned:
    """Install the runtime that fits an open board, unless it is there. `upgrade`: look for newer wheels first.

    Raises UsageError where there is none for it, InfrastructureError where it cannot be fetched or does not work there; what was
    provisioned before stays then.
    """
    return install(name, board, plan_for(name, probe(board)), upgrade=upgrade, emit=emit, fetch=fetch)


def install(name: str, board: LinuxBoard, plan: RuntimePlan, *, upgrade: bool, emit: Emit, fetch: Fetch = fetch) -> Provisioned:
    """Install what `plan` says, as `provision` does."""
    before = provisioned(board)
    if before and not upgrade and before.requirements == plan.requirements and version_of(before.python) == plan.python:
        return Provisioned(stamp=before, changed=False)
    with step(emit, f"fetch wheels for {name}"):
        wheels = fetch(plan, again=upgrade)
    debs = _debs(name, board, plan, emit)
    if before and before.digest == _digest(wheels, debs):
        return Provisioned(stamp=before, changed=False)
    request = _bring(name, board, plan, wheels, debs, emit)
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
    return Provisioned(stamp=stamp, changed=True, sent_bytes=wheels.size_bytes + sum(deb.path.stat().st_size for deb in debs))


def _debs(name: str, board: LinuxBoard, plan: RuntimePlan, emit: Emit) -> tuple[Wheel, ...]:
    """Return what the board's Debian lacks of the plan."""
    if not plan.debian:
        return ()
    site = parse(DebianSite, board.ask("debian", {}), source="what the board says of its packages", error=InfrastructureError)
    if not site.arch:
        problem = "there is no wheel of numpy for it, it has none of its own, and it is no Debian"
        raise UsageError(f"{name} can have no runtime yet", problems=[problem], todo="Install numpy on the board.")
    with step(emit, f"fetch {' '.join(plan.debian)} for {name}"):
        return fetch_debs(site, plan.debian)


def _digest(wheels: WheelSet, debs: Sequence[Wheel]) -> str:
    """Return what is the same for the same wheels and packages."""
    known = json.dumps([wheels.digest, sorted(deb.sha256 for deb in debs)])
    return hashlib.sha256(known.encode()).hexdigest()[:16] if debs else wheels.digest


def remove(board: LinuxBoard) -> bool:
    """Delete what was provisioned on an open board; returns whether there was anything."""
    return bool(board.ask("unprovision", {}, deadline_s=REMOVE_S)["removed"])


def _bring(name: str, board: LinuxBoard, plan: RuntimePlan, wheels: WheelSet, debs: Sequence[Wheel], emit: Emit) -> dict[str, Any]:
    """Send everything, and return the request that names it."""
    files = (*wheels.wheels, *debs)
    sent = []
    total = sum(file.path.stat().st_size for file in files)
    with step(emit, f"send {total / 1e6:.1f} MB to {name}", total=total, unit="bytes") as advance:
        done = 0
        for file in files:
            plain = PLAIN_NAME.sub("-", file.path.name)
            sent.append({"path": board.bring(file.path, plain), "name": plain, "sha256": file.sha256})
            done += file.path.stat().st_size
            advance(done, file.path.name)
    return {
        "digest": _digest(wheels, debs),
        "wheels": sent[: len(wheels.wheels)],
        "debs": sent[len(wheels.wheels) :],
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
