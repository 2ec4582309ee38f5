"""What the firmware's tests share, each made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.firmware.answered import Real, answered
from tests.firmware.host_board import firmware


@pytest.fixture(scope="session")
def program(builds: Path) -> Path:
    """The firmware for this machine."""
    return firmware(builds)


@pytest.fixture(scope="session")
def reals() -> dict[str, Real]:
    """The real models by name."""
    return answered()
