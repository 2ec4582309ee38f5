"""Parity with boards: the same inputs there and here, and whether a board answers as some runtime of this machine does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepipe.devices.answers import KeptAnswers
from edgepipe.devices.inventory import DeviceEntry, load_inventory
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.selector import select
from edgepipe.devices.stopping import Stop
from edgepipe.devices.streaming import Questions, Stream
from edgepipe.errors import GateMissed, InfrastructureError, ModelRejected
from edgepipe.events import Emit, silent
from edgepipe.facts import ModelFacts
from edgepipe.parity import Agreement, BoardAnswers, BoardParity, Runtime
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.parity.compare import Question, agreement, answers
from edgepipe.pipeline.inspect.parity.run import Run
from edgepipe.reports.summary import runtime_words
from edgepipe.workflows.evaluate import went_on
from edgepipe.workflows.parity import Inputs, asked, took
from edgepipe.workflows.placing import AUTO, place
from edgepipe.workflows.preflight import fits
from edgepipe.workflows.side_by_side import line, side_by_side

Array = NDArray[np.generic]


def board_options(runtime: str) -> RunOptions:
    """Return how a board runs the model: a runtime and, behind a hyphen, its delegate, as in `litert-none`."""
    name, _, delegate = runtime.partition("-")
    return RunOptions(runtime=name, delegate=delegate or AUTO)


def board_parity(
    model: Path,
    *,
    device: str,
    inventory: Path | None = None,
    inputs: Inputs = Inputs(),
    runtimes: Sequence[Runtime] = tuple(Runtime),
    options: RunOptions = RunOptions(),
    deadline_s: float = 600.0,
    emit: Emit = silent,
) -> BoardParity:
    """Return how the boards that `device` means answer, held against each of `runtimes` here.

    What goes wrong on a board is in its answers; those that it gave are kept, and the same call goes on from there. Raises
    UsageError (ModelFileError, DataError, InventoryError) before any board is touched, Interrupted and Terminated as `bench` does.
    """
    content, facts = read_model(model)
    entries = select(load_inventory(inventory), device)
    placed = place(model.name, facts, entries, options)
    question = asked(content, facts, inputs, deadline_s, emit)
    here = [answers(question, runtime, emit) for runtime in Runtime if runtime in runtimes]
    exam = _Exam(model=model, facts=facts, question=question, here=here, options=placed, emit=emit)
    boards = side_by_side(entries, exam.sit, words=lambda board: board.reason or "done", emit=emit)
    return BoardParity(
        model_sha256=facts.sha256,
        samples=len(question.samples),
        inputs=question.words,
        runtimes=tuple(run.report for run in here),
        boards=boards,
        advice=tuple(words for board in boards for words in _advice(board)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Exam:
    """The same questions for every board, and what this machine answered."""

    model: Path
    facts: ModelFacts
    question: Question
    here: Sequence[Run]
    options: RunOptions
    emit: Emit

    def sit(self, entry: DeviceEntry, stop: Stop) -> BoardAnswers:
        """Have one board answer."""
        rows = self.question.samples
        questions = Questions(sha256=_sha256(rows), count=len(rows), since=lambda start: ((row.tobytes(),) for row in rows[start:]))
        with line(self.emit, f"answers of {entry.name}", len(rows), "samples") as shown:
            check = fits(self.model, self.facts, entry)
            stream = Stream(entry, self.model, self.facts, questions, options=self.options, stop=stop, advance=shown, fits=check)
            try:
                with stream.answered() as answered:
                    found = BoardAnswers(
                        device=entry.name,
                        emulated=answered.identity.emulated,
                        arch=answered.identity.arch,
                        runtime=runtime_words(answered.runtime),
                        agreements=tuple(self._held_against(answered.answers)),
                    )
                    shown.ends(went_on(answered))
            except (InfrastructureError, ModelRejected) as exc:
                shown.ends(exc.what, failed=True)
                found = BoardAnswers(device=entry.name, emulated=entry.is_virtual, error=exc.slug, reason=exc.what)
            return found

    def _held_against(self, given: KeptAnswers) -> Iterator[Agreement]:
        ran = [run for run in self.here if run.ran]
        there = _arrays(given, self.facts) if ran else ()
        for run in ran:
            outputs = [each.reshape(len(each), -1) for each in run.outputs]
            if [each.shape for each in there] != [each.shape for each in outputs]:
                raise ModelRejected(f"the board's answers are of another size than those of {run.report.runtime} here")
            distance, changed = agreement(self.question, there, outputs)
            yield Agreement(runtime=run.report.runtime, distance=distance, decisions_changed=changed)


def _arrays(given: KeptAnswers, facts: ModelFacts) -> tuple[Array, ...]:
    """Return a board's answers as one array an output, [samples, numbers].

    Raises ModelRejected where they vary in size, or are no whole numbers of what the model says that it answers.
    """
    dtypes = [np.dtype(port.dtype).newbyteorder("<") for port in facts.outputs]
    if any(len(answer) != len(dtypes) for answer in given):
        raise ModelRejected(f"the board gives another number of outputs than the {len(dtypes)} of the model")
    columns = list(zip(*given, strict=True))
    if any(len(output) != len(column[0]) for column in columns for output in column):
        raise ModelRejected("the model's answers vary in size from input to input")
    if any(len(column[0]) % dtype.itemsize for column, dtype in zip(columns, dtypes, strict=True)):
        raise ModelRejected(f"the board's answers are no whole numbers of {' and '.join(map(str, dtypes))}")
    return tuple(
        np.frombuffer(b"".join(column), dtype).reshape(len(column), -1) for column, dtype in zip(columns, dtypes, strict=True)
    )


def _sha256(rows: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(rows.shape).encode() + np.ascontiguousarray(rows).tobytes()).hexdigest()


def _advice(board: BoardAnswers) -> Iterator[str]:
    if not board.agreements:
        return
    alike = [found.runtime.value for found in board.agreements if found.alike]
    if alike:
        samples = board.agreements[0].distance.samples
        yield f"{board.device} answers all {samples:,} inputs bit for bit as {' and '.join(alike)} here."
        return
    nearest = max(board.agreements, key=lambda found: found.distance.exact)
    words = f"{board.device} answers as no runtime here does; {nearest.runtime} is nearest, with {nearest.distance.exact:,} of "
    words += f"{nearest.distance.samples:,} alike"
    if nearest.decisions_changed is not None:
        words += f" and {nearest.decisions_changed:,} decisions changed"
    yield words + f". Its accuracy is its own: `edgepipe eval --device {board.device}`."


def require_boards_exact(found: BoardParity, runtime: Runtime) -> None:
    """Raise where a board that answered does not answer bit for bit as `runtime` here: GateMissed with all of them.

    What keeps `runtime` from being asked here is raised as `require_exact` does.
    """
    took(found.runtimes, runtime)
    held = [(board, each) for board in found.boards for each in board.agreements if each.runtime is runtime and not each.alike]
    if held:
        raise GateMissed(
            f"not every board answers as {runtime} does here",
            problems=[
                f"{board.device} differs on {each.distance.samples - each.distance.exact} of {each.distance.samples} inputs"
                for board, each in held
            ],
            todo="Judge this model on the board itself: `edgepipe eval --device`.",
        )
