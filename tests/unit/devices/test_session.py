"""A session with a board that fails as it is told: the record says whose fault it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from edgepipe.devices.connect import connect
from edgepipe.devices.inventory import DeviceEntry, FakeLink, LocalLink, SerialLink, SshLink
from edgepipe.devices.protocols import Conditions, RunOptions
from edgepipe.devices.session import Session, failed, unidentified, wished
from edgepipe.devices.transports.fake import Fault
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InventoryError
from edgepipe.facts import ModelFacts
from edgepipe.records import RunOutcome, RunRecord, unpack_samples_ns

CONTENT = b"a model"
FACTS = ModelFacts(
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    gzip_bytes=0,
    inputs=(),
    outputs=(),
    ops=(),
    weights=(),
    float_tensors=(),
    dynamic_tensors=(),
    custom_ops=(),
    flex_ops=(),
)
BOARDS = ("fake", "linux")  # the fake board, and the real one over a fake transport


def entry(board: str, *faults: Fault) -> DeviceEntry:
    return DeviceEntry(name="ghost", board=board, target="host", transport=FakeLink(faults=faults))  # type: ignore[arg-type]


def bench(folder: Path, board: str, *faults: Fault, blocks: int = 5) -> RunRecord:
    model = folder / "model.tflite"
    model.write_bytes(CONTENT)
    with Session(entry(board, *faults)) as session:
        return session.bench(model, FACTS, blocks=blocks)


@pytest.mark.parametrize("board", BOARDS)
def test_a_good_board_gives_every_block_and_names_itself(tmp_path: Path, board: str) -> None:
    record = bench(tmp_path, board)
    assert record.outcome is RunOutcome.OK
    assert [block.index for block in record.blocks] == [0, 1, 2, 3, 4]
    assert record.device.serial == "fake-ghost"
    assert record.device.emulated
    samples = unpack_samples_ns(record.blocks[0].samples_ns_zlib)
    assert len(samples) == record.blocks[0].invocations
    assert min(samples) >= 990_000
    assert max(samples) <= 1_010_000


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    ("fault", "outcome", "blocks", "words"),
    [
        (Fault.DIES, RunOutcome.INFRA, 1, ""),
        (Fault.SLOW, RunOutcome.INFRA, 0, "said nothing for"),
        (Fault.GARBAGE, RunOutcome.INFRA, 1, "said something that is no answer"),
        (Fault.WRONG_HASH, RunOutcome.INFRA, 0, "another file arrived"),
        (Fault.CRASH, RunOutcome.REJECTED, 1, "it crashed with SIGSEGV"),
        (Fault.WRONG_OUTPUT, RunOutcome.OK, 5, ""),
        (Fault.THROTTLED, RunOutcome.OK, 5, ""),
    ],
)
def test_a_fault_is_the_boards_or_the_models(
    tmp_path: Path, board: str, fault: Fault, outcome: RunOutcome, blocks: int, words: str
) -> None:
    record = bench(tmp_path, board, fault)
    assert record.outcome is outcome
    assert len(record.blocks) == blocks
    assert words in record.reason


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("fault", [Fault.WRONG_OUTPUT, Fault.THROTTLED])
def test_a_dropped_block_is_marked_and_a_third_of_them_is_too_much(tmp_path: Path, board: str, fault: Fault) -> None:
    assert bench(tmp_path, board, fault).blocks[1].outcome is RunOutcome.INVALID
    assert bench(tmp_path, board, fault, blocks=3).outcome is RunOutcome.INVALID


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(("fault", "error"), [(Fault.DEAD, DeviceUnreachable), (Fault.BUSY, DeviceBusy)])
def test_a_board_that_cannot_be_had_is_an_error(
    tmp_path: Path, board: str, fault: Fault, error: type[DeviceUnreachable] | type[DeviceBusy]
) -> None:
    with pytest.raises(error, match="ghost"):
        bench(tmp_path, board, fault)


def test_progress_grows_by_one_a_block(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(CONTENT)
    done: list[float] = []
    with Session(entry("fake")) as session:
        session.bench(model, FACTS, blocks=3, advance=lambda number, detail="": done.append(number))
    assert sorted(set(done)) == [0, 1, 2, 3]
    assert done == sorted(done)


def test_a_kind_that_this_version_cannot_reach_is_named_with_those_it_can() -> None:
    link = SerialLink(by_id="usb-board")
    with pytest.raises(InventoryError) as raised:
        connect(DeviceEntry(name="m4", board="linux", target="mcu", transport=link))
    assert 'no transport "serial" yet' in str(raised.value)
    assert "fake, local" in str(raised.value)


def test_a_microcontroller_without_a_serial_line_is_named_with_the_lines_there_are() -> None:
    with pytest.raises(InventoryError, match='no serial line "local" yet') as raised:
        connect(DeviceEntry(name="m4", board="mcu", target="mcu", transport=LocalLink()))
    assert "fake, qemu, serial" in str(raised.value)


def test_of_a_microcontroller_that_never_answered_no_runtime_is_made_up() -> None:
    unreached = unidentified(entry("mcu"))
    record = failed("bench", unreached, Path("model.tflite"), FACTS, RunOptions(), DeviceUnreachable("no answer"))
    assert (record.runtime.name, record.runtime.delegate, record.outcome) == ("unknown", "none", RunOutcome.INFRA)


def test_a_fake_microcontroller_counts_and_says_that_it_is_none(tmp_path: Path) -> None:
    record = bench(tmp_path, "mcu")
    assert record.outcome is RunOutcome.OK
    assert record.device.emulated
    assert not record.device.counts_instructions  # its ticks are made up
    assert (record.device.serial, record.runtime.name) == ("fake-ghost-fake", "fake")
    assert {(block.ticks, sum(block.step_ticks), block.invocations) for block in record.blocks} == {(1000, 1000, 3)}


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        (Fault.DIES, RunOutcome.INFRA, "is closed"),
        (Fault.SLOW, RunOutcome.INFRA, "said nothing for"),
        (Fault.GARBAGE, RunOutcome.OK, ""),  # noise is no answer, and costs none
        (Fault.WRONG_HASH, RunOutcome.INFRA, "arrived damaged 3 times"),
        (Fault.CRASH, RunOutcome.REJECTED, "it crashes"),
        (Fault.WRONG_OUTPUT, RunOutcome.OK, ""),
        (Fault.THROTTLED, RunOutcome.INVALID, "the same run took different ticks"),
    ],
)
def test_a_fault_of_a_fake_microcontroller_is_the_boards_or_the_models(
    tmp_path: Path, fault: Fault, outcome: RunOutcome, words: str
) -> None:
    record = bench(tmp_path, "mcu", fault)
    assert record.outcome is outcome
    assert words in record.reason


@pytest.mark.parametrize(("fault", "error"), [(Fault.DEAD, DeviceUnreachable), (Fault.BUSY, DeviceBusy)])
def test_a_fake_microcontroller_that_cannot_be_had_is_an_error(tmp_path: Path, fault: Fault, error: type[Exception]) -> None:
    with pytest.raises(error, match="ghost"):
        bench(tmp_path, "mcu", fault)


@pytest.mark.parametrize(
    ("entry", "asked", "wanted"),
    [
        ({}, {}, (True, 70.0)),
        ({"governor": "keep", "cool_below_c": 55.0}, {}, (False, 55.0)),
        ({"cool_below_c": 55.0}, {"steady": False, "cool_below_c": 60.0}, (False, 60.0)),
        ({"emulated": True}, {}, (True, None)),
        ({"transport": LocalLink()}, {}, (True, None)),
    ],
)
def test_what_is_asked_for_goes_before_the_inventory_and_that_before_the_usual(
    entry: dict[str, Any], asked: dict[str, Any], wanted: tuple[bool, float | None]
) -> None:
    link = SshLink(host="pi4.lab", user="edge", host_key="ssh-ed25519 AAAA")
    fields = {"name": "pi4", "board": "linux", "target": "pi", "transport": link, **entry}
    found = wished(DeviceEntry(**fields), Conditions(**asked))
    assert (found.steady, found.cool_below_c) == wanted
