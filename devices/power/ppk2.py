"""Nordic's Power Profiler Kit II over USB: 100,000 samples a second with a counter, and eight lines for a marker.

Commands, as Nordic's Power Profiler app sends them (src/constants.ts and src/device/abstractDevice.ts in
github.com/NordicSemiconductor/pc-nrfconnect-ppk): 06 start, 07 stop, 0C 01 close the way to the board, 0D and two bytes, the higher
first: the source's millivolts, 11 01 ampere meter or 11 02 source meter, 19 GetMetadata. Only that one is answered. Never run on
hardware here: the tests' emulator is written from the same source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.line_reader import LineReader
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, MeterSettings, PowerMeter, Samples, Share
from edgepipe.devices.power.pace import CLOCK_ERROR, Pace
from edgepipe.devices.power.ppk2_calibration import FULL_SCALE_A, Metadata, amperes, read_metadata, saturated
from edgepipe.devices.power.ppk2_stream import COUNTS, WordStream
from edgepipe.devices.power.serial_meter import BY_ID, WRITE_S, ById, answer, closed_if_missing, open_line, silence
from edgepipe.devices.transports.serial_line import TtyLine
from edgepipe.errors import DeviceUnreachable, MeterMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

START, STOP, POWER_ON, SET_VOLTS, SET_MODE, GET_METADATA = b"\x06", b"\x07", b"\x0c\x01", b"\x0d", b"\x11", b"\x19"
MODES = {"ampere": 1, "source": 2}
PERIOD_S = 1e-5
JITTER_S = 1e-3  # USB at full speed has frames of 1 ms, of which the least late count
ANSWER_S, QUIET_S, SETTLE_S, SILENCE_S = 2.0, 0.1, 0.3, 2.0
AT_ONCE_BYTES = 8000  # 20 ms: to decode fewer samples at once would take more of the processor
# PPK2 User Guide, Measurement accuracy and Measurement resolution, both typical. The three ranges below are no better.
UP_TO_50_MA, UP_TO_1_A = (0.10, 50e-6), (0.15, 1e-3)


@dataclass(frozen=True, kw_only=True)
class Ppk2(MeterSettings):
    """The kit's name under /dev/serial/by-id, and whether it measures a board that has its own supply, or supplies it.

    `volts` are those of the board, which the kit does not measure, known to ±`volts_error` (a share; nobody specifies it). The
    logic line `marker_line` is the one that the board raises. With `most_w` it is known that the range up to 1 A is not needed.
    """

    meter: Literal["ppk2"] = "ppk2"
    by_id: ById
    mode: Literal["ampere", "source"]
    volts: Annotated[float, Field(ge=0.8, le=5.0)]
    volts_error: Share = 0.02
    marker_line: Annotated[int, Field(ge=0, le=7)] | None = None

    def connect(self, site: Site) -> PowerMeter:
        """Return the meter of a board."""
        return Ppk2Meter(site.board, self)


class Ppk2Meter:
    """The kit. It opens and closes the way to the board by itself: without an open port, the board has no current."""

    def __init__(self, device: str, settings: Ppk2, *, folder: Path = BY_ID) -> None:
        self._name, self._settings, self._folder = f"the PPK2 of {device}", settings, folder
        self._line: TtyLine | None = None
        self._reader: LineReader | None = None

    def open(self) -> MeterFacts:
        """Find it, set it up and have it measure. Raises MeterMissing, DeviceBusy."""
        self.close()
        self._line = open_line(self._settings.by_id, self._folder, TtyLine)
        with closed_if_missing(self, self._name):
            metadata = self._identify(self._line)
            self._set_up(self._line, metadata)
            self._amps = amperes(metadata, self._settings.volts)
            self._begin(self._line)
        return self._facts()

    def read(self, *, deadline_s: float) -> Samples:
        """Return what came. Raises DeviceUnreachable when it is gone, or sends nothing that can be read."""
        if self._reader is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        data, now = self._reader.take(AT_ONCE_BYTES, deadline_s=deadline_s)
        found = self._stream.feed(data)
        if found.words.size:
            self._last_s = now
        elif monotonic() - self._last_s > SILENCE_S:
            raise DeviceUnreachable(
                f"{self._name} has sent no sample for {SILENCE_S:g} s",
                cause="it hangs, or the line is so disturbed that nothing can be read",
                todo="Plug it in anew, without a hub.",
            )
        times = self._pace.times(found.numbers)
        unseen = self._pace.arrived(self._stream.next_number - 1, now) if found.words.size else 0
        return self._samples(found.words, times, found.dropped + unseen)

    def close(self) -> None:
        """Stop it and let go of it."""
        line, self._line = self._line, None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        if line is None:
            return
        try:
            line.write(STOP, deadline_s=WRITE_S)
        except DeviceUnreachable:
            pass  # it was unplugged: nothing is left to stop
        finally:
            line.close()

    def _identify(self, line: TtyLine) -> Metadata:
        """Return what it says of itself, once it has stopped sending what it measures for whoever had it before."""
        silence(line, STOP, quiet_s=QUIET_S)
        said = answer(line, GET_METADATA, lambda text: b"END" in text, within_s=ANSWER_S)
        metadata = read_metadata(said)
        if b"END" not in said or not metadata.values:
            raise MeterMissing(
                f"{self._name}: what is at {self._settings.by_id} does not answer as a PPK2",
                cause="another device has this name, or it is the kit's second port, its console",
                todo="Try the kit's other name under /dev/serial/by-id: its ports end in -if01 and -if03.",
            )
        if missing := metadata.missing():
            raise MeterMissing(
                f"{self._name} lacks constants of its calibration: {', '.join(missing[:8])}",
                cause="its memory was erased, or the answer was damaged",
                todo="Plug it in anew; when that does not help, open it once in Nordic's Power Profiler app.",
            )
        return metadata

    def _set_up(self, line: TtyLine, metadata: Metadata) -> None:
        """Set mode and voltage where they are other ones: setting them takes the board's current away for a moment."""
        mode, millivolts = MODES[self._settings.mode], round(1000 * self._settings.volts)
        if metadata.values.get("mode") != mode:
            line.write(SET_MODE + bytes([mode]), deadline_s=WRITE_S)
        if metadata.values.get("VDD") != millivolts:
            line.write(SET_VOLTS + millivolts.to_bytes(2, "big"), deadline_s=WRITE_S)
        line.write(POWER_ON, deadline_s=WRITE_S)

    def _begin(self, line: TtyLine) -> None:
        """Start, and learn from the first samples when samples arrive; they are not given out."""
        self._stream, self._pace = WordStream(), Pace(PERIOD_S, alias=COUNTS)
        line.write(START, deadline_s=WRITE_S)
        self._reader, began = LineReader(line), monotonic()
        while (now := monotonic()) < began + SETTLE_S or (not self._stream.next_number and now < began + ANSWER_S):
            data, self._last_s = self._reader.take(1, deadline_s=SETTLE_S)
            if self._stream.feed(data).words.size:
                self._pace.anchor(self._stream.next_number - 1, self._last_s)
        if not self._stream.next_number:
            raise MeterMissing(f"{self._name} answers, but sends no samples", todo="Plug it in anew.")

    def _samples(self, words: NDArray[np.uint32], times: NDArray[np.float64], dropped: int) -> Samples:
        import numpy as np

        amps = self._amps[words & 0x1FFFF]
        readable = ~np.isnan(amps)
        if not readable.all():  # a range that there is not: the word was damaged in the only way that its counter does not show
            dropped += int(amps.size - np.count_nonzero(readable))
            words, times, amps = words[readable], times[readable], amps[readable]
        line = self._settings.marker_line
        return Samples(
            time_s=times,
            volts=np.full(amps.size, self._settings.volts),
            amps=amps,
            marker=None if line is None else (words & np.uint32(1 << (24 + line))) != 0,
            dropped=dropped,
            saturated=saturated(words, amps),
        )

    def _facts(self) -> MeterFacts:
        settings = self._settings
        low = settings.most_w is not None and settings.most_w / settings.volts <= 0.05
        share, resolution_a = UP_TO_50_MA if low else UP_TO_1_A
        return MeterFacts(
            name="Nordic PPK2",
            serial=settings.by_id,
            period_s=PERIOD_S,
            jitter_s=JITTER_S,
            errors=ErrorTerms.within(
                gain=share,
                volt=settings.volts_error,
                offset_a=resolution_a / 2,
                source=f"PPK2 User Guide, Measurement accuracy (±{share:.0%}, typical) and resolution; volts: the inventory",
            ),
            full_scale_a=FULL_SCALE_A,
            has_marker=settings.marker_line is not None,
            drops_detectable=True,
            clock_error=CLOCK_ERROR,
        )
