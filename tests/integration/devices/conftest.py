"""Models that work, crash and hang, and a home of its own for each test's agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.synthetic import convolution, endless


@pytest.fixture(autouse=True)
def agent_home(agent_home: Path) -> Path:
    return agent_home


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.tflite"
    path.write_bytes(convolution(side=4, channels=2))
    return path


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    path = tmp_path / "hanging.tflite"
    path.write_bytes(endless())
    return path


@pytest.fixture
def crashing(tmp_path: Path, kws: Path) -> Path:
    """One flipped bit at which this version of TFLite Micro follows a wild pointer."""
    content = bytearray(kws.read_bytes())
    content[25880] ^= 1 << 5
    path = tmp_path / "crashing.tflite"
    path.write_bytes(content)
    return path


@pytest.fixture
def refused(tmp_path: Path, good: Path) -> Path:
    path = tmp_path / "refused.tflite"
    path.write_bytes(good.read_bytes()[:200])
    return path
