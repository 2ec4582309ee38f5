"""What every emulated meter on a serial line is: a PTY under a name, a thread that behaves as the meter, and a plug to pull."""

from __future__ import annotations

import os
import select
import threading
import tty
from abc import ABC, abstractmethod
from pathlib import Path
from time import monotonic


class Instrument(ABC):
    """Reads commands, and sends what is due every TICK_S. What nobody reads in time is lost, as with the real ones."""

    TICK_S = 0.002

    def __init__(self, folder: Path, name: str) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        (folder / name).symlink_to(self.port)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):  # type: ignore[no-untyped-def]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def unplug(self) -> None:
        """Pull the plug: the line is gone."""
        if not self._stopped.is_set():
            self._stopped.set()
            if self._thread.is_alive():
                self._thread.join()
            os.close(self._master)
            os.close(self._slave)

    def send(self, data: bytes) -> int:
        """Send what fits, and return how much that was."""
        try:
            return os.write(self._master, data) if data else 0
        except BlockingIOError:
            return 0

    @abstractmethod
    def heard(self, data: bytes) -> None:
        """Do what was asked for."""

    @abstractmethod
    def tick(self, now_s: float) -> None:
        """Send what is due."""

    def _run(self) -> None:
        while not self._stopped.is_set():
            ready, _, _ = select.select([self._master], [], [], self.TICK_S)
            if ready:
                self.heard(os.read(self._master, 4096))
            self.tick(monotonic())
