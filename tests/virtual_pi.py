"""The virtual Pi's two downloads, made once per machine beside the first tests, which talk to nobody: `python -m tests.virtual_pi`.

The image of its system and the wheels of its runtime go to the user's cache, where `edgepipe farm up` finds them as well.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TextIO

from edgepipe.devices import virtual_image, wheels
from edgepipe.devices.runtimes import RuntimePlan, choose_runtime
from edgepipe.errors import EdgepipeError
from edgepipe.events import silent
from edgepipe.places import cache_dir

FETCHED = cache_dir()  # the user's: the tests have one of their own by the time they run
BOOKWORM = ("aarch64", (3, 11), (2, 36))
FOLDERS = ("virtual-pi", "wheels")
LONGEST_WAIT_S = 600.0  # on a machine that is slower than this, or downloads slower, the other tests are worth more


def main() -> None:
    """Fetch what is missing; say what stands in the way, which then skips the tests and fails nothing."""
    began = monotonic()
    with _lock(FETCHED) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            virtual_image.require()
            virtual_image.build(silent)
            wheels.fetch(_plan())
        except EdgepipeError as exc:
            print(f"no virtual Pi for the tests: {exc}", file=sys.stderr)
        else:
            print(f"the virtual Pi is ready ({monotonic() - began:.0f} s)")


def lacks(fetched: Path = FETCHED) -> str:
    """Return why the virtual Pi cannot be tested here; nothing where it can. Waits while it is being made ready."""
    end = monotonic() + LONGEST_WAIT_S
    with _lock(fetched) as lock:
        while not _free(lock):
            if monotonic() > end:
                return f"it was not ready within {LONGEST_WAIT_S:g} s"
            sleep(1)
    missing = virtual_image.missing()
    if not (fetched / "virtual-pi" / virtual_image.image().name).exists() or not list(fetched.glob(f"wheels/*/{wheels.DONE}")):
        missing.append("it was not made ready on this machine; once, as root: python -m tests.virtual_pi")
    return "; ".join(missing)


@contextmanager
def lent(fetched: Path = FETCHED) -> Iterator[None]:
    """Let the tests' own cache have what was fetched, for the length of the block."""
    links = [(cache_dir() / name, fetched / name) for name in FOLDERS]
    for link, target in links:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    try:
        yield
    finally:
        for link, _ in links:
            link.unlink()


def _lock(fetched: Path) -> TextIO:
    fetched.mkdir(parents=True, exist_ok=True)
    return (fetched / "virtual-pi.lock").open("w")


def _free(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _plan() -> RuntimePlan:
    plan = choose_runtime(*BOOKWORM)
    assert isinstance(plan, RuntimePlan)
    return plan


if __name__ == "__main__":
    main()
