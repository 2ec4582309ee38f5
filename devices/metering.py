"""A board and its meter side by side: from long loops and a trace to the energy of one inference, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from edgepipe.devices.connect import connect_meter
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.power.calibration import CalibratedMeter
from edgepipe.devices.power.energy import energy_of
from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.opening import Opening
from edgepipe.devices.power.plausible import believable
from edgepipe.devices.power.recorder import Recorder
from edgepipe.devices.power.windows import MLPERF_TINY, Idle, Rules, Span, Stamp
from edgepipe.devices.stopping import Stop
from edgepipe.devices.work import Stretch, StretchKind, Work, Workable, WorkRequest
from edgepipe.energy import Energy, SyncClass
from edgepipe.errors import InfrastructureError, Interrupted, ModelRejected, UsageError

UNREAL = frozenset({"simulated", "replay"})  # what may be held against a board that draws no power


class Metering:
    """Holds the meter of a board for the length of a `with`; one that fails costs the energy, and nothing else.

    It is entered before the board is opened, since some meters switch the board's power on; entering raises Interrupted after
    the `stop` that it heeds.
    """

    def __init__(self, entry: DeviceEntry, devices: Mapping[str, DeviceEntry], *, rules: Rules = MLPERF_TINY) -> None:
        """Raise UsageError for a board without a meter, or one that draws no power; InventoryError for a meter that cannot be."""
        self._meter = CalibratedMeter(connect_meter(entry, devices))
        assert entry.power is not None  # or there would be no meter
        if entry.is_virtual and entry.power.meter not in UNREAL:
            todo = "Give it power: {meter: simulated} to see how it works."
            raise UsageError(f"{entry.name} is emulated: what a meter would show is this machine's power", todo=todo)
        self._entry, self._settings, self._rules = entry, entry.power, rules
        self._facts: MeterFacts | None = None
        self._failure, self._stop = "", Stop()

    def heeding(self, stop: Stop) -> Metering:
        """Wait for the meter no longer than until `stop` is asked."""
        self._stop = stop
        return self

    def __enter__(self) -> Metering:
        opening = Opening(self._meter)
        try:
            with self._stop.watching(opening):
                self._facts = opening.facts()
        except InfrastructureError as exc:
            self._failure = str(exc)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._meter.close()

    def measure(self, board: Workable, sha256: str, request: WorkRequest, trace: Path) -> Energy:
        """Have the board run the pushed model in long loops, and return what one inference took; the trace is kept at `trace`.

        What goes wrong with meter, board or model is the reason of an energy without a figure, and so is a stop: what was measured
        before stays. A meter that fails ends the loops, and the board is to be closed. Raises UsageError.
        """
        if self._facts is None:
            return self._none(self._failure)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        recorder = Recorder(self._meter, self._facts, trace, started_utc=now, failed=board.stop)
        try:
            with recorder:
                work = board.work(sha256, replace(request, marker_gpio=self._entry.marker_gpio))
        except Interrupted:
            return self._cut_short(recorder)
        except (ModelRejected, InfrastructureError) as exc:
            return self._none(str(exc))
        if recorder.failure is not None:
            return self._cut_short(recorder)
        marked = work.marked and self._facts.has_marker
        settings = self._settings if self._settings.meter in UNREAL else believable(self._settings, board.identify().cpu)
        energy = energy_of(
            self._facts,
            recorder.trace(),
            _stamps(work),
            _idle(work),
            settings=settings,
            marked=marked,
            falling=work.falling,
            rules=self._rules,
            calibrated_utc=self._meter.calibrated_utc,
        )
        return replace(energy, simulated=energy.simulated or self._settings.meter in UNREAL)

    def _cut_short(self, recorder: Recorder) -> Energy:
        why = f"its power meter: {recorder.failure}" if recorder.failure else "it was stopped before its loops were over"
        return replace(self._none(why), counters=recorder.counters)

    def _none(self, reason: str) -> Energy:
        facts = self._facts
        return Energy(
            energy_uj=None,
            uncertainty_uj_k2=None,
            method=self._settings.meter,
            sync_class=SyncClass.S2,
            self_measured=facts.self_measured if facts else False,
            meter=facts.full_name if facts else self._settings.meter,
            simulated=self._settings.meter in UNREAL,
            reason=reason,
        )


def _stamps(work: Work) -> tuple[Stamp, ...]:
    return tuple(
        Stamp(start_s=one.start_s, end_s=one.end_s, inferences=one.inferences, uncertainty_s=one.uncertainty_s, logged=work.logged)
        for one in work.stretches
        if one.kind is StretchKind.WINDOW
    )


def _idle(work: Work) -> Idle:
    rests = [one for one in work.stretches if one.kind is StretchKind.IDLE]
    return Idle(before=_span(rests[0]), after=_span(rests[-1]))


def _span(stretch: Stretch) -> Span:
    return Span(start_s=stretch.start_s, end_s=stretch.end_s)
