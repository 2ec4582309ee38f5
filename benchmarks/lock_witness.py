"""A witness of who holds a board that knows nothing of its lock: each holder says that it begins, and all before it must be gone.

Gone means that the kernel has begun to end the process; a process that is stopped, or that was told to end and still runs, is not.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PF_EXITING = 0x4  # include/linux/sched.h; field 9 of /proc/PID/stat, proc(5)

# What runs on the board in the agent's place: the agent, which goes to the witness once it believes that the board is its own.
AGENT = """\
#!{python}
import sys

sys.path[:0] = [sys.argv[2], {folder!r}]
from claims import claim
from edgepipe_agent import serve

Kernel = serve.Lock

class Lock(Kernel):
    def __init__(self, folder):
        {locking}
        claim({socket!r}, "agent", None)

serve.Lock = Lock
sys.argv = sys.argv[2:]
sys.exit(serve.main())
"""
LOCKING, NO_LOCKING = "Kernel.__init__(self, folder)", "self.sign = print"
CLAIMS = '''\
"""Tells the witness of this process, and waits until it has looked."""

import json
import os
import socket


def claim(place, role, holder):
    with socket.socket(socket.AF_UNIX) as witness:
        witness.connect(place)
        witness.sendall(json.dumps({"pid": os.getpid(), "role": role, "holder": holder or os.getpid()}).encode() + b"\\n")
        witness.recv(1)
'''


@dataclass(frozen=True)
class Claim:
    """A process that said it uses the board: an agent, or the block of the agent `holder`. `started` tells pids apart."""

    pid: int
    role: str
    holder: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether the process is there and has not begun to end."""
        fields = process_fields(self.pid)
        return fields is not None and fields[19] == self.started and not int(fields[6]) & PF_EXITING


@dataclass
class Witness:
    """Listens at `folder`/witness; `python` is what an inventory must name for a board to be watched."""

    folder: Path
    is_locking: bool = True
    claims: Counter[str] = field(default_factory=Counter)
    overlaps: list[str] = field(default_factory=list)
    holder: Claim | None = None
    _living: list[Claim] = field(default_factory=list)
    _looking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def place(self) -> Path:
        """The socket."""
        return self.folder / "witness"

    @property
    def module(self) -> Path:
        """The module by which a process makes its claim."""
        return self.folder / "claims.py"

    @property
    def python(self) -> Path:
        """The program that stands for Python on the board."""
        return self.folder / "python"

    def prepare(self) -> None:
        """Write what runs on the board."""
        self.module.write_text(CLAIMS)
        locking = LOCKING if self.is_locking else NO_LOCKING
        fields = {"python": sys.executable, "folder": str(self.folder), "socket": str(self.place), "locking": locking}
        self.python.write_text(AGENT.format(**fields))
        self.python.chmod(0o755)

    def look(self, said: dict[str, object]) -> None:
        """Take down a claim, and whoever else is there at this moment that should not be."""
        fields = process_fields(int(str(said["pid"])))
        if fields is None:  # killed while it waited to be heard
            return
        claim = Claim(int(str(said["pid"])), str(said["role"]), int(str(said["holder"])), fields[19])
        with self._looking:
            self._living = [other for other in self._living if other.is_alive]
            others = [other for other in self._living if other.holder != claim.holder and not _may_be_left(other, claim)]
            self.overlaps += [f"{claim} while there was {other}" for other in others]
            self.claims[claim.role] += 1
            self._living.append(claim)
            if claim.role == "agent":
                self.holder = claim

    def listen(self, server: socket.socket) -> None:
        """Hear one process after another, until the socket is closed."""
        with suppress(OSError):
            while True:
                speaker, _ = server.accept()
                with speaker, suppress(OSError, ValueError):  # a speaker may be killed in the middle of a word
                    speaker.settimeout(5.0)
                    self.look(json.loads(speaker.makefile("rb").readline()))
                    speaker.sendall(b".")


def _may_be_left(other: Claim, newcomer: Claim) -> bool:
    """Whether it is a block whose agent was killed: the kernel kills it next, before the next holder could start one of its own."""
    return other.role == "block" and newcomer.role == "agent"


def process_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third on, None where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


@contextmanager
def watching(folder: Path, *, is_locking: bool = True) -> Iterator[Witness]:
    """A witness for the length of a `with`; without locking, agents only believe that they hold the board."""
    folder.mkdir(parents=True, exist_ok=True)
    witness = Witness(folder, is_locking)
    witness.prepare()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(witness.place))
        server.listen(128)
        thread = threading.Thread(target=witness.listen, args=(server,), name="witness", daemon=True)
        thread.start()
        yield witness
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
