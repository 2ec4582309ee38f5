"""Every form of the ledger says in a line which multiply-accumulates were treated how, and what was rewritten before."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from edgepipe.facts import Claim, ClaimKind
from edgepipe.records import CompressionRecord
from edgepipe.reports import words
from edgepipe.reports.render import console
from edgepipe.reports.render.html import html_report
from edgepipe.reports.render.markdown import markdown_report

SHARES = {"pruned": 0.934, "clustered": 0.9, "qat": 0.88, "ptq": 0.1161, "float": 0.0039}
LINE = "93 % pruned, 90 % clustered, 88 % int8 by QAT, 12 % integers by conversion, 0.4 % float"


def on_terminal(record: CompressionRecord) -> str:
    out = io.StringIO()
    Console(width=170, file=out, color_system=None).print(console.compression_ledger(record))
    return out.getvalue()


@pytest.fixture
def record(compression: CompressionRecord) -> CompressionRecord:
    last = dataclasses.replace(compression.rows[-1], treated=SHARES, reference=False)
    first = compression.artefacts[0]
    rewritten = dataclasses.replace(first, parameters={**first.parameters, "rewrites": ['"<b>inner</b>": one graph']})
    return dataclasses.replace(compression, rows=(*compression.rows[:-1], last), artefacts=(rewritten, *compression.artefacts[1:]))


def test_the_terminal_shows_both(record: CompressionRecord) -> None:
    shown = on_terminal(record)
    assert f"{record.rows[-1].stage}, multiply-accumulates: {LINE}" in shown
    assert 'before all stages: "<b>inner</b>": one graph' in shown


def test_markdown_shows_both_and_escapes(record: CompressionRecord) -> None:
    shown = markdown_report([record], [])
    assert LINE in shown and "<b>" not in shown and "one graph" in shown


def test_the_page_shows_both_and_escapes(record: CompressionRecord) -> None:
    shown = html_report([record], [])
    assert LINE in shown and "<b>inner" not in shown and "one graph" in shown


def test_a_record_of_before_has_no_line(compression: CompressionRecord) -> None:
    assert "multiply-accumulates:" not in on_terminal(compression)


def test_a_claim_on_blocks_names_their_shape() -> None:
    claim = Claim(kind=ClaimKind.BLOCKS, stage="prune", wanted=0.6, shape=(4, 2))
    assert words.claim(claim) == "prune: blocks of 4×2 0.6"
