"""`edgepipe edgetpu`: what of a model a Coral board's Edge TPU runs, and why the rest does not go there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.output import Json, Quiet, console, progress, show_json

if TYPE_CHECKING:
    from edgepipe.workflows.edgetpu import EdgeTpu

COMPILER = "The compiler"
DECIDED = 3  # lines of one reason; the rest is counted


def edgetpu(
    model: Annotated[Path, typer.Argument(help="The .tflite file.", show_default=False)],
    compiling: Annotated[
        bool, typer.Option("--compile", help="Also run edgetpu_compiler and read its file back.", rich_help_panel=COMPILER)
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="The folder for the compiled file; the model's own by default.", rich_help_panel=COMPILER),
    ] = None,
    timeout: Annotated[
        int, typer.Option("--timeout", min=1, help="Seconds for one run of the compiler.", rich_help_panel=COMPILER)
    ] = 180,
    min_mapped: Annotated[
        float | None,
        typer.Option("--min-mapped", min=0, max=100, help="Percent of the multiply-accumulates that must go to the Edge TPU."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say which operators go to a Coral board's Edge TPU, which stay on its CPU, why, and what helps.

    Told from the published rules, without the compiler and without running the model: shares of the operators and of the
    multiply-accumulates, where the Edge TPU's part ends, whether the parameters fit its 8 MB. With --compile the same is read back
    from the file that Google's edgetpu_compiler makes. Exit code 1 when less than --min-mapped goes there.

    [bold]Examples[/]

      edgepipe edgetpu model.tflite

      edgepipe edgetpu model.tflite --min-mapped 90 --json

      edgepipe edgetpu model.tflite --compile --to build/
    """
    from edgepipe.errors import GateMissed, UsageError
    from edgepipe.workflows.edgetpu import edgetpu as ask

    with progress(quiet) as emit:
        answer = ask(model, compiling=compiling, to=to, timeout_s=timeout, emit=emit)
    mapped = answer.mapped_percent
    if min_mapped is not None and mapped is None:
        raise UsageError(
            f"{model} is compiled already: what went into it cannot be counted", todo="Give the .tflite it was made from."
        )
    missed = min_mapped is not None and mapped is not None and mapped < min_mapped - 1e-9
    if as_json:
        _show_json(model, answer)
        return GateMissed.exit_code if missed else 0
    _show(model, answer)
    if missed:
        unit = "multiply-accumulates" if answer.facts.macs else "operators"
        raise GateMissed(
            f"{mapped:.1f} % of the {unit} go to the Edge TPU, fewer than the {min_mapped:g} % of --min-mapped",
            todo="Mend the operators listed above, the first one first; or lower the gate.",
        )
    return 0


def _show_json(model: Path, answer: EdgeTpu) -> None:
    from edgepipe.records import as_json

    mapping, made = answer.mapping, answer.compilation
    show_json(
        {
            "model": str(model),
            "mapped_percent": answer.mapped_percent,
            "fits": not answer.problems,
            "problems": [as_json(problem) for problem in answer.problems],
            "foretold": {
                "op_share": mapping.op_share,
                "mac_share": mapping.mac_share,
                "on_chip_bytes": mapping.on_chip_bytes,
                "off_chip_bytes": mapping.off_chip_bytes,
                **as_json(mapping),
            },
            "compiled": None if made is None else as_json(made),
        }
    )


def _show(model: Path, answer: EdgeTpu) -> None:
    from rich.markup import escape

    from edgepipe.reports.render import sheets

    mapping, made = answer.mapping, answer.compilation
    shown = console()
    shown.print(sheets.console([sheets.Sheet(title=model.name, rows=tuple(_summary(answer)))]))
    reasons: dict[tuple[str, str], list[str]] = {}
    for op in mapping.stopped_by:
        place = f"operator {op.index} {op.op}" + (f' of "{op.layer}"' if op.layer else "")
        reasons.setdefault((op.reason, op.fix), []).append(place)
    for (reason, fix), places in reasons.items():
        more = f" and {len(places) - DECIDED} more" if len(places) > DECIDED else ""
        shown.print(f"[yellow]on the CPU[/] {escape(', '.join(places[:DECIDED]) + more)}: {escape(reason)}. [dim]{escape(fix)}[/]")
    for line in mapping.refused:
        shown.print(f"[red]not compiled[/] {escape(line)}")
    for problem in answer.problems:
        shown.print(f"[red]problem[/] {escape(str(problem))}")
    for line in mapping.doubts:
        shown.print(f"[dim]not sure[/] {escape(line)}")
    for status in () if made is None else made.report.statuses:
        if not status.mapped:
            shown.print(f"[yellow]compiler[/] {status.count} {escape(status.op)}: {escape(status.meaning)}")


def _summary(answer: EdgeTpu) -> list[tuple[str, str]]:
    mapping, made = answer.mapping, answer.compilation
    if mapping.compiled:
        outside = sum(not op.on_tpu for op in mapping.ops)
        return [("compiled", f"already; {outside} operators are left to the CPU, {answer.facts.macs:,} multiply-accumulates")]
    rows = [("foretold", _shares(mapping.ops_on_tpu, len(mapping.ops), mapping.mac_share))]
    first = next(iter(mapping.stopped_by), None)
    rows.append(("ends at", "nowhere: one part" if first is None else f"operator {first.index} {first.op}: {first.reason}"))
    rows.append(
        ("parameters", f"{mapping.on_chip_bytes:,} bytes on the chip, {mapping.off_chip_bytes:,} sent with every inference")
    )
    if made is not None:
        report, total = made.report, len(mapping.ops)
        part = ", the largest part that compiles" if made.searched else ""
        rows.append(("compiled", _shares(round(made.op_share * total), total, made.mac_share) + part))
        rows.append(("on the chip", f"{_bytes(report.on_chip_used_bytes)}, {_bytes(report.on_chip_remaining_bytes)} left"))
        rows.append(("off the chip", f"{_bytes(report.off_chip_bytes)}, sent with every inference"))
        rows.append(("parts", "not said" if report.subgraphs is None else str(report.subgraphs)))
        rows.append(
            ("written", f"{made.path} ({made.facts.size_bytes:,} bytes, {made.seconds:.0f} s, compiler {report.compiler or '?'})")
        )
    return rows


def _shares(on_tpu: int, total: int, mac_share: float | None) -> str:
    macs = "nothing multiplies" if mac_share is None else f"{100 * mac_share:.1f} % of the multiply-accumulates"
    return f"{on_tpu} of {total} operators on the Edge TPU, {macs}"


def _bytes(count: int | None) -> str:
    return "not said" if count is None else f"{count:,} bytes"
