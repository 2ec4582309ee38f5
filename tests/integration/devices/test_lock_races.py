"""One board and many who want it: a witness that knows nothing of the lock sees one holder at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from sshd import needs_sshd

from benchmarks import lock_half_open
from benchmarks.lock_races import race


@pytest.fixture(autouse=True)
def server() -> None:
    needs_sshd()


def test_a_slice_of_the_races_has_one_holder_at_a_time(tmp_path: Path) -> None:
    figures = race(tmp_path / "race", clients=5, acquisitions=15, seed=5, disturb_every_s=1.0, rest_s=0.5, longest_s=120)
    assert figures["two_holders_at_once"] == []
    assert int(str(figures["acquisitions_seen_by_the_witness"])) >= 15
    assert sum(dict(figures["done_to_them"]).values()) >= 1  # type: ignore[call-overload]
    assert figures["free_at_the_end"]


def test_the_witness_sees_two_holders_where_nobody_locks(tmp_path: Path) -> None:
    figures = race(
        tmp_path / "race", clients=4, acquisitions=1000, seed=6, disturb_every_s=1.0, rest_s=0.05, is_locking=False, longest_s=120
    )
    assert figures["two_holders_at_once"]


def test_a_host_that_falls_silent_loses_the_board_by_its_heartbeat(tmp_path: Path) -> None:
    figures = lock_half_open.measure(tmp_path, 1, heartbeat_s=4.0)  # each sees to it that the next one gets the board
    assert len(dict(figures["free_after_the_last_byte_s"])) == 3  # type: ignore[call-overload]
