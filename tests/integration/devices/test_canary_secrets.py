"""Secrets of the host's: in nothing that a command prints, writes, or lets other processes see."""

from __future__ import annotations

from pathlib import Path

from sshd import needs_sshd

from benchmarks.canary_secrets import measure

SCENES = ["in good order", "a board that says secrets to standard error", "a board that says secrets to standard output"]


def test_a_slice_of_the_campaign_of_canaries(tmp_path: Path) -> None:
    needs_sshd()
    figures = measure(tmp_path / "stage", seed=7, only=SCENES, verbs=["bench --json"])
    assert figures["commands"] == 5  # and two reports of it
    assert figures["secrets_found"] == []
    assert figures["internal_errors_and_hangs"] == []
    assert set(dict(figures["would_have_been_found"]).values()) == {True}  # type: ignore[call-overload]
