"""A Power Profiler Kit II on a PTY, byte for byte, with the faults that such a line has."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import numpy as np

from tests.power_meters.instrument import Instrument

NAME = "usb-Nordic_Semiconductor_PPK2_0123456789AB-if01"
HZ = 100_000
MEMORY_S = 0.5  # an emulator may be held up by its machine for longer than a kit ever is
# Constants of the size that real kits have, one range with each kind of term.
R = (1003.0, 101.5, 10.25, 0.96, 0.056)
GS = (0.0, 110.0, 18.0, 2.4, 0.07)
GI = (1.0, 0.97, 0.96, 0.95, 0.96)
O = (113.0, 75.5, 64.5, 50.5, 87.25)  # noqa: E741
S = (5e-8, 6e-7, 5e-6, 6e-5, 3e-3)
I = (-1e-7, -1.5e-6, 3.5e-5, -3.75e-4, -9.5e-3)  # noqa: E741
ANSWER = (
    "Calibrated: 0\n"
    + "".join(
        f"{family}{number}: {value:.20f}\n"
        for family, values in (("R", R), ("GS", GS), ("GI", GI))
        for number, value in enumerate(values)
    )
    + "".join(f"O{number}: {value:.4f}\n" for number, value in enumerate(O))
    + "VDD: %d\nHW: 9173\nmode: %d\n"
    + "".join(f"{family}{number}: {value:.9f}\n" for family, values in (("S", S), ("I", I)) for number, value in enumerate(values))
    + "".join(f"UG{number}: 1.00\n" for number in range(5))
    + "IA: 56\nEND\n"
)


def amperes(code: int, number: int, volts: float) -> float:
    """What Nordic's app makes of a converter's code of 14 bits: the same formula as in the driver, written down once more."""
    x = (code * 4 - O[number]) * (1.8 / 163840) / R[number]
    return x * (GS[number] * x + GI[number]) + S[number] * volts + I[number]


def words(count: int, *, first: int = 0, code: int = 2000, number: int = 3, logic: int = 0) -> np.ndarray:
    """`count` words of one current, numbered from `first` on."""
    counter = (np.arange(first, first + count, dtype=np.uint32) & 63) << 18
    return (counter | np.uint32(code | number << 14 | logic << 24)).astype("<u4")


@dataclass
class Ppk2Faults:
    """What is wrong: `lose_bytes` at the sample numbers that are its keys, `garbage` before the answer, an `answer` of its own."""

    lose_bytes: dict[int, int] = field(default_factory=dict)
    garbage: bytes = b""
    answer: str = ANSWER
    silent: bool = False
    mute_from: int | None = None


class EmulatedPpk2(Instrument):
    """Sends a current of `code` in range `number`; `active` says of a sample's number whether logic line 0 is up."""

    def __init__(
        self,
        folder: Path,
        faults: Ppk2Faults | None = None,
        *,
        block: np.ndarray | None = None,
        speed: int = 1,
        memory_s: float = MEMORY_S,
    ) -> None:
        super().__init__(folder, NAME)
        self._hz = HZ * speed
        self._memory_bytes = 4 * self._hz * memory_s
        self.faults = faults or Ppk2Faults()
        # A whole number of counts long, so that it may be sent again and again.
        self._block = (words(6400) if block is None else block).tobytes()
        self.commands: list[bytes] = []
        self.mode, self.millivolts = 2, 3000
        self.sent = self.unread = self._to_lose = 0
        self._began_s: float | None = None
        self._waiting = bytearray()

    def heard(self, data: bytes) -> None:
        """Commands have no end: each is known by its first byte."""
        lengths = {0x06: 1, 0x07: 1, 0x0C: 2, 0x0D: 3, 0x11: 2, 0x19: 1}
        while data:
            length = lengths.get(data[0], 1)
            self._obey(data[:length])
            data = data[length:]

    def _obey(self, command: bytes) -> None:
        self.commands.append(command)
        if command == b"\x06" and not self.faults.silent:
            self._began_s, self.sent = monotonic(), 0
            self._waiting.clear()
        elif command == b"\x07":
            self._began_s = None
        elif command[0] == 0x11:
            self.mode = command[1]
        elif command[0] == 0x0D:
            self.millivolts = int.from_bytes(command[1:], "big")
        elif command == b"\x19":
            answer = self.faults.answer
            self.send(self.faults.garbage + (answer % (self.millivolts, self.mode) if "%d" in answer else answer).encode())

    def tick(self, now_s: float) -> None:
        """Send the samples that were taken meanwhile; those that find no room are lost whole."""
        if self._began_s is None:
            return
        due = int((now_s - self._began_s) * self._hz)
        if self.faults.mute_from is not None:
            due = min(due, self.faults.mute_from)
        del self._waiting[: self.send(bytes(self._waiting))]
        # What is due at once since this machine held the emulator up is no reader's fault.
        room = len(self._waiting) <= self._memory_bytes
        while self.sent < due:
            upto = min([due, self.sent + self._hz // 50, *(at for at in self.faults.lose_bytes if at > self.sent)])
            self._to_lose += self.faults.lose_bytes.get(self.sent, 0)
            data = self._bytes(self.sent, upto)
            cut = min(self._to_lose, len(data))
            self._to_lose -= cut
            data = data[cut:]
            if room:
                self._waiting += data
            else:
                self.unread += upto - self.sent
            self.sent = upto
        del self._waiting[: self.send(bytes(self._waiting))]

    def _bytes(self, first: int, end: int) -> bytes:
        size = len(self._block)
        at, length = 4 * first % size, 4 * (end - first)
        return (self._block[at:] + self._block * (length // size + 1))[:length]


def main() -> None:
    """Be a kit for some seconds in a process of its own, and keep in a file how many samples found no reader."""
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("seconds", type=float)
    asked.add_argument("speed", type=int, nargs="?", default=1, help="how many times faster than a real one")
    given = asked.parse_args()
    with EmulatedPpk2(given.folder, speed=given.speed) as kit:
        print(NAME, flush=True)
        end_s = monotonic() + given.seconds
        while monotonic() < end_s:
            sleep(0.5)
            (given.folder / "unread").write_text(str(kit.unread))


if __name__ == "__main__":
    main()
