"""Two slots in a microcontroller's flash: what boots, what a mark is worth, and what stands after the power failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import flash_resets
from benchmarks.deployments import golden_of
from benchmarks.deployments import order as order_of
from benchmarks.flash_resets import FLASH_BYTES, RIG, SECTOR_BYTES, Campaign, Cut, Extent, operations
from edgepipe.devices.boards.mcu_deployable import DeployableMcu
from edgepipe.devices.deployments import Order, State
from edgepipe.devices.firmware_build import EMULATED
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.transports.frame_link import Ask, FrameLink, Status
from edgepipe.errors import InfrastructureError, UsageError
from tests.firmware.dense import dense
from tests.firmware.emulated_board import MACHINE, in_qemu
from tests.firmware.host_board import HostBoard, HostTransport, firmware

RECORD_BYTES = 256  # the host's unit
CONFIRMED_RECORD = 3  # behind the header, whole, and tried
REFUSED = 5  # host_flash.c: the operation is not done, and the power stays on
OPTIONS = RunOptions()


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    return tmp_path / "flash"


@pytest.fixture
def device(program: Path, flash: Path) -> Iterator[HostBoard]:
    started = HostBoard(program, flash=flash)
    yield started
    started.close()


@contextmanager
def talking(device: HostBoard, folder: Path) -> Iterator[DeployableMcu]:
    """Be the board's host."""
    with closing(DeployableMcu("board", HostTransport(device, str(folder)), lock_folder=folder)) as board:
        board.open()
        yield board


def order(folder: Path, seed: int, **wishes: object) -> Order:
    content = dense(seed)
    return order_of(folder / "models", content, golden_of(folder / "models", content), **wishes)


def keep(board: DeployableMcu, wanted: Order) -> str:
    """Deploy a model and confirm it."""
    board.confirm(board.deploy(wanted).id)
    return wanted.sha256


def change(flash: Path, at: int) -> None:
    """Clear some bits of one byte, as age does."""
    content = bytearray(flash.read_bytes())
    assert content[at] & 0x5A
    content[at] &= 0xA5
    flash.write_bytes(content)


def test_the_kept_model_is_there_after_a_loss_of_power_and_runs_in_place(device: HostBoard, tmp_path: Path) -> None:
    wanted = order(tmp_path, 1)
    with talking(device, tmp_path) as board:
        keep(board, wanted)
    device.press_power()
    with talking(device, tmp_path) as board, np.load(wanted.golden) as golden:
        assert (board.standing().state, board.standing().current) == (State.COMMITTED, wanted.sha256)
        answers = board.predict_kept(iter([(row.tobytes(),) for row in golden["input_0"]]), OPTIONS)
        assert [answer.outputs[0] for answer in answers] == [row.tobytes() for row in golden["output_0"]]


def test_the_text_protocol_runs_the_kept_model_until_another_is_pushed_and_again_after_a_reset(
    device: HostBoard, tmp_path: Path
) -> None:
    kept, other = replace(order(tmp_path, 1), name="kept.tflite"), order(tmp_path, 2)
    with talking(device, tmp_path) as board:
        keep(board, kept)
        assert "m-model-[kept]" in device.says("profile%")
        board.push(other.model, other.sha256)
        assert f"m-model-[{other.model.stem}]" in device.says("profile%")
    device.press_reset()
    device.lines()
    assert "m-model-[kept]" in device.says("profile%")
    device.says(f"db load 64%db {'07' * 31}%db {'07' * 31}%db 0707%")
    assert any(line.startswith("m-results-[") for line in device.says("infer 1 0%"))


def test_a_trial_ends_at_the_next_reset_whatever_causes_it(device: HostBoard, tmp_path: Path) -> None:
    with talking(device, tmp_path) as board:
        first = keep(board, order(tmp_path, 1))
        board.deploy(order(tmp_path, 2))
    for press in (device.press_reset, device.press_power):
        press()
        with talking(device, tmp_path) as board:
            assert (board.standing().current, board.standing().finding) == (first, "reboot")


def test_a_first_trial_that_nobody_confirms_leaves_a_board_without_a_model(device: HostBoard, tmp_path: Path) -> None:
    with talking(device, tmp_path) as board:
        board.deploy(order(tmp_path, 1))
        assert board.rollback("not this one") is None
        assert (board.standing().state, board.standing().reason) == (State.ROLLED_BACK, "not this one")
        with pytest.raises(UsageError, match="no previous model"):
            board.rollback("again")


def test_a_copy_that_age_has_damaged_is_not_started(device: HostBoard, flash: Path, tmp_path: Path) -> None:
    with talking(device, tmp_path) as board:
        first, _ = keep(board, order(tmp_path, 1)), keep(board, order(tmp_path, 2))
    change(flash, FLASH_BYTES // 2 + SECTOR_BYTES + 700)
    device.press_reset()
    with talking(device, tmp_path) as board:
        standing = board.standing()
        assert (standing.current, standing.previous, standing.finding) == (first, None, "broken")
        with pytest.raises(UsageError, match="no previous model"):
            board.rollback("where to?")
        assert board.standing().current == first


def test_a_mark_that_is_damaged_counts_for_nothing(device: HostBoard, flash: Path, tmp_path: Path) -> None:
    with talking(device, tmp_path) as board:
        first, _ = keep(board, order(tmp_path, 1)), keep(board, order(tmp_path, 2))
    change(flash, FLASH_BYTES // 2 + CONFIRMED_RECORD * RECORD_BYTES + 60)
    device.press_reset()
    with talking(device, tmp_path) as board:
        assert board.standing().current == first


def test_what_the_flash_has_already_costs_it_nothing(device: HostBoard, flash: Path, tmp_path: Path) -> None:
    wanted = order(tmp_path, 1)
    with talking(device, tmp_path) as board:
        keep(board, wanted)
        before = operations(flash)
        assert board.deploy(wanted).unchanged
        board.confirm(board.standing().id)
    assert operations(flash) == before


def test_a_bad_model_costs_the_flash_nothing_either(device: HostBoard, flash: Path, tmp_path: Path) -> None:
    wanted, other = order(tmp_path, 1), order(tmp_path, 2)
    wrong = replace(other, golden=wanted.golden, golden_sha256=wanted.golden_sha256)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model at all")
    with talking(device, tmp_path) as board:
        keep(board, wanted)
        before = operations(flash)
        assert board.deploy(wrong).finding == "wrong output"
        assert board.deploy(order_of(tmp_path, broken.read_bytes(), wanted.golden)).finding == "refused"
        assert board.deploy(replace(other, slowest_us=0.0)).finding == "slow"
        assert board.standing().current == wanted.sha256
    assert operations(flash) == before


def asked(device: HostBoard, kind: Ask, payload: bytes = b"") -> Status:
    """Ask the firmware itself, past what the host would refuse."""
    link = FrameLink(device, "board")
    link.hello(deadline_s=10)
    return link.ask(kind, payload, deadline_s=10).status


def test_during_a_trial_the_firmware_itself_writes_to_neither_slot(device: HostBoard, flash: Path, tmp_path: Path) -> None:
    with talking(device, tmp_path) as board:
        first = keep(board, order(tmp_path, 1))
        trial = int(board.deploy(order(tmp_path, 2)).id)
    before = operations(flash)
    assert asked(device, Ask.STAGE, bytes(8)) is Status.ON_TRIAL
    assert asked(device, Ask.CONFIRM, (trial + 1).to_bytes(4, "little")) is Status.NO_TRIAL
    assert operations(flash) == before
    assert asked(device, Ask.REVOKE, trial.to_bytes(4, "little") + b"\nwhy not") is Status.OK
    assert asked(device, Ask.STAGE, bytes(8)) is Status.ON_TRIAL  # until the reset there is only the other one to go back to
    assert asked(device, Ask.CONFIRM, trial.to_bytes(4, "little")) is Status.NO_TRIAL
    with talking(device, tmp_path) as board:
        assert board.deploy(order(tmp_path, 1)).unchanged
        assert (board.standing().current, board.standing().reason) == (first, "why not")


def test_a_model_that_waits_in_its_slot_is_not_written_again(device: HostBoard, flash: Path, tmp_path: Path) -> None:
    with talking(device, tmp_path) as board:
        first, second = keep(board, order(tmp_path, 1)), order(tmp_path, 2)
        board.push(second.model, second.sha256)
    before = 0
    while operations(flash) != before:  # until a step has nothing to do any more
        before = operations(flash)
        assert asked(device, Ask.STAGE, bytes(8)) is Status.OK
    with talking(device, tmp_path) as board:
        standing = board.standing()
        assert (standing.state, standing.current, standing.candidate) == (State.STAGED, first, second.sha256)
        keep(board, second)
    assert operations(flash) == before + 2  # tried, confirmed


def test_whoever_wants_to_stay_with_what_runs_gets_rid_of_a_model_that_waits(
    device: HostBoard, flash: Path, tmp_path: Path
) -> None:
    wanted, other = order(tmp_path, 1), order(tmp_path, 2)
    with talking(device, tmp_path) as board:
        keep(board, wanted)
        board.push(other.model, other.sha256)
    for _ in range(40):
        asked(device, Ask.STAGE, bytes(8))
    with talking(device, tmp_path) as board:
        assert board.standing().candidate == other.sha256
        keep(board, wanted)
    device.press_reset()
    with talking(device, tmp_path) as board:
        assert (board.standing().state, board.standing().current, board.standing().candidate) == (
            State.COMMITTED,
            wanted.sha256,
            None,
        )


def refuse(flash: Path, at: int) -> None:
    """Have the flash not take the operation `at`, counted from now."""
    with flash.open("r+b") as file:
        file.seek(FLASH_BYTES)
        file.write(RIG.pack(0, at, REFUSED))


def test_a_mark_that_the_flash_does_not_take_is_written_behind(device: HostBoard, flash: Path, tmp_path: Path) -> None:
    with talking(device, tmp_path) as board:
        keep(board, order(tmp_path, 1))
        count = operations(flash)
        for seed, mark in ((2, count - 2), (3, count - 1), (4, count)):  # whole, tried, confirmed
            refuse(flash, mark)
            before = board.standing().current
            assert keep(board, order(tmp_path, seed)) != before
            assert (board.standing().state, operations(flash)) == (State.COMMITTED, count + 1)


@pytest.mark.parametrize("at", [1, 3, 4, 5, 10])  # the model's sectors, the records' sector, header, model
def test_a_flash_that_is_worn_out_is_said_and_what_runs_stays(device: HostBoard, flash: Path, tmp_path: Path, at: int) -> None:
    with talking(device, tmp_path) as board:
        first, second = keep(board, order(tmp_path, 1)), order(tmp_path, 2)
        refuse(flash, at)
        with pytest.raises(InfrastructureError, match="a flash that does not take what is written"):
            board.deploy(second)
        assert (board.standing().state, board.standing().current) == (State.COMMITTED, first)
        assert keep(board, second) == board.standing().current


def test_a_board_that_keeps_no_models_says_what_to_do_instead(tmp_path: Path) -> None:
    device = HostBoard(firmware(tmp_path, flags=("-DFLASH_BYTES=0u",)))
    with closing(device), talking(device, tmp_path) as board:
        with pytest.raises(UsageError, match="board keeps no models in its flash") as raised:
            board.deploy(order(tmp_path, 1))
        assert "edgepipe export" in raised.value.todo
        board.push(order(tmp_path, 1).model, order(tmp_path, 1).sha256)


def test_wherever_the_power_fails_a_whole_model_runs_and_the_deployment_can_be_done_again(program: Path, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, program)
    figures = flash_resets.single(campaign, every=14)
    assert len(figures["flash_operations"]) == 4  # type: ignore[arg-type]
    assert (figures["cuts"], figures["problems"]) == (28, [])
    assert flash_resets.chains(campaign, 4)["problems"] == []


def test_the_campaign_would_notice_a_board_that_lost_its_model(program: Path, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, program)
    scene = campaign.scenes[1]
    change(scene.flash, SECTOR_BYTES + 700)
    problems = campaign.hurt(scene, [Cut(1, Extent.ALL)])
    assert any("it runs None" in problem for problem in problems)


def emulated(folder: Path, builds: Path, options: Sequence[str] = (), machine: str = MACHINE) -> DeployableMcu:
    """Return a host's handle on an emulated core, whose flash outlives the emulator."""
    transport = in_qemu(machine, builds, machine, flash=folder / "m", options=options)
    return DeployableMcu(machine, transport, emulated=True, lock_folder=folder)


@pytest.mark.parametrize("machine", EMULATED)
def test_every_emulated_core_keeps_a_model_when_the_emulator_ends(machine: str, tmp_path: Path, builds: Path) -> None:
    with closing(emulated(tmp_path, builds, machine=machine)) as board:
        board.open()
        kept = keep(board, order(tmp_path, 1))
    with closing(emulated(tmp_path, builds, machine=machine)) as board:
        board.open()
        assert (board.standing().state, board.standing().current) == (State.COMMITTED, kept)


def test_keyword_spotting_is_deployed_to_an_emulated_cortex_m4_and_rolled_back(tmp_path: Path, builds: Path, kws: Path) -> None:
    content = kws.read_bytes()
    wanted = order_of(tmp_path / "models", content, golden_of(tmp_path / "models", content))
    with closing(emulated(tmp_path, builds)) as board:
        board.open()
        first = keep(board, order(tmp_path, 1))
        keep(board, wanted)
    with closing(emulated(tmp_path, builds)) as board, np.load(wanted.golden) as golden:  # another emulator: a loss of power
        board.open()
        assert (board.standing().current, board.standing().previous) == (wanted.sha256, first)
        (answer,) = board.predict_kept(iter([(golden["input_0"][0].tobytes(),)]), OPTIONS)
        assert np.abs(np.frombuffer(answer.outputs[0], np.int8).astype(int) - golden["output_0"][0].astype(int)).max() <= 24
        assert board.rollback("another one was better") == first
    with closing(emulated(tmp_path, builds)) as board:
        board.open()
        assert (board.standing().current, board.standing().reason) == (first, "another one was better")


def test_the_marker_is_up_while_a_model_runs_and_only_then(tmp_path: Path, builds: Path) -> None:
    log, wanted = tmp_path / "trace", order(tmp_path, 1)
    options = ("-trace", "led_change_intensity", "-D", str(log))
    with closing(emulated(tmp_path, builds, options)) as board:
        board.open()
        board.push(wanted.model, wanted.sha256)
        assert len(list(board.predict(wanted.sha256, iter([(bytes(64),)] * 3), OPTIONS))) == 3
    changes = [line.rsplit(" ", 1)[1] for line in log.read_text().splitlines() if "USERLED0" in line]
    assert changes == ["100%", "0%"] * 3
