"""A meter being opened, which may take many seconds: whoever wants no result any more waits for none of them."""

from __future__ import annotations

import threading
from time import monotonic

from edgepipe.devices.power.meter import MeterFacts, PowerMeter
from edgepipe.errors import Interrupted

LET_GO_S = 1.0  # for a meter that is closed while it opens


class Opening:
    """Opens a meter in a thread of its own, since most wait for their first samples; `stop` ends that, from any other thread."""

    def __init__(self, meter: PowerMeter) -> None:
        self._meter = meter
        self._news, self._over, self._stopped, self._closed = (threading.Event() for _ in range(4))
        self._facts: MeterFacts | None = None
        self._failure: BaseException | None = None

    def facts(self) -> MeterFacts:
        """Return what the meter says it is. Raises what it raises; Interrupted soon after `stop`, with the meter closed."""
        threading.Thread(target=self._open, name="meter", daemon=True).start()
        self._news.wait()
        if self._stopped.is_set():
            end = monotonic() + LET_GO_S
            over = [event.wait(max(0.0, end - monotonic())) for event in (self._closed, self._over)]
            how = "which was let go of" if all(over) else f"and did not let go of it within {LET_GO_S:g} s"
            raise Interrupted(f"stopped while its power meter was being opened, {how}")
        if self._facts is None:
            assert self._failure is not None
            raise self._failure
        return self._facts

    def stop(self) -> None:
        """Close the meter, at which its own waits end."""
        self._stopped.set()
        self._news.set()
        self._meter.close()
        self._closed.set()

    def _open(self) -> None:
        try:
            self._facts = self._meter.open()
        except BaseException as exc:  # noqa: BLE001  a thread's end: whoever waits for it raises it
            self._failure = exc
        if self._stopped.is_set():
            self._meter.close()
        self._over.set()
        self._news.set()
