"""What a deployed model's health is checked by: golden inputs with the answers of the runtime that predicts the board's."""

from __future__ import annotations

from dataclasses import replace

from edgepipe.errors import ModelRejected, UsageError
from edgepipe.events import Emit, Note, step
from edgepipe.parity import Runtime, RuntimeOutcome
from edgepipe.pipeline.export.bundle import golden
from edgepipe.pipeline.inspect.edgetpu_share import compiled_from, is_compiled
from edgepipe.pipeline.inspect.parity.inputs import made_up
from edgepipe.pipeline.inspect.parity.run import Rows, Run, run
from edgepipe.pipeline.targets import Target
from edgepipe.workflows.choose_model import GOLDEN_SAMPLES, Choice

TFLM, USUAL = Runtime.TFLM, Runtime.REFERENCE
WORDS = {TFLM: "TensorFlow Lite Micro", USUAL: "LiteRT's reference kernels"}
INSTALL = "pip install 'edgepipe[micro]'"


class GoldenAnswers:
    """Golden samples of the models that go out, made once for each runtime that predicts a board's answers."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._made: dict[tuple[str, Runtime], bytes] = {}

    def of(self, choice: Choice, target: Target) -> bytes:
        """Return golden samples as .npz: a bundle's own, else made-up inputs with the answers of a runtime of this machine.

        Where TFLite Micro is not installed, LiteRT's reference kernels stand in for it, and that is said. Raises ModelRejected
        where the runtime refuses the model, UsageError where it is for an Edge TPU and what it was compiled from is not there.
        """
        key = choice.facts.sha256, TFLM if target.runtime == "tflm" else USUAL
        if key not in self._made:
            self._made[key] = _golden(choice, key[1], self._emit)
        return self._made[key]


def _golden(choice: Choice, predicted_by: Runtime, emit: Emit) -> bytes:
    if choice.samples:
        return golden.pack(replace(choice.samples, real=()))
    rows, _ = made_up(choice.facts, GOLDEN_SAMPLES, 0)
    content = _runnable(choice)
    done = _answered(choice, content, predicted_by, rows, emit)
    if done.report.outcome is RuntimeOutcome.MISSING and predicted_by is TFLM:
        text = f"the golden answers are those of {WORDS[USUAL]}, which may be a step off: {done.report.reason} ({INSTALL})"
        emit(Note(text=text, warning=True))
        done = _answered(choice, content, USUAL, rows, emit)
    if not done.ran:
        raise ModelRejected(
            f"{choice.name}: {WORDS[done.report.runtime]} refuses it here, so nothing says what is right: {done.report.reason}",
            todo="`edgepipe parity MODEL` says which runtimes take it; a bundle has golden answers of its own.",
        )
    return golden.pack(golden.Samples(inputs=golden.split(rows, choice.facts.inputs), outputs=done.outputs))


def _answered(choice: Choice, content: bytes, runtime: Runtime, rows: Rows, emit: Emit) -> Run:
    with step(emit, f"golden answers of {WORDS[runtime]} for {choice.name}", total=len(rows), unit="samples") as advance:
        return run(content, runtime, rows, answered=advance)


def _runnable(choice: Choice) -> bytes:
    """Return the model, or what it was compiled from, which an Edge TPU alone could run."""
    if not is_compiled(choice.facts):
        return choice.content
    whole = compiled_from(choice.path, choice.facts)
    if whole is None:
        todo = "Put the .tflite that it was compiled from beside it, or give a bundle with golden samples."
        raise UsageError(f"there are no golden answers for {choice.name}, which this machine cannot run", todo=todo)
    content, _ = whole
    return content
