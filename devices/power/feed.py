"""Readings of a sensor that hangs off a machine where the agent can run: this one, or another one over SSH.

The agent samples there at an even pace and stamps with its own clock, which is mapped to this machine's by exchanges before and
during the readings. It does without that machine's lock: one machine may have sensors for several boards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, TypeAlias

from edgepipe.devices import agent_bundle
from edgepipe.devices.agent.clock import boot_id
from edgepipe.devices.agent.lines import Message, encode
from edgepipe.devices.boards.conversation import failure, understood
from edgepipe.devices.clock_map import ClockMap, Exchange, exchange
from edgepipe.devices.power.meter import MeterSettings, Text
from edgepipe.devices.protocols import Channel, Transport
from edgepipe.errors import DeviceUnreachable, InfrastructureError, InventoryError

OPEN_S, PUT_S, ASK_S = 30.0, 120.0, 20.0
SILENT_S = 10.0  # an agent that samples says something four times a second
EARLY_S = 0.05  # a wait may end a little early; what really broke is told by the next one
EXCHANGE_EVERY_S = 2.0
ReadingSource: TypeAlias = Literal["files", "pmic"]
WORSE = 2.0  # an exchange that took so many times as long as the first ones tells nothing new


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a board stands: what it is called, whether it is this very machine, and how to get at a device; None: this machine."""

    board: str
    is_here: bool
    reach: Callable[[str | None], Transport]


@dataclass(frozen=True, kw_only=True)
class ReadByAgent(MeterSettings):
    """A sensor that the agent reads on the device `via`, None: on this machine.

    Reading it loads that machine: where it is the board under test, `self_measured` must say that this is known.
    """

    via: Text | None = None
    self_measured: bool = False

    def feed(self, site: Site) -> Feed:
        """Return its readings, not yet opened. Raises InventoryError where they would be taken on the board itself unasked."""
        on_board = self.via == site.board or (self.via is None and site.is_here)
        if on_board and not self.self_measured:
            raise InventoryError(
                f"{site.board}: its power meter would be read on the board itself, which takes power of its own",
                todo="Read it on another machine (via: its name in the inventory), or write self_measured: true beside it.",
            )
        return Feed(self.via or "this machine", site.reach(self.via))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some readings: this machine's time of each in seconds, and its values; what was `lost`, how often the sensor was reset."""

    time_s: list[float]
    values: list[list[Any]]
    lost: int = 0
    resets: int = 0


class Feed:
    """The agent in its role of a meter, on the machine `where`. `root` is "/"; tests give the tree of another machine."""

    def __init__(self, where: str, transport: Transport, *, root: str = "/") -> None:
        self.where = where
        self._transport, self._root = transport, root
        self._channel: Channel | None = None
        self._clock: ClockMap | None = None
        self._number, self._asked_s, self._asked, self._heard_s = 0, 0.0, 0, 0.0
        self.release = ""

    def open(self) -> None:
        """Bring the agent, start it, and map its clock. Raises DeviceUnreachable."""
        self._transport.open(deadline_s=OPEN_S)
        agent, _ = agent_bundle.bring(self._transport, deadline_s=PUT_S)
        self._channel = self._transport.start_agent(agent, deadline_s=OPEN_S, role="meter")
        first = self._receive(OPEN_S)
        if "ready" not in first:
            raise DeviceUnreachable(f"{self.where} could not start to read its sensor: {first.get('words', first)}")
        self.release = str(first.get("release", ""))
        best = exchange(lambda: int(self._ask("clock", {})["monotonic_ns"]))
        own = first.get("boot_id") == _own_boot_id() and best.sent_s <= best.board_s <= best.received_s
        self._clock = None if own else ClockMap(before=best, after=best)

    @property
    def clock_uncertainty_s(self) -> float:
        """How far a time may be off (k = 1); 0 on this very machine, whose clock it is."""
        return WORSE * self._clock.uncertainty_s if self._clock else 0.0

    def look(self, *patterns: str) -> dict[str, Message]:
        """Return what each file below the root that matches says ("text", or "words" why not), and which "device" it is of."""
        root = self._root.rstrip("/")
        found = self._ask("look", {"patterns": [f"{root}/{pattern}" for pattern in patterns]})["files"]
        return {path[len(root) + 1 :]: facts for path, facts in found.items()}

    def pmic(self) -> str:
        """Return what vcgencmd says of a Raspberry Pi 5's rails. Raises MeterMissing."""
        return str(self._ask("pmic", {})["text"])

    def start(
        self,
        *,
        longest_s: float,
        pace_s: float,
        limit_s: float = 0.0,
        source: ReadingSource = "files",
        files: Sequence[str] = (),
        watch: Sequence[str] = (),
    ) -> Message:
        """Have the sensor read, and return at which pace that will be; a change in the files to `watch` is a reset.

        After `longest_s` it has converted anew even if it says the same; `limit_s` is the longest gap that loses nothing, 0: any.
        """
        root = self._root.rstrip("/")
        fields = {
            "source": source,
            "longest_ns": int(longest_s * 1e9),
            "pace_ns": int(pace_s * 1e9),
            "limit_ns": int(limit_s * 1e9),
            "files": [f"{root}/{path}" for path in files],
            "watch": [f"{root}/{path}" for path in watch],
        }
        started = self._ask("sample", fields)
        self._heard_s = monotonic()
        return started

    def read(self, *, deadline_s: float) -> Batch:
        """Return what was read since the last call, nothing if nothing was by the deadline. Raises DeviceUnreachable."""
        end = monotonic() + deadline_s
        if monotonic() >= self._asked_s + EXCHANGE_EVERY_S:  # it is also the sign that this host lives
            self._asked_s, self._asked = monotonic(), self._request("clock", {})
        while True:
            left_s = end - monotonic()
            try:
                message = self._receive(max(0.0, left_s))
            except DeviceUnreachable:
                if monotonic() < end - EARLY_S or monotonic() >= self._heard_s + SILENT_S:
                    raise
                return Batch(time_s=[], values=[])
            self._heard_s = monotonic()
            if "gone" in message:
                raise DeviceUnreachable(
                    f"{self.where} cannot read its power sensor any more: {message['gone']}",
                    cause="the sensor was unplugged, or its bus is disturbed",
                    todo="Check its wires; what was measured until then does not count.",
                )
            if self._clock and self._asked and message.get("id") == self._asked:
                self._refine(message)
            if "rows" in message:
                return self._batch(message)

    def close(self) -> None:
        """End the agent there."""
        self._channel = None
        self._transport.close()

    def _batch(self, message: Message) -> Batch:
        try:
            stamps = [int(row[0]) / 1e9 for row in message["rows"]]
            values = [list(row[1:]) for row in message["rows"]]
            lost, resets = int(message["lost"]), int(message["resets"])
        except (KeyError, TypeError, ValueError, IndexError) as exc:
            raise InfrastructureError(f"{self.where} said something of its sensor that is no reading") from exc
        clock = self._clock
        return Batch(time_s=[clock.host_s(stamp) for stamp in stamps] if clock else stamps, values=values, lost=lost, resets=resets)

    def _refine(self, message: Message) -> None:
        """Map the clock by its latest reading too, unless that was slow to come."""
        assert self._clock is not None
        latest = Exchange(sent_s=self._asked_s, board_s=int(message["ok"]["monotonic_ns"]) / 1e9, received_s=monotonic())
        if latest.round_trip_s <= WORSE * self._clock.before.round_trip_s:
            self._clock = ClockMap(before=self._clock.before, after=latest)

    def _ask(self, do: str, fields: Message) -> Message:
        number, end = self._request(do, fields), monotonic() + ASK_S
        while True:
            message = self._receive(max(0.0, end - monotonic()))
            if message.get("id") != number:
                continue
            if "error" in message:
                raise failure(message, self.where)
            answer: Message = message["ok"]
            return answer

    def _request(self, do: str, fields: Message) -> int:
        self._number += 1
        self._opened().send(encode({**fields, "id": self._number, "do": do}), deadline_s=ASK_S)
        return self._number

    def _receive(self, deadline_s: float) -> Message:
        return understood(self._opened().receive(deadline_s=deadline_s), self.where)

    def _opened(self) -> Channel:
        if self._channel is None:
            raise DeviceUnreachable(f"the power sensor at {self.where} is not open")
        return self._channel


def _own_boot_id() -> str:
    """Return the kernel's name of this machine's boot: what runs on the same one has the same clock, or a time namespace."""
    try:
        return boot_id()
    except OSError:
        return ""
