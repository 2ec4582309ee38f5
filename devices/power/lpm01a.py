"""ST's X-NUCLEO-LPM01A ("PowerShield"): it supplies the board, and prints currents from 100 nA to 50 mA.

Commands are lines of text, each answered by `PowerShield > ack` and the command, or by an error. Sources: UM2269, UM2243, and the
runner of MLPerf Tiny (see lpm01a_text). Never run on hardware here: the tests' emulator is written from the same sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

from pydantic import Field

from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.lpm01a_text import Lines, Said
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, MeterSettings, PowerMeter, Samples, Share
from edgepipe.devices.power.pace import CLOCK_ERROR, Pace
from edgepipe.devices.power.serial_meter import BY_ID, WRITE_S, ById, OddLine, answer, closed_if_missing, open_line, silence
from edgepipe.errors import DeviceUnreachable, MeterMissing

BAUD = 3_686_400
JITTER_S = 0.005  # it sends in blocks of some milliseconds, of which the least late count
ACK_S, QUIET_S, BOARD_S, SILENCE_S = 2.0, 0.2, 0.3, 5.0
CALIBRATED_S = 15.0  # a new voltage makes it calibrate itself
FIRST_S, FIRST_WITHIN_S = 0.5, 5.0  # the first samples say when samples arrive
# UM2243 Rev 2, 10 Dynamic current measurement principle: 100 nA to 50 mA, accuracy in the range of 2 %.
FULL_SCALE_A, GAIN, OFFSET_A = 0.05, 0.02, 100e-9
ERROR = re.compile(rb"err(or)?\b.*\n", re.IGNORECASE)
UNIQUE_ID = re.compile(rb"\b[0-9A-Fa-f]{8,32}\b")


@dataclass(frozen=True, kw_only=True)
class Lpm01a(MeterSettings):
    """Its name under /dev/serial/by-id, the `volts` that it supplies, known to ±`volts_error`, and samples a second.

    As text it can send 5,000 of them; at 500 and below, every lost one shows.
    """

    meter: Literal["lpm01a"] = "lpm01a"
    by_id: ById
    volts: Annotated[float, Field(ge=1.8, le=3.3)] = 3.3
    volts_error: Share = 0.02
    hz: Literal[5000, 2000, 1000, 500, 200, 100] = 500

    def connect(self, site: Site) -> PowerMeter:
        """Return the meter of a board."""
        return Lpm01aMeter(site.board, self)


class Lpm01aMeter:
    """The shield. What it says of voltage and frequency is what it was told: it measures the current only."""

    def __init__(self, device: str, settings: Lpm01a, *, folder: Path = BY_ID) -> None:
        self._name, self._settings, self._folder = f"the LPM01A of {device}", settings, folder
        self._line: OddLine | None = None
        self._ended = ""

    def open(self) -> MeterFacts:
        """Take control of it, have it supply the board and measure. Raises MeterMissing, DeviceBusy."""
        self.close()
        settings = self._settings
        self._line = open_line(settings.by_id, self._folder, lambda path: OddLine(path, BAUD))
        with closed_if_missing(self, self._name):
            # What a program before may have left running ends, and has its say of that.
            silence(self._line, b"\nstop\n", quiet_s=QUIET_S)
            self._ask(self._line, "htc")
            serial = UNIQUE_ID.search(self._ask(self._line, "powershield", more_s=BOARD_S))
            frequency = f"{settings.hz // 1000}k" if settings.hz >= 1000 else str(settings.hz)
            setting = (
                "acqmode dyn",
                "output current",
                "format ascii_dec",
                f"freq {frequency}",
                "acqtime 0",
                "trigsrc sw",
                "pwrend on",
            )
            for command in (*setting, f"volt {round(1000 * settings.volts)}m", "pwr on", "start"):
                self._ask(self._line, command, within_s=CALIBRATED_S)
            self._begin(self._line)
        return self._facts(serial[0].decode() if serial else settings.by_id)

    def read(self, *, deadline_s: float) -> Samples:
        """Return what came. Raises DeviceUnreachable when it is gone, has stopped, or prints nothing that can be read."""
        if self._line is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        data = self._line.read(deadline_s=deadline_s)
        now = monotonic()
        said = self._lines.feed(data)
        self._ended = self._ended or said.ended
        if said.amps:
            self._last_s = now
        elif self._ended:
            raise DeviceUnreachable(
                f"{self._name} stopped measuring: {self._ended}",
                cause="a button was pressed on it, or the board draws more than it can supply (50 mA)",
                todo="Take off what the board does not need, and press no button.",
            )
        elif now - self._last_s > SILENCE_S:
            raise DeviceUnreachable(f"{self._name} has printed no sample for {SILENCE_S:g} s", todo="Plug it in anew.")
        return self._samples(said, now)

    def close(self) -> None:
        """Stop it and give control back."""
        line, self._line = self._line, None
        if line is None:
            return
        try:
            silence(line, b"stop\n", quiet_s=QUIET_S)
            line.write(b"hrc\n", deadline_s=WRITE_S)
        except DeviceUnreachable:
            pass  # it was unplugged: nothing is left to stop
        finally:
            line.close()

    def _ask(self, line: OddLine, command: str, *, within_s: float = ACK_S, more_s: float = 0.0) -> bytes:
        """Send a command and return what it answers. Raises MeterMissing where it refuses, or is no PowerShield."""
        wanted = b"ack " + command.encode()
        said = answer(line, command.encode() + b"\n", lambda text: wanted in text or ERROR.search(text), within_s=within_s)
        if wanted in said:
            return said.partition(wanted)[2] + (line.read(deadline_s=more_s) if more_s else b"")
        if b"PowerShield" not in said:
            raise MeterMissing(
                f"{self._name}: what is at {self._settings.by_id} does not answer as a PowerShield",
                cause="another device has this name",
                todo="Compare by_id in the power entry with what `ls -l /dev/serial/by-id` shows.",
            )
        words = " ".join(said.decode(errors="replace").split())[-200:]
        raise MeterMissing(f"{self._name} refuses {command!r}: {words}", todo="Press its reset button, and update its firmware.")

    def _begin(self, line: OddLine) -> None:
        """Learn from the first samples when samples arrive; they are not given out."""
        self._lines, self._pace, self._ended = Lines(self._settings.hz), Pace(1 / self._settings.hz), ""
        began = monotonic()
        while (now := monotonic()) < began + FIRST_S or (not self._lines.next_number and now < began + FIRST_WITHIN_S):
            if self._lines.feed(line.read(deadline_s=FIRST_S)).amps:
                self._last_s = monotonic()
                self._pace.anchor(self._lines.next_number - 1, self._last_s)
        if not self._lines.next_number:
            raise MeterMissing(f"{self._name} answers, but prints no samples", todo="Press its reset button.")

    def _samples(self, said: Said, now_s: float) -> Samples:
        import numpy as np

        amps = np.array(said.amps, dtype=np.float64)
        times = self._pace.times(np.array(said.numbers, dtype=np.int64))
        if amps.size:
            self._pace.arrived(self._lines.next_number - 1, now_s)
        return Samples(
            time_s=times,
            volts=np.full(amps.size, self._settings.volts),
            amps=amps,
            dropped=said.dropped,
            saturated=int(np.count_nonzero(amps >= FULL_SCALE_A)) + said.over_current,
        )

    def _facts(self, serial: str) -> MeterFacts:
        settings = self._settings
        return MeterFacts(
            name="ST X-NUCLEO-LPM01A",
            serial=serial,
            period_s=1 / settings.hz,
            jitter_s=JITTER_S,
            errors=ErrorTerms.within(
                gain=GAIN,
                volt=settings.volts_error,
                offset_a=OFFSET_A,
                source="UM2243 Rev 2, 10 (±2 %, from 100 nA on); volts: the inventory",
            ),
            full_scale_a=FULL_SCALE_A,
            drops_detectable=settings.hz <= 500,
            clock_error=CLOCK_ERROR,
        )
