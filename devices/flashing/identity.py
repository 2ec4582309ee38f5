"""Who answers on a board's line, and whether that is who should."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic, sleep

from edgepipe.devices.boards.line_board import LineTransport
from edgepipe.devices.boards.mcu_talk import McuTalk, board_id_of
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.errors import DeviceUnreachable

OPEN_S, HELLO_S, AGAIN_S = 10.0, 3.0, 0.2


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a firmware says of itself: the kind of board, its serial number, and the build that runs there."""

    board: str
    serial: str
    build: str

    @property
    def board_id(self) -> str:
        """What tells this board from all others, as records have it."""
        return board_id_of(self.serial, self.board)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What should answer; None for what nobody can say."""

    board: str | None = None
    board_id: str | None = None

    def differences(self, found: Answered) -> list[str]:
        """Return in what another board answered."""
        pairs = (("board", self.board, found.board), ("board_id", self.board_id, found.board_id))
        return [f'its {what} should be "{wanted}", and is "{seen}"' for what, wanted, seen in pairs if wanted not in (None, seen)]


def ask(transport: LineTransport, device: str) -> Answered | None:
    """Return who answers on the line, None where nobody does that speaks our protocol. Raises DeviceUnreachable without a line."""
    line = transport.open(deadline_s=OPEN_S)
    try:
        link = FrameLink(line, device)
        link.hello(deadline_s=HELLO_S)
        info = McuTalk(link, device).info()
    except DeviceUnreachable:
        return None
    finally:
        transport.close()
    return Answered(board=info.words("board"), serial=info.words("serial"), build=info.words("build"))


def await_answer(transport: LineTransport, device: str, *, deadline_s: float) -> Answered | None:
    """Ask until somebody answers or the deadline is over: a board that starts anew may leave the USB for a while."""
    end = monotonic() + deadline_s
    while True:
        try:
            answered = ask(transport, device)
        except DeviceUnreachable:
            if monotonic() >= end:
                raise
            answered = None
        if answered is not None or monotonic() >= end:
            return answered
        sleep(AGAIN_S)
