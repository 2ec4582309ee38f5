"""Has the interface of the vendor's driver for Joulescopes, and calls back from a thread of its own as that does."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import numpy as np

FULL_HZ = 1_000_000
BLOCK_S = 0.01


@dataclass
class JoulescopeFaults:
    """What is wrong: these samples are lost on the way, or in the device (NaN); it may refuse to be opened, or send nothing."""

    lost: range = range(0)
    unread: range = range(0)
    refused: str = ""
    silent: bool = False
    mute_from: int | None = None


class StandIn:
    """A driver with one device that measures 3.3 V and 25 mA; input 0 is up in every other hundred samples."""

    def __init__(self, faults: JoulescopeFaults | None = None, paths: tuple[str, ...] = ("u/js220/001234",)) -> None:
        self.faults, self.paths = faults or JoulescopeFaults(), list(paths)
        self.set: dict[str, int | str] = {}
        self.closed: list[str] = []
        self._listeners: dict[str, list[Callable[[str, object], None]]] = defaultdict(list)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def device_paths(self) -> list[str]:
        return list(self.paths)

    def open(self, device_prefix: str, mode: str) -> None:
        if self.faults.refused:
            raise RuntimeError(self.faults.refused)
        self._thread.start()

    def close(self, device_prefix: str) -> None:
        self.closed.append(device_prefix)

    def publish(self, topic: str, value: int | str) -> None:
        self.set[topic] = value

    def subscribe(self, topic: str, flags: str, fn: Callable[[str, object], None]) -> None:
        assert flags == "pub"
        self._listeners[topic].append(fn)

    def finalize(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def unplug(self) -> None:
        self._ended.set()
        self._thread.join()
        gone = self.paths.pop()
        for listener in self._listeners["@/!remove"]:
            listener("@/!remove", gone)

    def _run(self) -> None:
        began, sent = monotonic(), 0
        while not self._ended.wait(BLOCK_S):
            path = self.paths[0]
            hz = int(self.set.get(f"{path}/h/fs", 0))
            due = int((monotonic() - began) * hz) // 8 * 8
            if self.faults.mute_from is not None:
                due = min(due, self.faults.mute_from)
            if due > sent and not self.faults.silent:
                self._send(path, sent, due, hz)
                sent = due

    def _send(self, path: str, first: int, end: int, hz: int) -> None:
        numbers = np.arange(first, end)
        amps = np.where(np.isin(numbers, self.faults.unread), np.nan, 0.025).astype(np.float32)
        streams = {"i": amps, "v": np.full(numbers.size, 3.3, np.float32)}
        for kind, values in streams.items():
            if self.set.get(f"{path}/s/{kind}/ctrl") == 1:
                for at, piece in self._pieces(numbers, values):
                    self._tell(f"{path}/s/{kind}/!data", at, piece, hz)
        if self.set.get(f"{path}/s/gpi/0/ctrl") == 1:
            self._tell(f"{path}/s/gpi/0/!data", first, np.packbits(numbers // 100 % 2 == 1, bitorder="little"), hz)

    def _pieces(self, numbers: np.ndarray, values: np.ndarray) -> list[tuple[int, np.ndarray]]:
        kept = ~np.isin(numbers, self.faults.lost)
        runs = np.split(np.arange(numbers.size)[kept], np.flatnonzero(np.diff(np.flatnonzero(kept)) > 1) + 1)
        return [(int(numbers[run[0]]), values[run]) for run in runs if run.size]

    def _tell(self, topic: str, first: int, data: np.ndarray, hz: int) -> None:
        factor = FULL_HZ // hz
        block = {"sample_id": first * factor, "sample_rate": FULL_HZ, "decimate_factor": factor, "data": data}
        for listener in self._listeners[topic]:
            listener(topic, block)
