"""Parity: one model file in every runtime on the same inputs, and the gate that two of them must not differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepipe.errors import GateMissed, Inconclusive, MissingExtra, ModelRejected, UsageError
from edgepipe.events import Emit, silent
from edgepipe.facts import ModelFacts
from edgepipe.parity import Parity, Runtime, RuntimeOutcome, RuntimeReport
from edgepipe.pipeline.data import load
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.parity.compare import Question, compare
from edgepipe.pipeline.inspect.parity.inputs import from_data, made_up
from edgepipe.pipeline.targets import TARGETS

SAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What to ask with: a source of real data, of which at most `samples` are taken (None: all); or made up from `seed`."""

    data: str | None = None
    samples: int | None = None
    seed: int = 0


def parity(
    model: Path,
    *,
    inputs: Inputs = Inputs(),
    runtimes: Sequence[Runtime] = tuple(Runtime),
    deadline_s: float = 600.0,
    emit: Emit = silent,
) -> Parity:
    """Return how `runtimes` answer the same inputs. Raises ModelFileError, DataError and UsageError; no runtime's refusal."""
    content, facts = read_model(model)
    if len(set(runtimes)) < 2:
        raise UsageError("parity needs two runtimes to compare", todo=f"Known are {', '.join(Runtime)}.")
    chosen = tuple(each for each in Runtime if each in runtimes)
    return compare(asked(content, facts, inputs, deadline_s, emit), chosen, emit=emit)


def asked(content: bytes, facts: ModelFacts, inputs: Inputs, deadline_s: float, emit: Emit) -> Question:
    """Return what is asked. Raises DataError."""
    if inputs.data is None:
        samples, words = made_up(facts, inputs.samples or SAMPLES, inputs.seed)
        return Question(content=content, facts=facts, samples=samples, words=words, deadline_s=deadline_s)
    dataset = load(inputs.data, base=Path.cwd(), inputs=facts.inputs, emit=emit)
    samples, words = from_data(dataset, facts, inputs.samples, inputs.seed)
    classes = None if dataset.labels is None else dataset.labels.dtype.kind in "iu"
    return Question(content=content, facts=facts, samples=samples, words=words, classes=classes, deadline_s=deadline_s)


def runtime_named(name: str) -> Runtime:
    """Return the runtime of that name, or that of the target of that name. Raises UsageError for neither."""
    if name in TARGETS:
        return Runtime.TFLM if TARGETS[name].runtime == "tflm" else Runtime.XNNPACK
    try:
        return Runtime(name)
    except ValueError as exc:
        raise UsageError(f'there is no runtime "{name}"', todo=f"Known are {', '.join(Runtime)}; or a target.") from exc


def took(reports: Sequence[RuntimeReport], runtime: Runtime) -> None:
    """Raise where `runtime` did not run the model: UsageError, MissingExtra, ModelRejected."""
    report = next((each for each in reports if each.runtime is runtime), None)
    if report is None:
        raise UsageError(f"{runtime} was not asked", todo="Name it with --runtime, too.")
    if report.outcome is RuntimeOutcome.MISSING:
        raise MissingExtra(f"nothing can be held against {runtime}: {report.reason}")
    if report.outcome is RuntimeOutcome.REJECTED:
        raise ModelRejected(f"{runtime} does not take the model: {report.reason}")


def require_exact(found: Parity, runtime: Runtime) -> None:
    """Raise where a runtime that ran does not answer bit for bit as `runtime` does.

    GateMissed with all differences; ModelRejected where `runtime` itself refuses the model, MissingExtra where it is not
    installed, Inconclusive where nothing else ran.
    """
    took(found.runtimes, runtime)
    pairs = [pair for pair in found.pairs if runtime in (pair.a, pair.b)]
    if not pairs:
        raise Inconclusive(f"only {runtime} took the model; there is nothing to compare", todo="Name more with --runtime.")
    differing = [pair for pair in pairs if not pair.alike]
    if differing:
        raise GateMissed(
            f"not every runtime answers as {runtime}",
            problems=[
                f"{pair.b if pair.a is runtime else pair.a} differs on {pair.distance.samples - pair.distance.exact} of "
                f"{pair.distance.samples} inputs" + (f", first at {pair.first.place}" if pair.first else "")
                for pair in differing
            ],
            todo=f"Judge this model with {runtime}, or choose with --runtime which ones must agree.",
        )
