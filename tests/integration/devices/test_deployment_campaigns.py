"""Slices of the campaigns about deployments: a system call here and there at which a process dies or the disk refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from signatures import needs_ssh_keygen
from sshd import needs_sshd

from benchmarks.deploy_bad_models import trial
from benchmarks.deploy_crash_points import Board, Point, campaign, hurt


@pytest.fixture(autouse=True)
def has_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("crash points need strace: apt-get install strace")


def test_current_resolves_and_recovery_is_idempotent_wherever_it_stops() -> None:
    figures = campaign(every=97, first=5)
    assert figures["points"] >= 15
    assert figures["problems"] == []


def test_the_campaign_would_notice_a_board_that_lost_its_model(tmp_path: Path) -> None:
    board = Board(tmp_path)
    entry = board.idle / "store" / f"sha256-{board.one}" / "model.tflite"
    entry.write_bytes(b"another")
    problems = hurt(board, Point("commit", "rename", 1, "SIGKILL"), tmp_path / "board")
    assert any("current was" in problem for problem in problems)
    assert any("torn" in problem for problem in problems)


def test_the_board_alone_tells_what_was_wrong_with_a_model_whose_host_is_gone(tmp_path: Path) -> None:
    from benchmarks.deploy_bad_models import board_with
    from benchmarks.deployments import good
    from edgepipe.devices import agent_bundle

    (tmp_path / "agent.pyz").write_bytes(agent_bundle.build().content)
    board_with(good(tmp_path / "models", seed=1), tmp_path / "template")
    ending = trial(tmp_path, "crashed", 0)
    assert (ending.back, ending.finding) == (True, "crashed")


def test_whoever_dies_at_a_message_the_board_stands_and_can_be_used_again() -> None:
    from benchmarks import deploy_crash_messages

    needs_ssh_keygen()
    figures = deploy_crash_messages.campaign(every=28, first=14)
    assert figures["by_victim"] == {"everything": 1, "host": 1, "agent": 1}
    assert figures["messages"] >= 20
    assert figures["problems"] == []


def test_a_disk_that_is_full_at_any_moment_tears_nothing() -> None:
    from benchmarks import deploy_full_disk

    needs_ssh_keygen()
    needs_sshd()
    try:
        figures = deploy_full_disk.campaign(every=25, uploads=1)
    except PermissionError as exc:
        pytest.skip(str(exc))
    assert set(figures["deployments_ended"]) == {"storage", "committed"}
    assert figures["problems"] == []
