"""The end of many measurements at once: whoever waits for a board is told, and lets go of it in good order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from edgepipe.errors import Interrupted


class Stoppable(Protocol):
    """Something whose waits another thread can end."""

    def stop(self) -> None:
        """Have whatever waits in it raise Interrupted soon."""


class Stop:
    """One for all boards of a command: `ask` is called once, from any thread, when nobody wants the results any more."""

    def __init__(self) -> None:
        self._asked, self._lock, self._held = threading.Event(), threading.Lock(), list[Stoppable]()

    @contextmanager
    def watching(self, board: Stoppable) -> Iterator[None]:
        """Have `ask` stop `board` for the length of a `with`. Raises Interrupted where it was asked before."""
        with self._lock:
            self.check()
            self._held.append(board)
        try:
            yield
        finally:
            with self._lock:
                self._held.remove(board)

    def ask(self) -> None:
        """Stop every board that is held, each in a thread of its own, since one may read nothing any more; returns at once."""
        with self._lock:
            self._asked.set()
            for board in self._held:
                threading.Thread(target=board.stop, name="stop", daemon=True).start()

    def check(self) -> None:
        """Raise Interrupted where it was asked."""
        if self._asked.is_set():
            raise Interrupted("stopped")

    def rest(self, seconds: float) -> None:
        """Wait. Raises Interrupted as soon as it is asked."""
        self._asked.wait(seconds)
        self.check()
