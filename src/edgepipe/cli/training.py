"""What the verbs that train have in common: their options, and running a recipe and showing its record."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgepipe.cli.output import console, progress, show_json
from edgepipe.errors import DataError, GateMissed, Inconclusive, UsageError

if TYPE_CHECKING:
    from edgepipe.pipeline.recipe import Recipe
    from edgepipe.records import CompressionRecord

Memory = Annotated[
    float | None,
    typer.Option(min=0.1, max=1e6, help="Most memory the TensorFlow process may allocate, in GB.", show_default="no limit"),
]
Timeout = Annotated[float, typer.Option(min=0.01, max=1e6, help="Longest time for one stage, in minutes.")]
Model = Annotated[str, typer.Argument(help="A .keras file, a SavedModel folder, or module:function.", show_default=False)]
Data = Annotated[
    str | None,
    typer.Option(help="Training data: .npz, folder of class folders, .csv, module:function, or digits.", show_default="none"),
]
Test = Annotated[
    str | None,
    typer.Option(help="Test data: a source like --data, or the share of it to set aside, such as 0.2.", show_default="none"),
]
Target = Annotated[str, typer.Option(help="Where it must run: host, pi, coral or mcu.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training data.", show_default="10")]
LearningRate = Annotated[float | None, typer.Option(help="Highest learning rate.", show_default="the model's own")]
Seed = Annotated[int, typer.Option(help="Seed of every split, shuffle and initial value.")]
To = Annotated[
    Path | None, typer.Option("--to", help="Also copy the result here: .tflite, or .keras to go on with.", show_default="none")
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-model", help="Load a .h5, or a SavedModel that may run code or touch files: only if you know who made it."
    ),
]

Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-module",
        help="A module of yours whose layers and losses the .keras file may name; repeatable.",
        show_default="none",
    ),
]


def one_stage(
    stage: str,
    parameters: dict[str, Any],
    *,
    model: str,
    data: str | None,
    test: str | None,
    target: str,
    seed: int,
    calibration_samples: int | None = None,
) -> Recipe:
    """Return the recipe of a single stage. Raises RecipeError for wrong parameters."""
    from edgepipe.pipeline.recipe import read_recipe

    content: dict[str, Any] = {
        "schema": 1,
        "model": {"path": model},
        "target": target,
        "seed": seed,
        "stages": [{stage: {name: value for name, value in parameters.items() if value is not None}}],
    }
    if data is not None:
        content["data"] = {"train": data, **({"test": _share_or_source(test)} if test else {})}
        if calibration_samples is not None:
            content["data"]["calibration"] = {"samples": calibration_samples}
    elif test is not None:
        raise DataError("--test needs --data", todo="--data names what the stage works with, --test what it is judged by.")
    return read_recipe(content, source="the command line", name=stage, base=Path.cwd())


def _share_or_source(test: str) -> str | float:
    try:
        return float(test)
    except ValueError:
        return test


def run_recipe(
    recipe: Recipe,
    *,
    memory: float | None,
    timeout: float,
    as_json: bool,
    quiet: bool,
    to: Path | None = None,
    references: bool = False,
    trusted: bool = False,
    modules: Sequence[str] | None = None,
) -> int:
    """Run a recipe and show its record. Raises GateMissed or Inconclusive after showing it; returns 0 otherwise."""
    from edgepipe.records import as_json as to_json
    from edgepipe.workflows.compress import Limits, compress

    if to is not None and to.suffix not in (".tflite", ".keras"):
        raise UsageError(f"--to {to}: the file must end in .tflite or .keras")
    limits = Limits(memory_bytes=int(memory * 1e9) if memory else None, timeout_s=timeout * 60)
    with progress(quiet) as emit:
        record = compress(recipe, emit=emit, limits=limits, references=references, trusted=trusted, modules=modules or ())
    if to is not None:
        _copy(record, to)
    if as_json:
        show_json(to_json(record))
    else:
        _show(record, to)
    return _judge(record)


def _copy(record: CompressionRecord, to: Path) -> None:
    from edgepipe.places import whole_file

    source = Path(record.artefacts[-1].folder) / f"model{to.suffix}"
    if not source.exists():
        raise UsageError(f"the last stage ends with a .tflite; there is no {to.suffix} to copy", todo="Name a .tflite file.")
    with whole_file(to) as part:
        shutil.copyfile(source, part)


def _show(record: CompressionRecord, to: Path | None) -> None:
    from edgepipe.reports.render.console import compression

    out = console()
    out.print(compression(record))
    out.print(f"The model: {to or Path(record.artefacts[-1].folder) / 'model.tflite'}", soft_wrap=True, markup=False)


def _judge(record: CompressionRecord) -> int:
    from edgepipe.records import Verdict

    by_verdict = {verdict: [gate for gate in record.gates if gate.verdict is verdict] for verdict in Verdict}
    if missed := by_verdict[Verdict.REGRESSED]:
        raise GateMissed(
            "the result misses " + ("a gate" if len(missed) == 1 else f"{len(missed)} gates"),
            problems=[f"{gate.gate}: {gate.measured:g}, allowed {gate.limit:g}" for gate in missed],
        )
    if unknown := by_verdict[Verdict.INCONCLUSIVE]:
        raise Inconclusive(
            "a gate could not be judged",
            problems=[f"{gate.gate}: not measured" for gate in unknown],
            todo="An arena needs pip install 'edgepipe[micro]'; accuracy needs test data whose labels are classes.",
        )
    return 0
