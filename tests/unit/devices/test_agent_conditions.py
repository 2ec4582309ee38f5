"""What a board says of itself and of its state."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from edgepipe.devices.agent.conditions import identity, snapshot
from edgepipe.devices.agent.runtimes import Unknown, choose
from edgepipe.records import DeviceIdentity, Snapshot


def vcgencmd(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of this name first in the path, as a Raspberry Pi has it."""
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_snapshot_has_exactly_the_fields_of_the_record() -> None:
    assert set(snapshot([os.getpid()])) == {field.name for field in fields(Snapshot)}


def test_an_identity_fits_the_record_and_stays_the_same(tmp_path: Path) -> None:
    assert set(identity(str(tmp_path))) < {field.name for field in fields(DeviceIdentity)}
    assert identity(str(tmp_path)) == identity(str(tmp_path))


def test_a_raspberry_pis_throttle_bits_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vcgencmd(tmp_path, 'test "$1" = get_throttled && echo throttled=0x50005', monkeypatch)
    assert snapshot([])["throttle_bits"] == 0x50005


@pytest.mark.parametrize("script", ["exit 1", "echo VCHI initialization failed", "echo throttled="])
def test_throttle_bits_that_cannot_be_read_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    vcgencmd(tmp_path, script, monkeypatch)
    assert snapshot([])["throttle_bits"] is None


def test_running_processes_are_counted_without_our_own() -> None:
    with_us, without_us = snapshot([])["other_processes"], snapshot([os.getpid()])["other_processes"]
    assert isinstance(with_us, int)
    assert isinstance(without_us, int)
    assert with_us >= 1  # this very process is running while it counts


def test_what_a_runtime_cannot_do_is_not_recorded_as_done() -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]'")
    choice = choose("tflm", "xnnpack", 4, "/nowhere")
    assert (choice.delegate, choice.threads) == ("none", 1)


@pytest.mark.parametrize(("name", "delegate", "threads"), [("litrt", "xnnpack", 1), ("litert", "gpu", 1), ("litert", "xnnpack", 0)])
def test_unknown_names_are_refused(name: str, delegate: str, threads: int) -> None:
    with pytest.raises(Unknown):
        choose(name, delegate, threads, "/nowhere")
