"""A power sensor's readings: taken at an even pace, stamped with CLOCK_MONOTONIC, and sent in batches.

One host over standard input and output, beside whatever else this machine does and without its lock: a sensor is often on another
machine than the board that it measures, and one machine has sensors for several boards. Each request is a line
`{"id": N, "do": NAME, …}`; its answer has the same id and either "ok" or "error" and words. `look` reads files, `pmic` a
Raspberry Pi 5's rails, `clock` this clock. After `sample` come {"rows": [[nanoseconds, reading, …], …], "lost": N, "resets": N},
and {"gone": words} when the sensor is.
"""

import contextlib
import glob
import math
import os
import subprocess
from selectors import EVENT_READ, SelectSelector
from time import monotonic_ns
from typing import Any, Callable, Dict, List, Optional

from .child import Outbox
from .clock import boot_id
from .lines import LineBuffer, Message, claim_stdout, incoming

SILENCE_NS = 900 * 10**9  # a host that said nothing for so long is gone; it does not read while it brings a model to a board
MOST_WAITING = 8 << 20
GRACE_NS = 10**9  # a sensor that cannot be read for so long is gone; a disturbed bus recovers sooner
BATCH_NS, BATCH_ROWS = 25 * 10**7, 100
WATCH_NS = 10**9
MOST_FILES, FILE_BYTES = 512, 4096
TRIALS = 3
PMIC = ["vcgencmd", "pmic_read_adc"]
PMIC_S = 2.0
Reader = Callable[[], List[Any]]


def main() -> int:
    """Serve one host until it hangs up or falls silent."""
    out = claim_stdout()
    with contextlib.suppress(OSError):  # not allowed to most users; a busy machine then makes it miss conversions
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    Meter(0, out).run()
    return 0


class Meter:
    """Answers requests, and samples meanwhile."""

    def __init__(self, requests: int, answers: int) -> None:
        self._selector = SelectSelector()  # its waits end to the microsecond; epoll's last whole milliseconds
        self._requests, self._lines, self._heard_ns, self._over = requests, LineBuffer(), monotonic_ns(), False
        self._outbox = Outbox(self._selector, answers)
        self._series: Optional[Series] = None
        self._commands: Dict[str, Callable[[Message], Message]] = {
            "look": lambda message: {"files": look(message["patterns"])},
            "pmic": lambda message: {"text": pmic()[0]},
            "clock": lambda message: {"monotonic_ns": monotonic_ns()},
            "sample": self._sample,
        }
        os.set_blocking(requests, False)
        self._selector.register(requests, EVENT_READ, self._read)

    def run(self) -> None:
        """Serve; returns at the end of the requests."""
        self._outbox.put({"ready": True, "boot_id": boot_id(), "release": os.uname().release})
        while not self._over and monotonic_ns() < self._heard_ns + SILENCE_NS:
            until = self._series.next_ns if self._series else self._heard_ns + SILENCE_NS
            for key, _ in self._selector.select(max(0, until - monotonic_ns()) / 1e9):
                key.data()
            if self._series and monotonic_ns() >= self._series.next_ns:
                self._series.poll()
                self._tell(self._series)

    def _read(self) -> None:
        messages = incoming(self._requests, self._lines)
        self._over = messages is None
        for message in messages or ():
            self._heard_ns = monotonic_ns()
            self._answer(message)

    def _answer(self, message: Message) -> None:
        try:
            answer: Message = {"ok": self._commands[str(message.get("do"))](message)}
        except (OSError, subprocess.SubprocessError) as exc:
            answer = {"error": "meter-missing", "words": words(exc)}
        except (KeyError, TypeError, ValueError) as exc:
            answer = {"error": "infrastructure", "words": "%s: %s" % (type(exc).__name__, exc)}
        self._outbox.put(dict(answer, id=message.get("id")))

    def _sample(self, message: Message) -> Message:
        read = pmic if message.get("source") == "pmic" else files(message["files"])
        self._series = Series(read, message)
        return {"pace_ns": self._series.pace_ns, "limit_ns": self._series.limit_ns, "takes_ns": self._series.takes_ns}

    def _tell(self, series: "Series") -> None:
        batch = series.batch()
        if batch and self._outbox.waiting_bytes < MOST_WAITING:
            self._outbox.put(batch)
        elif batch:
            series.lose(batch)
        if series.gone:
            self._outbox.put({"gone": series.gone})
            self._series = None


class Series:
    """Readings at a pace, the slower of the one that is asked for and twice what a reading takes.

    The first of a reading's values tells whether the sensor has converted again: it is another one, or `longest_ns` have gone
    by. Only that is kept. With a `limit_ns`, what may have been overwritten between two looks so far apart counts as lost.
    """

    def __init__(self, read: Reader, request: Message) -> None:
        self._read, self._longest_ns = read, int(request["longest_ns"])
        began = monotonic_ns()
        self._last = [read() for _ in range(TRIALS)][-1][:1]
        self.takes_ns = (monotonic_ns() - began) // TRIALS
        self.pace_ns = max(int(request["pace_ns"]), 2 * self.takes_ns)
        self.limit_ns = int(request.get("limit_ns") or 0) if self.pace_ns <= int(request["pace_ns"]) else 0
        self._watched = {str(path): read_file(str(path)) for path in request.get("watch", ())}
        now = monotonic_ns()
        self._looked_ns = self._kept_ns = self._sent_ns = self._watched_ns = now
        self.next_ns = now + self.pace_ns
        self._rows: List[List[Any]] = []
        self._lost = self._resets = 0
        self.gone = ""

    def poll(self) -> None:
        """Look once."""
        before = monotonic_ns()
        self.next_ns = max(self.next_ns + self.pace_ns, before)
        try:
            values = self._read()
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            if before >= self._looked_ns + GRACE_NS:
                self.gone = words(exc)
            return
        now = (before + monotonic_ns()) // 2
        if self.limit_ns:
            self._lost += max(0, math.ceil((now - self._looked_ns) / self.limit_ns) - 1)
        self._looked_ns = now
        if values[:1] != self._last or now >= self._kept_ns + self._longest_ns:
            self._rows.append([now, *values])
            self._last, self._kept_ns = values[:1], now
        if now >= self._watched_ns + WATCH_NS:
            self._watched_ns = now
            self._check_settings()

    def _check_settings(self) -> None:
        """Count what the sensor was set to and is no more."""
        for path, kept in self._watched.items():
            try:
                found = read_file(path)
            except OSError:  # what reads the values tells
                continue
            if found != kept:
                self._resets += 1
                self._watched[path] = found

    def lose(self, batch: Message) -> None:
        """Count a batch that nobody reads as lost."""
        self._lost += len(batch["rows"]) + batch["lost"]
        self._resets += batch["resets"]

    def batch(self) -> Optional[Message]:
        """Return what is to be sent now, None: nothing yet."""
        now = monotonic_ns()
        if not self.gone and now < self._sent_ns + BATCH_NS and len(self._rows) < BATCH_ROWS:
            return None
        told = {"rows": self._rows, "lost": self._lost, "resets": self._resets}
        self._rows, self._lost, self._resets, self._sent_ns = [], 0, 0, now
        return told


def files(paths: List[str]) -> Reader:
    """Return what reads a whole number from each of the files, the first one first."""
    return lambda: [int(read_file(str(path))) for path in paths]


def pmic() -> List[Any]:
    """Return what a Raspberry Pi's power management says of its rails, as text. Raises OSError where it does not."""
    done = subprocess.run(PMIC, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PMIC_S)
    told = done.stdout.decode(errors="replace")
    if done.returncode:
        raise OSError("%s ended with exit code %d: %s" % (" ".join(PMIC), done.returncode, told.strip()[:200]))
    return [told[:FILE_BYTES]]


def look(patterns: List[str]) -> Dict[str, Message]:
    """Return what the files that match say, or why they cannot be read, and the name of the device that their folder is of."""
    found: Dict[str, Message] = {}
    for path in sorted(path for pattern in patterns for path in glob.glob(str(pattern)))[:MOST_FILES]:
        if os.path.isfile(path):
            found[path] = {"device": device(os.path.dirname(path))}
            try:
                found[path]["text"] = read_file(path)
            except OSError as exc:
                found[path]["words"] = words(exc)
    return found


def device(folder: str) -> str:
    """Return which device a folder of hwmon or IIO is of, like 1-0040: the former has a link to it, the latter lies in it."""
    link = os.path.join(folder, "device")
    return os.path.basename(os.path.realpath(link if os.path.exists(link) else os.path.join(os.path.realpath(folder), "..")))


def read_file(path: str) -> str:
    """Return a small file's text. Raises OSError, which names the file."""
    try:
        with open(path, "rb") as file:
            return file.read(FILE_BYTES).decode(errors="replace").strip()
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, path) from exc


def words(exc: BaseException) -> str:
    """Return a failure in words."""
    if isinstance(exc, OSError) and exc.filename:
        return "%s: %s" % (exc.filename, exc.strerror)
    return str(exc)
