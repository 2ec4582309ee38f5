"""The states of a deployment, step by step, on real files: what is current, what the way back is, and what a reboot changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepipe.devices.agent.deployment import COMMITTED, IDLE, ROLLED_BACK, TRIAL, Deployment
from edgepipe.devices.agent.lines import Refused


class Clock:
    """Seconds since boot, as the test says."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deployment(tmp_path: Path, clock: Clock) -> Deployment:
    return Deployment(str(tmp_path), boot="first", uptime_s=clock)


def stored(deployment: Deployment, word: str) -> str:
    """Put a model into the store and return its hash."""
    path = Path(deployment.folder) / "incoming"
    path.write_text(word)
    sha256 = hashlib.sha256(word.encode()).hexdigest()
    deployment.store.add(str(path), sha256)
    return sha256


def begin(deployment: Deployment, model: str, version: int | None = None, arm: Callable[[str], None] = lambda trial: None) -> str:
    return deployment.begin(model, deadline_s=60.0, version=version, protected="no", arm=arm)


def committed(deployment: Deployment, word: str, version: int | None = None) -> str:
    model = stored(deployment, word)
    trial = begin(deployment, model, version)
    deployment.healthy(trial)
    deployment.commit(trial)
    return model


def slots(deployment: Deployment) -> tuple[str | None, str | None, str | None]:
    found = deployment.slots.all()
    return found["current"], found["previous"], found["candidate"]


def test_a_board_on_which_nothing_happened_is_idle(deployment: Deployment) -> None:
    assert deployment.now().state == IDLE
    assert slots(deployment) == (None, None, None)
    deployment.recover(guarded=False)
    assert list(Path(deployment.folder).iterdir()) == []


def test_a_confirmed_model_is_current_and_the_one_before_it_previous(deployment: Deployment) -> None:
    first, second = committed(deployment, "one"), committed(deployment, "two")
    assert slots(deployment) == (second, first, None)
    assert deployment.now().state == COMMITTED


def test_current_is_a_relative_link_that_resolves_to_the_model(deployment: Deployment, tmp_path: Path) -> None:
    committed(deployment, "one")
    assert (tmp_path / "slots" / "current" / "model.tflite").read_text() == "one"
    tmp_path.rename(tmp_path.with_name("moved"))
    assert (tmp_path.with_name("moved") / "slots" / "current" / "model.tflite").read_text() == "one"


def test_the_guard_is_armed_before_the_switch(deployment: Deployment) -> None:
    first, second = committed(deployment, "one"), stored(deployment, "two")
    seen: list[tuple[str | None, str]] = []
    begin(deployment, second, arm=lambda trial: seen.append((deployment.slots.read("current"), deployment.now().state)))
    assert seen == [(first, TRIAL)]
    assert deployment.slots.read("current") == second


def test_a_guard_that_does_not_start_leaves_everything_as_it_was(deployment: Deployment) -> None:
    before = (committed(deployment, "zero"), committed(deployment, "one"))[::-1]

    def refuses(trial: str) -> None:
        raise Refused("infrastructure", "no guard")

    with pytest.raises(Refused, match="no guard"):
        begin(deployment, stored(deployment, "two"), arm=refuses)
    assert slots(deployment) == (*before, None)
    assert deployment.now().state == ROLLED_BACK


def test_a_trial_that_is_rolled_back_leaves_all_slots_as_they_were(deployment: Deployment) -> None:
    zero, one = committed(deployment, "zero"), committed(deployment, "one")
    trial = begin(deployment, stored(deployment, "two"))
    assert deployment.slots.read("previous") == one
    assert deployment.roll_back(trial, "bad", "crashed")
    assert slots(deployment) == (one, zero, None)
    assert (deployment.now().finding, deployment.now().reason) == ("crashed", "bad")
    assert not deployment.roll_back(trial, "again")


def test_the_first_model_of_all_leaves_nothing_when_it_is_bad(deployment: Deployment) -> None:
    deployment.roll_back(begin(deployment, stored(deployment, "one")), "bad")
    assert slots(deployment) == (None, None, None)


def test_a_second_deployment_during_a_trial_is_refused(deployment: Deployment) -> None:
    model = stored(deployment, "one")
    begin(deployment, model)
    with pytest.raises(Refused, match="runs already") as raised:
        begin(deployment, stored(deployment, "two"))
    assert raised.value.slug == "device-busy"
    assert deployment.slots.read("current") == model


def test_only_a_healthy_trial_can_be_confirmed_and_only_in_time(deployment: Deployment, clock: Clock) -> None:
    trial = begin(deployment, stored(deployment, "one"))
    with pytest.raises(Refused, match="health check"):
        deployment.commit(trial)
    deployment.healthy(trial)
    clock.now_s += 60
    with pytest.raises(Refused, match="deadline"):
        deployment.commit(trial)


def test_confirming_twice_is_confirming(deployment: Deployment) -> None:
    trial = begin(deployment, stored(deployment, "one"))
    deployment.healthy(trial)
    deployment.commit(trial)
    deployment.commit(trial)
    assert [entry["event"] for entry in deployment.journal.entries()].count("committed") == 1


def test_an_older_version_than_a_confirmed_one_is_refused(deployment: Deployment) -> None:
    committed(deployment, "one", version=3)
    assert deployment.floor() == 3
    for version in (2, None):
        with pytest.raises(Refused, match="older than version 3"):
            begin(deployment, stored(deployment, "two"), version)
    committed(deployment, "three", version=4)
    assert deployment.floor() == 4


def test_a_version_that_was_only_tried_does_not_count(deployment: Deployment) -> None:
    deployment.roll_back(begin(deployment, stored(deployment, "one"), version=9), "bad")
    assert deployment.floor() == 0


def test_a_trial_of_another_boot_is_rolled_back_whatever_the_clocks_say(deployment: Deployment, clock: Clock) -> None:
    first = committed(deployment, "one")
    begin(deployment, stored(deployment, "two"))
    clock.now_s = 3.0
    after = Deployment(deployment.folder, boot="second", uptime_s=clock)
    after.recover(guarded=True)
    assert after.slots.read("current") == first
    assert after.now().finding == "reboot"
    entries = after.journal.entries()
    after.recover(guarded=False)
    assert after.journal.entries() == entries


def test_a_trial_that_nothing_watches_over_is_rolled_back(deployment: Deployment) -> None:
    first = committed(deployment, "one")
    begin(deployment, stored(deployment, "two"))
    deployment.recover(guarded=True)
    assert deployment.now().state == TRIAL
    deployment.recover(guarded=False)
    assert deployment.slots.read("current") == first


def test_three_crashes_within_a_minute_end_a_trial_and_slower_ones_do_not(deployment: Deployment, clock: Clock) -> None:
    first = committed(deployment, "one")
    begin(deployment, stored(deployment, "two"))
    told = []
    for pause_s in (0, 40, 30, 20):
        clock.now_s += pause_s
        told.append(deployment.crashed("SIGSEGV"))
    assert told == [False, False, False, True]
    assert deployment.slots.read("current") == first
    assert deployment.now().finding == "crash reports"


def test_crashes_of_a_confirmed_model_are_noted_only(deployment: Deployment) -> None:
    model = committed(deployment, "one")
    assert not any(deployment.crashed("SIGSEGV") for _ in range(5))
    assert deployment.slots.read("current") == model


def test_going_back_by_hand_from_a_confirmed_model_works_once(deployment: Deployment) -> None:
    first = committed(deployment, "one")
    committed(deployment, "two")
    assert deployment.previous("because") == first
    assert slots(deployment) == (first, None, None)
    with pytest.raises(Refused, match="no previous model"):
        deployment.previous("again")
    assert deployment.slots.read("current") == first


def test_a_rollback_that_the_journal_never_heard_of_is_made_up_for(deployment: Deployment) -> None:
    """A full disk takes no entry, but one rename."""
    first = committed(deployment, "one")
    begin(deployment, stored(deployment, "two"))
    deployment.slots.move("previous", "current")
    assert deployment.now().state == TRIAL
    deployment.recover(guarded=False)
    assert (deployment.now().state, deployment.slots.read("current")) == (ROLLED_BACK, first)


def test_torn_and_foreign_lines_in_the_journal_are_passed_over(deployment: Deployment) -> None:
    model = committed(deployment, "one")
    with Path(deployment.journal.path).open("ab") as journal:
        journal.write(b'[]\n{"event": "trial"}\n\xff\xfe\n{"event":"rolled_ba')
    assert deployment.now().state == COMMITTED
    committed(deployment, "two")
    assert slots(deployment)[1] == model


def test_a_long_journal_is_shortened_and_still_knows_the_last_deployment(deployment: Deployment) -> None:
    trial = begin(deployment, stored(deployment, "one"))
    deployment.healthy(trial)
    with Path(deployment.journal.path).open("a") as journal:
        for number in range(3000):
            line = {"event": "crash", "id": trial, "boot": "earlier", "uptime_s": number, "reason": "x" * 60}
            journal.write(json.dumps(line) + "\n")
    before = deployment.now()
    deployment.recover(guarded=True)
    assert Path(deployment.journal.path).stat().st_size < 200_000
    assert deployment.now() == before


def test_everything_a_slot_or_a_trial_names_is_in_use(deployment: Deployment) -> None:
    zero, one = committed(deployment, "zero"), committed(deployment, "one")
    two = stored(deployment, "two")
    begin(deployment, two)
    assert deployment.in_use() == {zero, one, two}
