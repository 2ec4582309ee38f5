"""The built-in engine's plan of a model, told by the engine itself: built for this machine, in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgepipe.devices import firmware_build
from edgepipe.errors import InfrastructureError, ModelRejected
from edgepipe.plans import EnginePlan, Place, Planned, PlannedStep, Refusal

PLANNING_S = 60.0
MEMORY_LIMIT_BYTES = 1 << 30


def plan_of(content: bytes, *, folder: Path | None = None) -> Planned:
    """Return how the engine would run the `.tflite` in `content`; the planner is built in `folder` (None: the cache).

    Raises ModelRejected where the engine crashes or hangs on it, InfrastructureError where the planner cannot be built.
    """
    said = json.loads(_say(content, folder=folder))
    if why := said.get("refused"):
        at = None if why["operator"] < 0 else why["operator"]
        return Planned(operators=said["operators"], plan=None, refusal=Refusal(operator=at, reason=why["reason"]))
    return Planned(operators=said["operators"], plan=_plan(said), refusal=None)


def answers_of(content: bytes, inputs: bytes, *, folder: Path | None = None) -> bytes:
    """Return what the engine of this machine answers to inputs that stand one after another, each with all of a model's inputs.

    Raises ModelRejected where the engine refuses the model, crashes or hangs, InfrastructureError where it cannot be built.
    """
    return _say(content + inputs, str(len(content)), folder=folder)


def _say(given: bytes, *words: str, folder: Path | None) -> bytes:
    planner = firmware_build.build_planner(folder=folder)
    command = [str(planner), *words]
    try:
        ran = subprocess.run(  # whoever ends edgepipe with Ctrl-C says nothing about the model
            command, input=given, capture_output=True, timeout=PLANNING_S, check=False, preexec_fn=_limit, start_new_session=True
        )
    except subprocess.TimeoutExpired as exc:
        raise ModelRejected(f"the built-in engine was not done with the model after {PLANNING_S:.0f} s") from exc
    except OSError as exc:
        raise InfrastructureError(
            f"{planner} does not start: {exc.strerror}",
            cause="it was cut short, or may not be run there",
            todo="Take it away: it is then built anew.",
        ) from exc
    if ran.returncode:
        raise ModelRejected(f"the built-in engine does not survive the model (exit status {ran.returncode})")
    return ran.stdout


def _plan(said: Mapping[str, Any]) -> EnginePlan:
    return EnginePlan(
        steps=tuple(
            PlannedStep(
                kernel=step["kernel"],
                settings=bytes.fromhex(step["settings"]),
                inputs=tuple(None if one is None else _place(one) for one in step["inputs"]),
                outputs=tuple(map(_place, step["outputs"])),
            )
            for step in said["steps"]
        ),
        inputs=tuple(map(_place, said["inputs"])),
        outputs=tuple(map(_place, said["outputs"])),
        arena_bytes=said["arena_bytes"],
        memory_bytes=said["memory_bytes"],
        scratch_bytes=said["scratch_bytes"],
    )


def _place(one: Mapping[str, Any]) -> Place:
    return Place(constant=one["constant"], at=one["at"], size_bytes=one["bytes"])


def _limit() -> None:
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
