"""Measure how well a model file answers on a board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgepipe.devices.inventory import load_inventory
from edgepipe.devices.protocols import Prediction, RunOptions
from edgepipe.devices.selector import select
from edgepipe.devices.session import Session
from edgepipe.errors import UsageError
from edgepipe.events import Emit, Note, step
from edgepipe.pipeline import data, scoring
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.records import Accuracy, RunRecord


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
    _, facts = read_model(model)
    scoring.check_labels(dataset, facts)
    samples = scoring.samples(dataset, facts)
    entries = select(load_inventory(inventory), device)
    if len(entries) > 1:
        raise UsageError(f'"{device}" means {len(entries)} devices', problems=[entry.name for entry in entries], todo="Name one.")
    name = f"evaluate {model.name} on {entries[0].name}"
    with step(emit, name, total=dataset.samples, unit="samples") as advance, Session(entries[0]) as session:

        def score(predictions: Iterator[Prediction]) -> Accuracy:
            def outputs() -> Iterator[tuple[bytes, ...]]:
                for done, prediction in enumerate(predictions, start=1):
                    yield prediction.outputs
                    advance(done)

            return scoring.score(outputs(), dataset, facts)

        return session.evaluate(model, facts, samples, score, options=options)


def read_test_data(spec: str, model: Path, *, emit: Emit) -> Dataset:
    """Return the data that `spec` names, checked against the model's inputs; warnings are emitted. Raises DataError."""
    _, facts = read_model(model)
    dataset = data.load(spec, base=Path.cwd(), inputs=facts.inputs, emit=emit)
    problems = data.check({"test": dataset}, facts.inputs)
    data.raise_errors(problems)
    for problem in problems:
        emit(Note(text=str(problem), warning=True))
    return dataset
