"""How much of a model ran on an Edge TPU stands in every form of a report, and nothing where none was used."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from edgepipe.records import Block, DeviceIdentity, RunOutcome, RunRecord, RuntimeIdentity, pack_samples_ns
from edgepipe.reports.render.console import runs
from edgepipe.reports.render.html import html_report
from edgepipe.reports.render.markdown import markdown_report


def record(delegate: str, share: float | None) -> RunRecord:
    packed, stride = pack_samples_ns([140_000] * 50)
    block = Block(
        index=0,
        outcome=RunOutcome.OK,
        delegate_ns=2_810_000_000,
        invocations=50,
        stride=stride,
        samples_ns_zlib=packed,
        median_ns=1.0,
    )
    return RunRecord(
        id="1" * 32,
        kind="bench",
        started_utc="2026-11-22T04:00:00Z",
        artefact_sha256="ab" * 32,
        artefact_name="m_edgetpu.tflite",
        model_bytes=1,
        device=DeviceIdentity(name="coral", board="linux", serial="s", arch="aarch64", cpu="cpu", os="os"),
        runtime=RuntimeIdentity(name="litert", version="2.3.0", delegate=delegate, threads=1),
        input_shapes=((1, 4),),
        outcome=RunOutcome.OK,
        blocks=(block,),
        tpu_mac_share=share,
    )


def every_form(run: RunRecord) -> list[str]:
    terminal = Console(width=200, file=io.StringIO(), color_system=None)
    terminal.print(runs([run]))
    return [terminal.file.getvalue(), markdown_report([], [run]), html_report([], [run])]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("share", "words"), [(0.9821, "98.2 % of the multiply-accumulates on the Edge TPU"), (None, "not known")])
def test_the_share_and_the_delegates_time_stand_in_each(share: float | None, words: str) -> None:
    for text in every_form(record("edgetpu", share)):
        assert words in text
        assert "its delegate loads in 2.81 s" in text


def test_a_run_without_one_or_without_a_block_speaks_of_none() -> None:
    plain = record("xnnpack", None)
    plain = dataclasses.replace(plain, blocks=(dataclasses.replace(plain.blocks[0], delegate_ns=None),))
    failed = dataclasses.replace(record("edgetpu", None), outcome=RunOutcome.INFRA, reason="no library", blocks=())
    for text in (*every_form(plain), *every_form(failed)):
        assert "Edge TPU" not in text
