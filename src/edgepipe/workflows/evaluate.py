"""Measure how well a model file answers on a board or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from edgepipe.devices.inventory import DeviceEntry, load_inventory
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.selector import select, select_one
from edgepipe.devices.session import failed, now, run_record
from edgepipe.devices.stopping import Stop
from edgepipe.devices.streaming import Answered, Questions, Stream
from edgepipe.devices.validity import Judgement
from edgepipe.errors import InfrastructureError, ModelRejected
from edgepipe.events import Emit, Note
from edgepipe.facts import ModelFacts
from edgepipe.pipeline import data, scoring
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.parity.inputs import drawn
from edgepipe.records import RunOutcome, RunRecord
from edgepipe.workflows.bench import became
from edgepipe.workflows.placing import place
from edgepipe.workflows.preflight import fits
from edgepipe.workflows.side_by_side import Line, drop, line, side_by_side


def evaluate(
    model: Path,
    dataset: Dataset,
    *,
    device: str = "local",
    inventory: Path | None = None,
    options: RunOptions = RunOptions(),
    emit: Emit,
) -> RunRecord:
    """Return a record whose `accuracy` is the model's on all of `dataset`, computed by the one board that `device` means.

    Raises UsageError (DataError, UnsupportedModel, ModelFileError, InventoryError) before the board is touched; ModelRejected;
    InfrastructureError.
    """
    entry = select_one(load_inventory(inventory), device)
    return _Exam(model, dataset, options, (entry,), emit).sit(entry, Stop())


def evaluate_all(
    model: Path,
    dataset: Dataset,
    *,
    device: str = "local",
    inventory: Path | None = None,
    options: RunOptions = RunOptions(),
    keep: Callable[[RunRecord], None] = drop,
    emit: Emit,
) -> tuple[RunRecord, ...]:
    """Return such a record for each board that `device` means, in the inventory's order; several run side by side.

    What goes wrong on a board, or with the model there, is its record's outcome; the answers that it gave are kept, and the same
    call goes on from there. Raises as `bench` does.
    """
    entries = select(load_inventory(inventory), device)
    exam = _Exam(model, dataset, options, entries, emit)
    return side_by_side(entries, exam.sit_or_fail, words=became, keep=keep, emit=emit)


class _Exam:
    """The same questions for every board."""

    def __init__(self, model: Path, dataset: Dataset, options: RunOptions, entries: Sequence[DeviceEntry], emit: Emit) -> None:
        _, self.facts = read_model(model)
        self._model, self._dataset, self._emit = model, dataset, emit
        self._options = place(model.name, self.facts, entries, options)
        scoring.check_labels(dataset, self.facts)
        scoring.samples(dataset, self.facts)  # raises for inputs of another shape
        self._questions = questions(dataset, self.facts)

    def sit(self, entry: DeviceEntry, stop: Stop) -> RunRecord:
        """Have one board answer. Raises ModelRejected, InfrastructureError, Interrupted."""
        with self._line(entry) as shown:
            return self._scored(self._stream(entry, stop, shown), shown)

    def sit_or_fail(self, entry: DeviceEntry, stop: Stop) -> RunRecord:
        """Have one board answer; what goes wrong is the record's outcome. Raises Interrupted."""
        with self._line(entry) as shown:
            stream = self._stream(entry, stop, shown)
            try:
                return self._scored(stream, shown)
            except (InfrastructureError, ModelRejected) as exc:
                shown.ends(exc.what, failed=True)
                return failed("eval", stream.identity, self._model, self.facts, self._options, exc)

    def _line(self, entry: DeviceEntry) -> AbstractContextManager[Line]:
        return line(self._emit, f"evaluate {self._model.name} on {entry.name}", self._dataset.samples, "samples")

    def _stream(self, entry: DeviceEntry, stop: Stop, shown: Line) -> Stream:
        check = fits(self._model, self.facts, entry)
        return Stream(entry, self._model, self.facts, self._questions, options=self._options, stop=stop, advance=shown, fits=check)

    def _scored(self, stream: Stream, shown: Line) -> RunRecord:
        started = now()
        with stream.answered() as answered:
            accuracy = scoring.score(answered.answers, self._dataset, self.facts)
            shown.ends(went_on(answered))
        return run_record(
            "eval",
            self._model,
            self.facts,
            answered.identity,
            answered.runtime,
            Judgement(outcome=RunOutcome.OK, reason="", blocks=()),
            started_utc=started,
            accuracy=accuracy,
        )


def questions(dataset: Dataset, facts: ModelFacts) -> Questions:
    """Return a dataset's samples as a board is asked them, from any number on."""

    def since(start: int) -> Iterator[Sequence[bytes]]:
        return scoring.samples(dataset, facts, start=start)

    return Questions(sha256=dataset.sha256, count=dataset.samples, since=since)


def went_on(answered: Answered) -> str:
    """Say where a board's answers went on, "" where they came in one go."""
    parts = [f"{answered.earlier:,} answers were there already"] if answered.earlier else []
    parts += [f"the line broke {answered.breaks} time{'s'[: answered.breaks != 1]}"] if answered.breaks else []
    return ", ".join(parts)


def read_test_data(spec: str, model: Path, *, samples: int | None = None, seed: int = 0, emit: Emit) -> Dataset:
    """Return the data that `spec` names, checked against the model's inputs; at most `samples` of it, drawn with `seed`.

    Warnings are emitted. Raises DataError.
    """
    _, facts = read_model(model)
    dataset = data.load(spec, base=Path.cwd(), inputs=facts.inputs, emit=emit)
    problems = data.check({"test": dataset}, facts.inputs)
    data.raise_errors(problems)
    for problem in problems:
        emit(Note(text=str(problem), warning=True))
    return dataset if samples is None or samples >= dataset.samples else dataset.take(drawn(dataset.samples, samples, seed))
