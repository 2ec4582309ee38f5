"""A microcontroller's ticks and memory, in every form of a report; an emulated core's are never taken for a chip's."""

from __future__ import annotations

import dataclasses
import io

import pytest
from counted_runs import record
from rich.console import Console

from edgepipe.records import RunRecord, Verdict
from edgepipe.reports import chip
from edgepipe.reports.compare import compare
from edgepipe.reports.render.console import runs
from edgepipe.reports.render.html import html_report
from edgepipe.reports.render.markdown import markdown_report


def every_form(run: RunRecord) -> list[str]:
    terminal = Console(width=200, file=io.StringIO(), color_system=None)
    terminal.print(runs([run]))
    return [terminal.file.getvalue(), markdown_report([], [run]), html_report([], [run])]  # type: ignore[attr-defined]


def test_ticks_layers_and_memory_stand_in_every_form() -> None:
    for form in every_form(record((600, 300, 100))):
        text = form.replace("\\", "")  # Markdown's escapes
        assert "1,000 ticks of 25 MHz" in text
        assert "conv_1" in text
        assert "conv_2d" in text  # the operator that came from no layer
        assert "20,536 of 262,144 bytes, 8 %" in text
        assert "24,272" in text


def test_an_emulated_cores_counts_say_so_in_every_form_and_a_chips_do_not() -> None:
    for text in every_form(record((600, 300, 100))):
        assert "1,250 instructions of an emulated core" in text  # 1000 ticks of 40 ns at 32 ns an instruction
        assert "emulated" in text
    for text in every_form(record((600, 300, 100), emulated=False)):
        assert "instructions of an emulated core" not in text


@pytest.mark.parametrize("cpu", ["host", "none"])
def test_a_stand_in_without_an_emulated_core_has_no_instructions(cpu: str) -> None:
    """The firmware on this machine and the fake board: their clocks are this machine's, or made up."""
    run = record((600, 300, 100))
    run = dataclasses.replace(run, device=dataclasses.replace(run.device, arch=cpu, cpu=cpu))
    for text in every_form(run):
        assert "emulated" in text
        assert "instruction" not in text


def test_the_slowest_are_drawn_in_the_graphs_order_and_the_others_are_summed() -> None:
    run = record(tuple(range(1, 41)))
    shown, rest = chip.slowest(chip.steps(run))
    assert [step.ticks for step in shown] == list(range(17, 41))
    assert rest is not None
    assert (rest.name, rest.ticks, rest.macs) == ("16 others", sum(range(1, 17)), 16_000)
    assert sum(step.share for step in shown) + rest.share == pytest.approx(1)
    assert "16 others" in html_report([], [run])


def test_a_run_without_counts_says_nothing_of_them() -> None:
    plain = record((1, 2))
    block = dataclasses.replace(plain.blocks[0], ticks=None, step_ticks=())
    plain = dataclasses.replace(plain, blocks=(block,), memory=None, device=dataclasses.replace(plain.device, tick_hz=None))
    assert chip.lines(plain) == ()
    for text in every_form(plain):
        assert "ticks of" not in text
        assert "On the chip" not in text


def test_counts_of_another_file_are_not_put_on_its_layers() -> None:
    run = record((1, 2, 3))
    other = dataclasses.replace(run, blocks=(dataclasses.replace(run.blocks[0], step_ticks=(1, 2)),))
    assert chip.steps(other) == ()


def test_a_name_from_a_file_is_obeyed_nowhere() -> None:
    run = record((600, 400))
    assert run.facts is not None
    ops = (run.facts.ops[0], dataclasses.replace(run.facts.ops[1], layer="<script>@all\x1b[31m"))
    run = dataclasses.replace(run, facts=dataclasses.replace(run.facts, ops=ops))
    terminal, markdown, page = every_form(run)
    assert "\x1b" not in terminal
    assert "<script>@all" not in page
    assert "@all" not in markdown


def test_the_arena_is_compared_to_the_byte() -> None:
    small, large = record((1, 2)), record((1, 2))
    assert large.memory is not None
    large = dataclasses.replace(large, memory=dataclasses.replace(large.memory, arena_bytes=20_540))
    found = {item.name: item.verdict for item in compare(small, large).quantities}
    assert found["arena"] is Verdict.REGRESSED
    assert found["latency"] is Verdict.PASS
