"""The built-in engine's plan of a model, or everything that keeps the engine from it, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgepipe.devices.engine_plan import plan_of
from edgepipe.errors import VerifyFailed
from edgepipe.facts import GraphFacts, ModelFacts
from edgepipe.pipeline.inspect.verify import Problem, verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.plans import EnginePlan, Planned, Refusal


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
    """Return what is known from the file's facts, of all operators, and what the engine stopped at."""
    target = TARGETS["mcu"]
    offered = replace(target.capabilities, ops=dict(planned.operators))
    found = verify(facts, target, capabilities=offered).problems
    return [*map(str, found), *stopped_at(facts, planned.refusal, found)]


def stopped_at(facts: GraphFacts, refusal: Refusal | None, told: Sequence[Problem]) -> list[str]:
    """Return what the engine stopped at, in words; nothing where it took the model, or where `told` says it already."""
    if refusal is None:
        return []
    if refusal.operator is None:
        return [refusal.reason]
    op = facts.ops[refusal.operator]
    if any(problem.where.startswith(f"operator {op.index} ") for problem in told):
        return []
    return [f'operator {op.index} {op.op} of layer "{op.layer}": {refusal.reason}']
