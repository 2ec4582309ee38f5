"""The line of an emulated Cortex-M4, for as long as a `with` lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edgepipe.devices import firmware_build
from edgepipe.devices.transports.qemu import QemuTransport
from edgepipe.devices.transports.serial_line import Line

MACHINE = "mps2-an386"
OPEN_S = 20.0


@contextmanager
def emulated_line(folder: Path) -> Iterator[Line]:
    """Boot the firmware, built in `folder` where it is not there yet."""
    with closing(QemuTransport(MACHINE, MACHINE, lambda name: firmware_build.build(name, folder=folder))) as transport:
        yield transport.open(deadline_s=OPEN_S)
