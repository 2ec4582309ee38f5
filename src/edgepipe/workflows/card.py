"""What a model card says: figures from the store with how they were made, limits, and what must be done to raw values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from edgepipe.bundles import Figure, Preprocessing
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.data import divisor
from edgepipe.pipeline.export.arena import Arena
from edgepipe.pipeline.recipe import DataSpec, Recipe
from edgepipe.pipeline.targets import Target
from edgepipe.records import RunOutcome, RunRecord
from edgepipe.reports import words
from edgepipe.reports.store import Store


def preprocessing(recipe: Recipe | None, rescales: bool | None, facts: ModelFacts) -> Preprocessing:
    """Return what is done to raw values before the model, as far as recipe and Keras model tell."""
    layout = "; ".join(f"{port.name} {words.shape(port.shape)} ({_axes(len(port.shape))})" for port in facts.inputs)
    known = [] if rescales is None else ["the Keras model that it was made from"]
    divided_by = None
    if recipe is not None and recipe.data is not None:
        divided_by, told = _divided_by(recipe.data, recipe)
        known.append(told)
    return Preprocessing(
        divided_by=divided_by,
        mean=None if divided_by is None else 0.0,
        model_rescales=rescales,
        known_from=" and ".join(known) or "nobody: give the recipe with --recipe",
        layout=layout,
    )


def _divided_by(data: DataSpec, recipe: Recipe) -> tuple[float | None, str]:
    """Return what the recipe's training data was divided by when it was read, and who says so."""
    found = divisor(data.train, base=Path(recipe.base), scale=data.scale)
    if found is None:
        return None, f"nobody: the data of the recipe {recipe.name} is not here"
    if found == 1.0:
        return found, f"the recipe {recipe.name}, whose data is taken as it is"
    if data.train == "digits":
        return found, "the digits, whose values are 0 to 16"
    return found, f"data.scale of the recipe {recipe.name}" if data.scale else "edgepipe, which divides pictures by 255"


def _axes(rank: int) -> str:
    """Return TensorFlow Lite's order of axes: batch first, channels last."""
    return {4: "batch, rows, columns, channels", 3: "batch, steps, channels", 2: "batch, values"}.get(rank, "batch first")


def figures(facts: ModelFacts, arena: Arena | None, store: Store) -> tuple[Figure, ...]:
    """Return everything that was counted or measured of this very file; what was not measured is not there."""
    return (*_counted(facts, arena), *_accuracies(facts, store), *_latencies(facts, store))


def _counted(facts: ModelFacts, arena: Arena | None) -> Iterator[Figure]:
    yield Figure(what="file", value=f"{facts.size_bytes:,} bytes", how="counted")
    yield Figure(what="file, packed", value=f"{facts.gzip_bytes:,} bytes", how="gzip -9")
    yield Figure(what="multiply-accumulates", value=f"{facts.macs:,}", how="counted from the shapes in the file")
    if facts.elements:
        zeros = words.percent(1 - facts.nonzero / facts.elements)
        yield Figure(what="weights", value=f"{facts.elements:,}, {zeros} of them zero", how="counted in the file")
    if arena is not None:
        how = f"smallest that invokes in {arena.tool_version} on x86-64; a 32-bit board with the same kernels needs less"
        yield Figure(what="arena", value=f"{arena.smallest_bytes:,} bytes", how=how)


def _accuracies(facts: ModelFacts, store: Store) -> Iterator[Figure]:
    for run in store.runs(artefact_sha256=facts.sha256, kind="eval"):
        found = run.accuracy
        if found is not None:
            how = f"{found.samples:,} samples (data {found.data_sha256[:12]}), {_how(run)}"
            yield Figure(what=found.metric, value=words.share(found.metric, found.value), how=how)
    for record in store.compressions():
        for row in record.rows:
            if row.artefact_sha256 == facts.sha256 and row.accuracy is not None and not row.reference:
                data = f"data {record.test_sha256[:12]}" if record.test_sha256 else "data not named"
                how = f"{record.test_samples:,} test samples ({data}) of the recipe {record.recipe}, {row.accuracy_engine}"
                yield Figure(what=record.metric, value=words.share(record.metric, row.accuracy), how=how)


def _latencies(facts: ModelFacts, store: Store) -> Iterator[Figure]:
    for run in store.runs(artefact_sha256=facts.sha256, kind="bench"):
        medians = [block.median_ns for block in run.blocks if block.median_ns is not None]
        if run.outcome is RunOutcome.OK and medians:
            how = f"median of {len(medians)} blocks, {_how(run)}"
            yield Figure(what="latency", value=words.time(median(medians)), how=how)


def _how(run: RunRecord) -> str:
    emulated = ", emulated" if run.device.emulated else ""
    runtime = f"{run.runtime.name} {run.runtime.version}, {run.runtime.delegate}, {run.runtime.threads} thread(s)"
    return f"{runtime}, on {run.device.name} ({run.device.cpu}{emulated}), {words.moment(run.started_utc)}"


def limits(facts: ModelFacts, target: Target) -> tuple[str, ...]:
    """Return what is known to limit the use of this file."""
    return tuple(_limits(facts, target))


def _limits(facts: ModelFacts, target: Target) -> Iterator[str]:
    for port in facts.inputs:
        if (codes := port.code_range) is not None:
            low, high = port.real(codes[0]), port.real(codes[1])
            yield f'What lies outside of {low:.6g} to {high:.6g} in the input "{port.name}" is clipped; NaN becomes 0.'
    if target.runtime == "tflm":
        yield "The golden answers are those of TensorFlow Lite Micro's reference kernels; a board with others must show the same."
    else:
        yield "The golden answers are those of LiteRT's reference kernels; XNNPACK may differ in the last bits (edgepipe parity)."
    yield "Figures hold for the data and the machine named beside them; what is not listed was not measured."
    for finding in facts.uncalibrated_tensors:
        yield f"Suspicious: {finding}"
