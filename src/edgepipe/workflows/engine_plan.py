"""The built-in engine's plan of a model, or everything that keeps the engine from it, before anything is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgepipe.devices.engine_plan import plan_of
from edgepipe.errors import VerifyFailed
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.plans import EnginePlan, Planned


def engine_plan(model: Path, content: bytes, facts: ModelFacts) -> EnginePlan:
    """Return how the built-in engine runs the model.

    Raises VerifyFailed with all problems, each with its layer, ModelRejected where the model crashes the engine, and
    InfrastructureError where this machine has no C compiler to build the engine with.
    """
    planned = plan_of(content)
    if planned.plan is None:
        raise VerifyFailed(f"the built-in engine does not run {model.name}", problems=_problems(facts, planned))
    return planned.plan


def _problems(facts: ModelFacts, planned: Planned) -> list[str]:
    """Return what is known from the file's facts, of all operators, and what the engine stopped at unless that says it."""
    target = TARGETS["mcu"]
    offered = replace(target.capabilities, ops=dict(planned.operators))
    found = verify(facts, target, capabilities=offered).problems
    refusal = planned.refusal
    if refusal is None:
        return [str(problem) for problem in found]
    if refusal.operator is None:
        return [refusal.reason, *map(str, found)]
    op = facts.ops[refusal.operator]
    where = f'operator {op.index} {op.op} of layer "{op.layer}"'
    told = any(problem.where == where for problem in found)
    return [*map(str, found), *([] if told else [f"{where}: {refusal.reason}"])]
