"""Several boards at once: results in order, each kept when it is there, a line of progress each, all stopped together."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgepipe.devices.inventory import DeviceEntry, FakeLink, SshLink
from edgepipe.devices.stopping import Stop
from edgepipe.errors import DeviceUnreachable, Interrupted, InventoryError, UsageError
from edgepipe.events import Event, Progress, StepFinished, StepStarted
from edgepipe.workflows.side_by_side import line, side_by_side

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+Swi+j7MY0tj1CPdAYbowcSm5oxNQCcH7kwgf4fCnm"


def boards(*names: str) -> list[DeviceEntry]:
    return [DeviceEntry(name=name, board="fake", target="host", transport=FakeLink()) for name in names]


def test_results_come_in_order_and_each_is_kept_as_soon_as_it_is_there() -> None:
    quick_is_kept, kept = threading.Event(), list[str]()

    def run(entry: DeviceEntry, stop: Stop) -> str:
        if entry.name == "slow":
            assert quick_is_kept.wait(30)
        return entry.name

    def keep(name: str) -> None:
        kept.append(name)
        quick_is_kept.set()

    assert side_by_side(boards("slow", "quick"), run, words=str, keep=keep) == ("slow", "quick")
    assert kept == ["quick", "slow"]


def test_what_the_first_board_raises_is_raised_when_all_have_ended() -> None:
    ended: list[str] = []

    def run(entry: DeviceEntry, stop: Stop) -> str:
        if entry.name != "good":
            raise UsageError(f"{entry.name} is wrong")
        ended.append(entry.name)
        return entry.name

    with pytest.raises(UsageError, match="first is wrong"):
        side_by_side(boards("first", "good", "second"), run, words=str)
    assert ended == ["good"]


def test_every_entry_that_is_wrong_is_told_before_any_board_is_touched(tmp_path: Path) -> None:
    missing = SshLink(host="pi4.lab", user="edge", key=str(tmp_path / "none"), host_key="nonsense")
    bare = SshLink(host="pi5.lab", user="edge", host_key=HOST_KEY)
    wrong = [DeviceEntry(name=f"pi{n}", board="linux", target="pi", transport=link) for n, link in ((4, missing), (5, bare))]
    touched: list[str] = []
    with pytest.raises(InventoryError) as caught:
        side_by_side([*boards("good"), *wrong], lambda entry, stop: touched.append(entry.name), words=str)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["pi4", "pi5"]
    assert "agent: true" in caught.value.problems[1]
    assert touched == []


class Held:
    """A board that waits until it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()


def test_asking_once_stops_every_board_that_is_held_and_lets_no_other_begin() -> None:
    stop, held, left = Stop(), [Held(), Held()], Held()
    with stop.watching(left):
        pass
    with stop.watching(held[0]), stop.watching(held[1]):
        stop.ask()
        assert all(board.stopped.wait(30) for board in held)
    assert not left.stopped.is_set()
    with pytest.raises(Interrupted), stop.watching(left):
        pass
    with pytest.raises(Interrupted):
        stop.rest(60)


def test_a_board_that_reads_nothing_any_more_delays_no_other() -> None:
    stop, read = Stop(), threading.Event()

    class Deaf:
        def stop(self) -> None:
            read.wait(60)

    other = Held()
    with stop.watching(Deaf()), stop.watching(other):
        stop.ask()
        assert other.stopped.wait(30)
    read.set()


def test_a_line_begins_before_its_board_is_reached_and_ends_once_with_how() -> None:
    events: list[Event] = []
    with line(events.append, "bench m on pi4", 5, "blocks") as shown:
        shown(3, "median 2 us")
        shown.ends("2 blocks are missing", failed=True)
    with pytest.raises(DeviceUnreachable), line(events.append, "bench m on pi5", 5, "blocks"):
        raise DeviceUnreachable("pi5 does not answer\nat all")
    started = [event for event in events if isinstance(event, StepStarted)]
    assert [(each.step, each.total) for each in started] == [("bench m on pi4", 5), ("bench m on pi5", 5)]
    assert [event.detail for event in events if isinstance(event, Progress)] == ["connecting", "median 2 us", "connecting"]
    ends = [(each.step, each.detail, each.failed) for each in events if isinstance(each, StepFinished)]
    assert ends == [("bench m on pi4", "2 blocks are missing", True), ("bench m on pi5", "pi5 does not answer", True)]
