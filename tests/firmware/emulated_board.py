"""An emulated board for a test, which is skipped where nothing emulates it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgepipe.devices import firmware_build
from edgepipe.devices.transports.qemu import QemuTransport, missing_packages

MACHINE = "mps2-an386"


def needs_emulator(machine: str = MACHINE) -> None:
    """Skip the test where the machine cannot be emulated."""
    if missing := missing_packages(machine):
        pytest.skip(f"emulated microcontrollers need apt-get install {' '.join(missing)}")


def in_qemu(
    name: str,
    builds: Path,
    machine: str = MACHINE,
    *,
    flags: tuple[str, ...] = (),
    flash: Path | None = None,
    options: Sequence[str] = (),
) -> QemuTransport:
    """Return how the board `name` is got at; its firmware is built in `builds`, with `flags` added."""
    needs_emulator(machine)
    return QemuTransport(
        name, machine, lambda port: firmware_build.build(port, folder=builds, flags=flags), flash=flash, options=options
    )
