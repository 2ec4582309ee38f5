"""Published traces are read to the sample, and files from strangers that are none are refused with a reason."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.devices.power import mlperf
from edgepipe.devices.power.mlperf import read_published
from edgepipe.errors import DataError

RATE_HZ = 100.0


def v05(folder: Path, samples: list[float], moments: object, *, rate_hz: float = RATE_HZ) -> Path:
    """Write a pair of files of the older format."""
    path = folder / "old.bin"
    path.write_bytes(struct.pack("<Bf", 0xF1, rate_hz) + np.array(samples, "<f4").tobytes())
    path.with_suffix(".json").write_text(json.dumps(moments))
    return path


def v13(folder: Path, change: Callable[[dict[str, Any]], object] = lambda trial: None) -> Path:
    """Write two trials in the newer format, the second one changed."""
    trials = [
        {
            "infer": {"iterations": 10},
            "power": {"samples": [1e-6 * number for number in range(100)], "timestamps": [["00", 0], ["01", 10], ["02", 20]]},
        }
        for _ in range(2)
    ]
    change(trials[1])
    path = folder / "new.json"
    path.write_text(json.dumps(trials))
    return path


def energies(path: Path) -> list[float]:
    """The energy of each window, in microjoules."""
    published = read_published(path)
    return [float(published.between(np.array([window.first, window.last]))[0]) for window in published.windows]


def test_windows_of_the_older_format_lie_between_every_second_pair_of_stamps(tmp_path: Path) -> None:
    path = v05(tmp_path, list(range(100)), [0.0, 0.10, 0.20, 0.50, 0.525])
    assert energies(path) == pytest.approx([sum(range(10, 20)), sum(range(50, 52)) + 0.5 * 52])
    assert energies(path.with_suffix(".json")) == energies(path)


def test_windows_of_the_newer_format_lie_between_its_last_two_events(tmp_path: Path) -> None:
    assert energies(v13(tmp_path)) == pytest.approx([sum(range(10, 20))] * 2)
    published = read_published(v13(tmp_path))
    assert [(window.first, window.last, window.inferences) for window in published.windows] == [(10, 20, 10), (110, 120, 10)]


BAD_V05: dict[str, Callable[[Path], object]] = {
    "not a byte F1": lambda path: path.write_bytes(b"\xf2" + path.read_bytes()[1:]),
    "not a byte F1 and": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "cut short": lambda path: path.write_bytes(b"\xf1\x00"),
    "its sample rate is nan": lambda path: path.write_bytes(struct.pack("<Bf", 0xF1, float("nan")) + path.read_bytes()[5:]),
    "its sample rate is -1": lambda path: path.write_bytes(struct.pack("<Bf", 0xF1, -1.0) + path.read_bytes()[5:]),
    "its sample rate is 1e+30": lambda path: path.write_bytes(struct.pack("<Bf", 0xF1, 1e30) + path.read_bytes()[5:]),
    "it has no samples": lambda path: path.write_bytes(path.read_bytes()[:5]),
    "a sample is not a number": lambda path: path.write_bytes(path.read_bytes() + struct.pack("<f", float("inf"))),
    "cannot read": lambda path: path.unlink(),
}


@pytest.mark.parametrize(("reason", "spoil"), BAD_V05.items())
def test_an_older_trace_that_is_none_is_refused(tmp_path: Path, reason: str, spoil: Callable[[Path], object]) -> None:
    path = v05(tmp_path, [1.0] * 100, [0.0, 0.1, 0.2])
    spoil(path)
    with pytest.raises(DataError, match=reason.replace("+", r"\+")):
        read_published(path)


BAD_STAMPS: list[object] = [
    [],
    [0.0],
    [0.0, 0.1],
    [0.0, 0.1, 0.2, 0.3],
    [0.0, 0.2, 0.1],
    [0.0, 0.1, 9.9],
    [0.0, -0.1, 0.2],
    [0.0, "0.1", 0.2],
    [0.0, True, 0.2],
    [0.0, None, 1.0],
    [0.0, 0.1, 10**400],
    [0.1] * 5001,
    {"a": 1},
    7,
    None,
]


@pytest.mark.parametrize("moments", BAD_STAMPS)
def test_time_stamps_that_are_none_are_refused(tmp_path: Path, moments: object) -> None:
    with pytest.raises(DataError):
        read_published(v05(tmp_path, [1.0] * 100, moments))


def put(*keys: str, value: object) -> Callable[[dict[str, Any]], object]:
    """Change one value of a trial."""

    def change(trial: dict[str, Any]) -> None:
        place = trial
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


BAD_V13 = {
    "trial 2 lacks": [
        put("power", value=None),
        put("infer", value=[]),
        put("infer", value={}),
        put("power", "timestamps", value=[["00", 1]]),
        put("power", "timestamps", value=[1, 2]),
        put("power", "timestamps", value="xyz"),
        put("power", "timestamps", value=[["a", 1, 2], ["b", 3, 4]]),
    ],
    "the samples of trial 2 are": [
        put("power", "samples", value=["1e-6"] * 100),
        put("power", "samples", value=[None] * 100),
        put("power", "samples", value={"0": 1}),
        put("power", "samples", value=[[1.0]] * 100),
        put("power", "samples", value=[True] * 100),
        put("power", "samples", value="1" * 100),
    ],
    "a number beyond all reason": [put("power", "samples", value=[10**400] * 100)],
    "a sample is not a number": [put("power", "samples", value=[1e303] * 100)],
    "it has no samples": [put("power", "samples", value=[])],
    "the events of trial 2": [put("power", "timestamps", value=[["a", "1"], ["b", "2"]])],
    "not within its trace": [
        put("power", "timestamps", value=[["a", 20], ["b", 10]]),
        put("power", "timestamps", value=[["a", -1], ["b", 10]]),
        put("power", "timestamps", value=[["a", 1], ["b", 101]]),
    ],
    "iterations": [
        put("infer", "iterations", value=0),
        put("infer", "iterations", value=2.5),
        put("infer", "iterations", value=True),
        put("infer", "iterations", value="9" * 1000),
    ],
}


@pytest.mark.parametrize(("reason", "change"), [(reason, change) for reason, changes in BAD_V13.items() for change in changes])
def test_a_newer_trace_that_is_none_is_refused(tmp_path: Path, reason: str, change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(DataError, match=reason) as refused:
        read_published(v13(tmp_path, change))
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '[{"infer": NaN}]',
        "[{}]",
        '[{"power": Infinity}]',
        "[" + "1" * 5000 + "]",
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_json_that_is_none_is_refused(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError):
        read_published(path)


def test_a_file_that_is_too_large_is_not_even_looked_at(tmp_path: Path) -> None:
    for name, most in (("big.json", mlperf.MOST_JSON_BYTES), ("big.bin", mlperf.MOST_BIN_BYTES)):
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(most + 1)
        with pytest.raises(DataError, match="larger than"):
            read_published(path)


def test_a_device_is_no_trace() -> None:
    with pytest.raises(DataError, match="a pipe or a device"):
        read_published(Path("/dev/zero"))
