"""Several boards at once: each gets its own record, none waits for another."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sshd import Sshd, needs_sshd

from benchmarks import ssh_many_boards, waiting_blocks
from edgepipe.errors import UsageError
from edgepipe.events import Event, StepStarted, silent
from edgepipe.records import RunOutcome
from edgepipe.workflows.bench import bench


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    path = tmp_path / "farm_inventory.yaml"
    boards = [f"  fake-{number}: {{board: fake, target: host, transport: {{kind: fake}}}}" for number in range(4)]
    dead = "  fake-dead: {board: fake, target: host, transport: {kind: fake, faults: [dead]}}"
    path.write_text("\n".join(["schema: 1", "devices:", *boards, dead]) + "\n")
    return path


def test_all_boards_are_under_way_at_the_same_time(farm: Path, good: Path) -> None:
    all_started = threading.Barrier(4)

    def emit(event: Event) -> None:
        if isinstance(event, StepStarted):
            all_started.wait(timeout=60)  # broken unless all four arrive

    records = bench(good, device="fake-0,fake-1,fake-2,fake-3", inventory=farm, blocks=1, emit=emit)
    assert [record.device.name for record in records] == ["fake-0", "fake-1", "fake-2", "fake-3"]


def test_a_dead_board_costs_only_its_own_record(farm: Path, good: Path) -> None:
    records = bench(good, device="fake-*", inventory=farm, blocks=1, emit=silent)
    assert [record.outcome for record in records] == [RunOutcome.OK] * 4 + [RunOutcome.INFRA]


def test_a_mistake_in_one_entry_is_told_as_a_mistake(farm: Path, good: Path, tmp_path: Path) -> None:
    link = "{kind: ssh, host: pi4.lab, user: edge, key: /nowhere, host_key: nonsense}"
    farm.write_text(farm.read_text() + f"  pi4: {{board: linux, target: pi, transport: {link}}}\n")
    with pytest.raises(UsageError, match="pi4: the pinned host_key cannot be read"):
        bench(good, device="fake-0,pi4", inventory=farm, blocks=1, emit=silent)


def test_a_board_over_ssh_is_measured_like_any_other(sshd: Sshd, good: Path, tmp_path: Path) -> None:
    from benchmarks.ssh_overhead import write_inventory

    inventory = write_inventory(sshd, tmp_path / "farm_inventory.yaml")
    (record,) = bench(good, device="kind=ssh", inventory=inventory, blocks=1, emit=silent)
    assert record.outcome is RunOutcome.OK, record.reason
    assert len(record.blocks) == 1
    assert not record.device.emulated


def test_blocks_on_boards_over_ssh_run_at_the_same_time(good: Path, tmp_path: Path) -> None:
    needs_sshd()
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    with ssh_many_boards.farm(tmp_path, 3) as inventory:
        for number in (1, 2, 3):  # no block ends before all three are under way
            waiting_blocks.install(tmp_path / f"board-{number}" / "home", 0.0, meeting=meeting, guests=3)
        records = bench(good, device="board-*", inventory=inventory, blocks=1, emit=silent)
    assert [(record.outcome, record.reason) for record in records] == [(RunOutcome.OK, "")] * 3
