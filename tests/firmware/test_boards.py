"""Microcontroller boards: the firmware in QEMU on five cores and on this machine, reached over a PTY as a real one is."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.firmware_build import EMULATED
from edgepipe.devices.inventory import DeviceEntry, SerialLink
from edgepipe.devices.protocols import BlockRequest, RunOptions
from edgepipe.devices.session import Session
from edgepipe.devices.transports.qemu import QemuTransport
from edgepipe.devices.transports.serial import SerialTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, Interrupted, InventoryError, ModelRejected
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.records import RunOutcome, unpack_samples_ns
from edgepipe.workflows.preflight import fits
from tests.firmware.answered import Real
from tests.firmware.emulated_board import MACHINE, in_qemu
from tests.firmware.graph import Graph
from tests.firmware.host_board import behind_pty
from tests.firmware.random_models import random_model
from tests.firmware.tflm import Case, answers

OPTIONS = RunOptions()
MOST_TICKS = {(MACHINE, "kws_ref_model"): 5_500_000, (MACHINE, "ad01_int8"): 420_000}
QUICK = BlockRequest(index=0, warmup_min=1, warmup_max_s=0.0, min_invocations=3, min_s=0.0)


@pytest.fixture
def host(tmp_path: Path, program: Path) -> Iterator[McuBoard]:
    """The host's firmware behind a PTY that stands where serial boards do."""
    with behind_pty(program) as line:
        (tmp_path / "usb-board").symlink_to(line)
        board = McuBoard("m4", SerialTransport("m4", "usb-board", 921_600, folder=tmp_path), lock_folder=tmp_path)
        yield board
        board.close()


def emulated(machine: str, builds: Path) -> McuBoard:
    return McuBoard(machine, in_qemu(machine, builds, machine), emulated=True, lock_folder=builds)


@pytest.mark.parametrize("machine", EMULATED)
def test_an_emulated_core_answers_as_tflite_micro_does_bit_for_bit(machine: str, reals: dict[str, Real], builds: Path) -> None:
    with closing(emulated(machine, builds)) as board:
        board.open()
        assert board.identify().counts_instructions
        for name, real in reals.items():
            board.push(real.path, real.sha256)
            (prediction,) = board.predict(real.sha256, iter([(real.sample,)]), OPTIONS)
            assert prediction.outputs == (real.answer,)
            ticks = [step.ticks for step in board.steps()]
            assert all(ticks)
            assert sum(ticks) <= MOST_TICKS.get((machine, name), sum(ticks))


def test_a_core_with_instructions_for_pairs_answers_random_models_bit_for_bit(tmp_path: Path, builds: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    models = [random_model(name, seed) for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "large factors") for seed in range(4)]
    path, found = tmp_path / "model.tflite", answers([Case(model=model, rows=rows) for model, rows in models])
    with closing(emulated(MACHINE, builds)) as board:
        board.open()
        for (model, rows), expected in zip(models, found, strict=True):
            path.write_bytes(model)
            sha256 = hashlib.sha256(model).hexdigest()
            board.push(path, sha256)
            predictions = board.predict(sha256, iter([(row.tobytes(),) for (row,) in rows]), OPTIONS)
            assert [list(prediction.outputs) for prediction in predictions] == expected


def test_an_emulated_block_takes_the_same_ticks_after_a_reset_that_keeps_the_model(reals: dict[str, Real], builds: Path) -> None:
    real, ticks = reals["ad01_int8"], set()
    with closing(emulated(MACHINE, builds)) as board:
        board.open()
        board.push(real.path, real.sha256)
        (prediction,) = board.predict(real.sha256, iter([(real.sample,)]), OPTIONS)
        assert prediction.outputs == (real.answer,)
        for index in range(3):
            block = board.measure(real.sha256, BlockRequest(index=index))
            assert block.outcome is RunOutcome.OK
            assert block.invocations == 3
            ticks |= set(unpack_samples_ns(block.samples_ns_zlib))
    assert len(ticks) == 1


def test_a_board_on_a_line_is_pushed_measured_and_asked(host: McuBoard, reals: dict[str, Real]) -> None:
    host.open()
    assert (host.identify().name, host.identify().board, host.identify().cpu) == ("m4", "mcu", "host")
    assert (host.capabilities().ops or {})["CONV_2D"] >= 1
    assert host.runtime(OPTIONS).threads == 1
    for real in reals.values():
        host.push(real.path, real.sha256)
        (prediction,) = host.predict(real.sha256, iter([(real.sample,)]), OPTIONS)
        assert prediction.outputs == (real.answer,)
        blocks = [host.measure(real.sha256, BlockRequest(**{**vars(QUICK), "index": index})) for index in range(2)]
        assert {block.outcome for block in blocks} == {RunOutcome.OK}
        assert len({block.output_sha256 for block in blocks}) == 1
        assert all(block.invocations >= 3 and block.median_ns and block.model_memory_bytes for block in blocks)


def test_a_board_is_held_by_one_at_a_time_and_free_at_once(host: McuBoard, tmp_path: Path) -> None:
    other = McuBoard("m4", SerialTransport("m4", "usb-board", 921_600, folder=tmp_path), lock_folder=tmp_path)
    host.open()
    with pytest.raises(DeviceBusy, match=f"m4 is held by process {os.getpid()}"):
        other.open()
    host.close()
    host.close()
    other.open()
    other.close()


def test_a_board_that_is_stopped_ends_whatever_waits_and_lets_go(host: McuBoard, reals: dict[str, Real]) -> None:
    real = reals["kws_ref_model"]
    host.open()
    host.push(real.path, real.sha256)
    answers = host.predict(real.sha256, cycle([(real.sample,)]), OPTIONS)  # would go on for ever
    next(answers)
    threading.Timer(0.1, host.stop).start()
    with pytest.raises(Interrupted):
        for _ in answers:
            pass
    host.close()


def test_a_model_that_the_engine_refuses_is_the_models_fault(host: McuBoard, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"no model at all")
    host.open()
    with pytest.raises(ModelRejected, match="m4 cannot run the model"):
        host.push(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_model_that_does_not_fit_is_refused_before_a_byte_of_it_is_sent(host: McuBoard, tmp_path: Path) -> None:
    graph = Graph(np.random.default_rng(0))
    source = graph.input((1, 200_000))
    wide = graph.tensor((1, 200_000))
    graph.step("ADD", [source, source], [wide], of="AddOptions", fusedActivationFunction=0)
    path = tmp_path / "wide.tflite"
    path.write_bytes(graph.finish([wide]))
    _, facts = read_model(path)
    entry = DeviceEntry(name="m4", board="mcu", target="mcu", transport=SerialLink(by_id="usb-board"))
    with Session(entry, board=host, fits=fits(path, facts, entry)) as session:
        record = session.bench(path, facts, blocks=1)
        assert record.outcome is RunOutcome.REJECTED
        assert re.search(r"arena: 400,\d{3} bytes, 13\d,\d{3} more than the 262,144 allowed", record.reason)
        with pytest.raises(InfrastructureError, match="m4 has no model"):  # it would be refused as unfit had it been sent
            host.measure(facts.sha256, QUICK)


def test_the_firmware_on_this_machine_is_emulated_and_counts_no_instructions(host: McuBoard) -> None:
    with closing(host):
        host.open()
        assert host.identify().emulated
        assert not host.identify().counts_instructions


def test_what_is_not_there_is_said(host: McuBoard, tmp_path: Path) -> None:
    with pytest.raises(DeviceUnreachable, match="m4 is not open"):
        host.identify()
    host.open()
    with pytest.raises(InfrastructureError, match="no model 000000000000"):
        host.measure("0" * 64, QUICK)
    gone = McuBoard("gone", SerialTransport("gone", "usb-gone", 115_200, folder=tmp_path), lock_folder=tmp_path)
    with pytest.raises(DeviceUnreachable, match="No such file"):
        gone.open()
    with pytest.raises(InventoryError, match="no name under"):
        SerialTransport("up", "../ttyS0", 115_200)
    with pytest.raises(InventoryError, match="mps2-an386"):
        QemuTransport("m9", "mps9")
