"""The virtual Pi's two downloads, made once per machine beside the first tests, which talk to nobody: `python -m tests.virtual_pi`.

The image of its system and the wheels of its runtime go to the user's cache, where `edgepipe farm up` finds them as well.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from edgepipe.devices import virtual_image, wheels
from edgepipe.devices.runtimes import RuntimePlan, choose_runtime
from edgepipe.errors import EdgepipeError
from edgepipe.events import silent
from edgepipe.places import cache_dir

FETCHED = cache_dir()  # the user's: the tests have one of their own by the time they run
BOOKWORM = ("aarch64", (3, 11), (2, 36))
FOLDERS = ("virtual-pi", "wheels")


def main() -> None:
    """Fetch what is missing; say what stands in the way, which then skips the tests and fails nothing."""
    began = monotonic()
    with _alone(FETCHED):
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
    with _alone(fetched):
        pass
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


@contextmanager
def _alone(fetched: Path) -> Iterator[None]:
    fetched.mkdir(parents=True, exist_ok=True)
    with (fetched / "virtual-pi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _plan() -> RuntimePlan:
    plan = choose_runtime(*BOOKWORM)
    assert isinstance(plan, RuntimePlan)
    return plan


if __name__ == "__main__":
    main()
