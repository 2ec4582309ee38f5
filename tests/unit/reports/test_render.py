"""What is shown: on a terminal and as a page. Figures, words for what is missing, and no harm from hostile names."""

from __future__ import annotations

import dataclasses
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from edgepipe.facts import Proof
from edgepipe.records import CompressionRecord, LedgerRow, RunRecord, TrainingHistory
from edgepipe.reports import ledger, summary, words
from edgepipe.reports.caveats import caveats
from edgepipe.reports.compare import compare
from edgepipe.reports.render import charts, console, curves, layers
from edgepipe.reports.render import html as page
from edgepipe.reports.render.html import html_report
from edgepipe.reports.render.markdown import markdown_report

Runs = dict[str, RunRecord]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> [red]{{7*7}}[/] | \x1b[31m & </title></svg>"


def on_terminal(renderable: RenderableType, width: int = 150) -> str:
    out = Console(width=width, file=io.StringIO(), color_system=None)
    out.print(renderable)
    return str(out.file.getvalue())  # type: ignore[attr-defined]


def changed(record: CompressionRecord, number: int, **fields: object) -> CompressionRecord:
    rows = list(record.rows)
    rows[number] = dataclasses.replace(rows[number], **fields)  # type: ignore[arg-type]
    return dataclasses.replace(record, rows=tuple(rows))


class Outline(HTMLParser):
    """Tags with their attributes, and all visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data


# Words ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(None, "–"), (0, "0 ns"), (999, "999 ns"), (1420, "1.42 µs"), (142_000, "142 µs"), (1_250_000, "1.25 ms"), (3.1e9, "3.10 s")],
)
def test_times_have_three_digits_in_the_unit_that_suits(nanoseconds: float | None, text: str) -> None:
    assert words.time(nanoseconds) == text


def test_numbers_carry_real_signs_and_dashes() -> None:
    assert words.signed(-0.37) == "−0.37"
    assert words.signed(0.001) == "0.00"
    assert words.points(None) == words.kilobytes(None) == words.factor(None) == words.percent(None) == "–"
    assert words.moment("2026-11-22T05:00:00+02:00") == "2026-11-22 03:00 UTC"
    assert words.moment("yesterday") == "yesterday"


# The ledger -------------------------------------------------------------------------------------------------------------


def test_the_rows_stand_beside_the_float_one(compression: CompressionRecord) -> None:
    lines = ledger.lines(compression)
    assert [line.is_baseline for line in lines] == [True, False, False, False, False, False]
    assert lines[-1].gzip_factor == pytest.approx(288_102 / 23_312)
    assert lines[0].difference is None
    assert lines[-1].difference
    assert lines[-1].difference.low < lines[-1].difference.points < lines[-1].difference.high


def test_float16_is_not_the_baseline(compression: CompressionRecord) -> None:
    renamed = changed(changed(compression, 0, stage="float16"), 1, stage="float")
    found = ledger.baseline(renamed)
    assert found
    assert found.stage == "float"


def test_answers_to_different_questions_have_no_difference(compression: CompressionRecord) -> None:
    shorter = changed(compression, 5, correct=(True, False))
    assert ledger.lines(shorter)[5].difference is None


def test_files_of_one_name_are_called_by_their_stage_else_by_their_hash(compression: CompressionRecord, runs: Runs) -> None:
    same = [dataclasses.replace(runs[name], artefact_name="model.tflite") for name in ("local-float", "local-small")]
    unknown = dataclasses.replace(same[0], artefact_sha256="e" * 64)
    found = [run.artefact_name for run in ledger.named([*same, unknown], [compression])]
    assert found == ["float", "quantize · keyword spotting, small", "model.tflite eeeeeeee"]
    assert ledger.named(same[:1], [compression]) == tuple(same[:1])


def test_a_file_that_two_stages_share_is_proved_once(compression: CompressionRecord) -> None:
    twice = dataclasses.replace(compression, artefacts=(*compression.artefacts, compression.artefacts[-1]))
    assert [stage for stage, _ in ledger.proved(twice)] == ["int8", "prune", "cluster", "quantize"]


# The terminal -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_ledger_fits_the_terminal_and_cuts_nothing(compression: CompressionRecord, width: int) -> None:
    text = on_terminal(console.compression(compression), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for stage in ("float", "dynamic", "int8", "prune", "cluster", "quantize"):
        assert re.search(rf"^ ?{stage} ", text, re.M)
    for value in ("12.4×", "−0.56 [−1.76, +0.47]", "268 µs", "✗ missed", "~ inconclusive", "0.8013 in the file", "prune paid"):
        assert value in text


def test_measurements_say_emulated_and_why_one_failed(runs: Runs) -> None:
    text = on_terminal(console.runs(list(runs.values())))
    assert "mcu-m4-qemu emulated" in text
    assert "(246 ms)" in text
    assert "rejected: arena of 32,768" in " ".join(text.split())
    assert "4/5" in text
    assert "accuracy 98.1 % of 540 samples" in text


def test_of_a_board_that_never_answered_nothing_is_told_but_that(runs: Runs) -> None:
    good = runs["emulated-rejected"]
    dead = dataclasses.replace(
        good,
        device=dataclasses.replace(good.device, serial="unknown", arch="unknown", cpu="unknown", os="unknown"),
        runtime=dataclasses.replace(good.runtime, name="unknown", version="unknown"),
    )
    text = Outline(html_report([], [dead])).text
    assert "never answered" in text and "unknown" not in text
    assert "unknown" not in on_terminal(console.runs([dead])) and "rejected" in on_terminal(console.runs([dead]))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_measurements_fit_the_terminal_and_cut_nothing(runs: Runs, width: int) -> None:
    text = on_terminal(console.runs(list(runs.values())), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for value in ("median", "outcome", "rejected ", "2.71 ms", "(246 ms)", "23.37 MB", "4/5"):
        assert value in text
    if width == 80:
        assert re.search(r"^ ?kws float +local +911 µs +924 µs +4.57 µs", text, re.M)


def test_a_squared_error_is_no_percentage(compression: CompressionRecord) -> None:
    text = on_terminal(console.compression(dataclasses.replace(changed(compression, 5, accuracy=0.0123), metric="mse")))
    assert re.search(r"^ ?quantize .* 0\.0123 ", text, re.M)


def test_without_test_data_the_empty_column_still_says_what_it_would_be(compression: CompressionRecord) -> None:
    unanswered = tuple(dataclasses.replace(row, accuracy=None, correct=None) for row in compression.rows)
    bare = dataclasses.replace(compression, rows=unanswered, metric="")
    assert re.findall(r"<(dt|h2|th)[^>]*>accuracy\b", html_report([bare], []), re.I) == ["dt", "h2", "th", "dt"]
    assert re.search(r"^ ?stage .* accuracy ", on_terminal(console.compression(bare)), re.M)
    assert "| accuracy |" in markdown_report([bare], [])


def test_a_comparison_says_that_it_was_not_interleaved(runs: Runs) -> None:
    text = on_terminal(console.comparison(compare(runs["local-float"], runs["local-small"])))
    assert "not in turns" in text
    assert "overall:" in text


def test_markup_in_a_name_is_not_obeyed(runs: Runs) -> None:
    text = on_terminal(console.runs([dataclasses.replace(runs["local-float"], artefact_name="[red]x[/] [bold]")]), 200)
    assert "[red]x[/] [bold]" in text


# The page ---------------------------------------------------------------------------------------------------------------


def test_the_page_is_the_same_for_the_same_records(compression: CompressionRecord, runs: Runs) -> None:
    records = list(runs.values())
    assert html_report([compression], records) == html_report([compression], records)


def test_the_page_is_small_whole_and_asks_for_nothing(compression: CompressionRecord, runs: Runs) -> None:
    text = html_report([compression] * 4, list(runs.values()) * 3)
    assert len(text.encode()) < 1_000_000
    for tag, attributes in Outline(text).tags:
        assert tag not in ("iframe", "object", "embed", "base", "form", "img")
        for name in ("src", "href", "action", "srcset", "poster"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    assert "url(" not in text
    assert "@import" not in text
    assert len((Path(page.__file__).parent / "report.js").read_bytes()) <= 10_000


def test_every_chart_has_a_name_a_description_and_values_on_each_mark(compression: CompressionRecord, runs: Runs) -> None:
    text = html_report([compression], list(runs.values()))
    found = re.findall(r'<svg class="chart.*?<title>(.+?)</title><desc>(.+?)</desc>', text, re.S)
    assert len(found) >= 8
    marks = re.findall(r'class="mark[^>]*role="img"[^>]*>(.{0,8})', text, re.S)
    assert len(marks) > 120
    assert all(mark.strip().startswith("<title") for mark in marks)


def test_hostile_names_stay_text(compression: CompressionRecord, runs: Runs) -> None:
    device = dataclasses.replace(runs["local-float"].device, name=HOSTILE, cpu=HOSTILE, os=HOSTILE, serial=HOSTILE)
    runtime = dataclasses.replace(runs["local-float"].runtime, name=HOSTILE, delegate=HOSTILE)
    run = dataclasses.replace(runs["local-float"], artefact_name=HOSTILE, reason=HOSTILE, device=device, runtime=runtime)
    facts = compression.artefacts[-1].facts
    facts = dataclasses.replace(
        facts,
        ops=tuple(dataclasses.replace(op, layer=HOSTILE, op=HOSTILE) for op in facts.ops),
        weights=tuple(dataclasses.replace(weight, layer=HOSTILE, op=HOSTILE) for weight in facts.weights),
    )
    proof: Proof = dataclasses.replace(compression.artefacts[-1].proofs[0], holds=False, failing=(HOSTILE,), measured=HOSTILE)
    artefact = dataclasses.replace(
        compression.artefacts[-1],
        facts=facts,
        proofs=(proof,),
        skipped_layers=(HOSTILE,),
        versions={HOSTILE: HOSTILE},
        stage=HOSTILE,
    )
    gate = dataclasses.replace(compression.gates[0], gate=HOSTILE)
    record = changed(compression, 5, stage=HOSTILE, paid_reason=HOSTILE, accuracy_engine=HOSTILE)
    record = dataclasses.replace(
        record, recipe=HOSTILE, target=HOSTILE, metric=HOSTILE, gates=(gate,), artefacts=(*compression.artefacts[:-1], artefact)
    )
    plain, hostile = Outline(html_report([compression], [runs["local-float"]])), Outline(html_report([record], [run]))
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in plain.tags} | {"small"}
    assert [tag for tag, _ in hostile.tags].count("script") == 1
    assert not any(name.startswith("on") for _, attributes in hostile.tags for name in attributes)
    assert "alert(1)" in hostile.text
    assert "{{7*7}}" in hostile.text


def test_not_measured_is_said_and_never_zero(compression: CompressionRecord) -> None:
    bare = compression
    for number in range(len(compression.rows)):
        bare = changed(
            bare, number, accuracy=None, correct=None, latency_us=None, arena_bytes=None, clusters=None, int8_mac_share=None
        )
    text = Outline(html_report([bare], [])).text
    assert "not measured: no test data" in text
    assert "not measured: there was no test data" in text
    assert text.count("–") > 30
    assert not re.search(r"\b0(\.0+)? (µs|ns|B|%)", text.split("Proved")[0].split("Ledger")[1].split("percent of weights")[0])


def test_emulated_time_never_stands_on_the_axis_of_a_measured_one(runs: Runs) -> None:
    text = html_report([], [runs["local-small"], runs["emulated-small"]])
    figures = re.findall(r"<figure.*?</figure>", text, re.S)
    virtual = [figure for figure in figures if "246 ms" in figure]
    assert virtual
    assert all('class="virtual"' in figure and ">emulated<" in figure and "268 µs" not in figure for figure in virtual)
    assert charts.distribution(runs["emulated-small"]) is None


def test_an_emulated_linux_boards_times_are_called_an_emulators_everywhere(runs: Runs) -> None:
    board = dataclasses.replace(runs["pi4-small"].device, emulated=True)
    run = dataclasses.replace(runs["pi4-small"], device=board)
    text = html_report([], [run])
    assert "an emulator&#39;s times, which say that it works and not how fast" in text
    assert "virtual time" not in text
    assert "on an emulator_" in markdown_report([], [run])
    assert any("not how fast" in item.text for item in caveats([], [run]))


def test_an_evaluation_is_a_line_of_its_own_in_markdown(runs: Runs) -> None:
    run = runs["local-eval"]
    text = markdown_report([], [run])
    assert summary.accuracy_words(run) and "|" not in text
    assert "samples" in text


def test_a_dropped_block_is_drawn_apart_and_not_averaged_in(runs: Runs) -> None:
    chart = charts.distribution(runs["pi4-small"])
    assert chart
    assert [row.kind for row in chart.rows] == ["", "", "", "", "dropped"]
    assert "throttled" in chart.rows[4].tip
    assert summary.of(runs["pi4-small"]).blocks_ok == 4


def test_the_limits_are_said_in_figures(compression: CompressionRecord, runs: Runs) -> None:
    text = " ".join(item.text for item in caveats([compression], list(runs.values())))
    assert "540 test samples" in text
    assert re.search(r"up to \d\.\d points wide", text)
    assert re.search(r"see a change of .*\b\d\.\d % for kws float on local", text)
    assert "TFLM" in text
    assert "they are not seconds" in text
    assert "no power meter" in text


def test_int8_answers_of_another_engine_are_a_caveat_for_microcontrollers(compression: CompressionRecord) -> None:
    assert not any(item.about == "Microcontroller" for item in caveats([compression], []))
    other = changed(compression, 5, accuracy_engine="LiteRT, XNNPACK")
    assert any(item.about == "Microcontroller" for item in caveats([other], []))


@pytest.mark.parametrize("row", range(6))
def test_a_ledger_without_its_artefacts_still_renders(compression: CompressionRecord, row: int) -> None:
    alone: LedgerRow = compression.rows[row]
    record = dataclasses.replace(compression, rows=(alone,), artefacts=(), gates=())
    assert alone.stage in html_report([record], [])
    assert alone.stage in on_terminal(console.compression(record))


# Markdown ---------------------------------------------------------------------------------------------------------------


def test_markdown_has_a_row_a_stage_a_gate_and_a_measurement(compression: CompressionRecord, runs: Runs) -> None:
    text = markdown_report([compression], list(runs.values()))
    assert "| quantize | 98.1 kB | 23.3 kB | 12.4× |" in text
    assert "| gzip\\_bytes | 20,000 B | 23,312 B | ✗ **missed** |" in text
    assert "_246 ms of virtual time_" in text
    assert {line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("|")} == {11, 5, 8}


def test_a_name_makes_no_link_no_mention_and_no_cell_in_markdown(runs: Runs) -> None:
    name = "[x](http://evil) @maintainer #12 a|b <b> `code`\n# title ![i](j)"
    text = markdown_report([], [dataclasses.replace(runs["local-float"], artefact_name=name)])
    assert len(text.splitlines()) == 3
    assert not re.search(r"(?<!\\)[\[\]<`]|@maintainer|#12|http://", text)
    assert "\\|b" in text


# Geometry ---------------------------------------------------------------------------------------------------------------


def test_bars_start_at_zero_and_keep_their_proportions(compression: CompressionRecord) -> None:
    chart = charts.sizes(compression)
    widths = {row.name: row.xs for row in chart.rows}
    assert widths["float"][0] / widths["dynamic"][0] == pytest.approx(313_428 / 96_240, rel=1e-3)
    assert chart.ticks[0].x == 0


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 940_000), (265_000, 283_000), (-1.9, 1.1), (5, 5)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    found = charts.ticks(charts.Scale(low=low, high=high), str)
    assert 1 <= len(found) <= 6
    assert all(0 <= tick.x <= 100 for tick in found)


def test_layers_are_read_from_each_file(compression: CompressionRecord) -> None:
    sparse, whole = layers.sparsity(compression), layers.int8_coverage(compression)
    assert len(sparse.rows) == len(whole.rows) == 10
    assert sparse.stages == ("float", "dynamic", "int8", "prune", "cluster", "quantize")
    assert [cell.text for cell in whole.rows[0].cells] == ["float", "float", "int8", "float", "float", "int8"]
    assert sparse.rows[0].cells[-1].share == pytest.approx(0.8, abs=0.01)


def trained(record: CompressionRecord, **history: object) -> CompressionRecord:
    """The record, its last stage with a training."""
    artefacts = list(record.artefacts)
    whole = {"epochs": 3, "kept_epoch": 2, "curves": {"loss": (1.0, 0.5, 0.0), "val_loss": (0.8, 0.4, 0.6)}, **history}
    artefacts[-1] = dataclasses.replace(artefacts[-1], training=(TrainingHistory(**whole),))  # type: ignore[arg-type]
    return dataclasses.replace(record, artefacts=tuple(artefacts))


def test_a_training_is_drawn_with_the_epoch_that_was_kept(compression: CompressionRecord) -> None:
    (drawn,) = curves.trainings(trained(compression))
    assert drawn.stage == compression.rows[-1].stage and drawn.summary == "3 epochs, the weights of epoch 2 kept"
    assert [(curve.kind, curve.path) for curve in drawn.curves] == [
        ("training", "M0 17L50 65L100 113"),
        ("validation", "M0 36.2L50 74.6L100 55.4"),
    ]
    assert [curve.kept for curve in drawn.curves] == [(50.0, 65.0), (50.0, 74.6)]
    assert "0.4 where the weights were kept" in drawn.curves[1].tip
    text = html_report([trained(compression)], [])
    assert "M0 36.2L50 74.6L100 55.4" in text and "on the validation data" in text


def test_a_loss_that_is_no_number_is_a_gap_and_is_counted(compression: CompressionRecord) -> None:
    (drawn,) = curves.trainings(trained(compression, curves={"loss": (1.0, None, 0.0)}, kept_epoch=None))
    assert drawn.curves[0].path == "M0 17M100 113"
    assert "1 were no numbers" in drawn.curves[0].tip
    assert curves.trainings(trained(compression, curves={"loss": (None,)})) == ()


def test_a_thinned_curve_keeps_its_epochs(compression: CompressionRecord) -> None:
    (drawn,) = curves.trainings(trained(compression, epochs=5, stride=2, curves={"loss": (1.0, 0.5, 0.0)}, kept_epoch=None))
    assert drawn.curves[0].path == "M0 17L50 65L100 113" and drawn.summary == "5 epochs"


def test_without_training_nothing_is_said_of_it(compression: CompressionRecord) -> None:
    assert "<h2>Training</h2>" not in html_report([compression], [])
