"""An X-NUCLEO-LPM01A on a PTY, byte for byte, with the faults that such a line has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from tests.power_meters.instrument import Instrument

NAME = "usb-STMicroelectronics_PowerShield__Virtual_ComPort_in_FS_Mode__0123456789AB-if00"
BOARD = "203637424D415008002F0045"
BLOCK = 100  # samples between two time stamps
UNITS = {"": 1, "k": 1000}
KNOWN = re.compile(
    r"htc|hrc|powershield|acqmode (dyn|stat)|output (current|energy)|format (ascii_dec|bin_hexa)|freq \d+k?|acqtime (\d+|inf)"
    r"|trigsrc (sw|d7)|pwrend (on|off)|pwr (on|off|auto)|volt \d{4}m|start"
)


@dataclass
class Lpm01aFaults:
    """What is wrong: these samples are `lost`, these are `torn`; `words` are printed after the sample of a number."""

    lost: frozenset[int] = frozenset()
    torn: frozenset[int] = frozenset()
    words: dict[int, str] = field(default_factory=dict)
    garbage: bytes = b""
    refuses: str = ""
    dumb: bool = False
    silent: bool = False
    mute_from: int | None = None


class EmulatedLpm01a(Instrument):
    """Measures `sample`, a text as it prints them."""

    def __init__(self, folder: Path, faults: Lpm01aFaults | None = None, *, sample: str = "6409-07") -> None:
        super().__init__(folder, NAME)
        self.faults, self.sample = faults or Lpm01aFaults(), sample
        self.commands: list[str] = []
        self.hz, self.sent = 100, 0
        self._heard = b""
        self._began_s: float | None = None
        if self.faults.garbage:
            self.send(self.faults.garbage)

    def heard(self, data: bytes) -> None:
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            if command := line.decode().strip():
                self.commands.append(command)
                self._obey(command)

    def _obey(self, command: str) -> None:
        if self.faults.dumb:
            self.send(b"login: ")
        elif command == "stop":
            if self._began_s is not None:
                self.send(b"\r\nend\r\n\r\nPowerShield > Acquisition completed\r\n\r\nPowerShield > ")
            self._began_s = None
        elif command == self.faults.refuses or not KNOWN.fullmatch(command):
            self.send(f"\r\nPowerShield > error {command}\r\nError detail: not possible now\r\n\r\nPowerShield > ".encode())
        elif command == "powershield":
            self.send(f"\r\nPowerShield > ack powershield\r\nPowerShield present: {BOARD}\r\n\r\nPowerShield > ".encode())
        else:
            self.send(self.faults.garbage + f"\r\nPowerShield > ack {command}\r\n\r\n".encode())
            self._set(command)

    def _set(self, command: str) -> None:
        if found := re.fullmatch(r"freq (\d+)(k?)", command):
            self.hz = int(found[1]) * UNITS[found[2]]
        elif command == "start" and not self.faults.silent:
            self._began_s, self.sent = monotonic(), 0

    def tick(self, now_s: float) -> None:
        if self._began_s is None:
            return
        due = int((now_s - self._began_s) * self.hz)
        if self.faults.mute_from is not None:
            due = min(due, self.faults.mute_from)
        while self.sent < due:
            self.send(self._line(self.sent))
            self.sent += 1

    def _line(self, number: int) -> bytes:
        at_ms = 1000 * number // self.hz
        stamp = f"TimeStamp: {at_ms // 1000:03}s {at_ms % 1000:03}ms, buff 00%\r\n\0" if number % BLOCK == 0 else ""
        shown = "" if number in self.faults.lost else f"{self.sample}\r\n"
        if number in self.faults.torn:
            shown = shown[:3] + shown[4:]
        words = self.faults.words.get(number)
        return (stamp + shown + (f"\r\n{words}\r\n" if words else "")).encode()
