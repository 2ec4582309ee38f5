"""What a board has is read from its files, and each lack comes with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from board_trees import CORAL_DEV_BOARD, PI4, PI4_WITH_CORAL, THROTTLED_PI4, plant

from edgepipe.devices.agent.probe import hardware, probe
from edgepipe.devices.board_state import BoardFinding, BoardState, examine, worst
from edgepipe.diagnosis import Severity
from edgepipe.documents import parse

PI_SOFTWARE = {"arch": "aarch64", "bits": 64, "glibc": "2.36", "python": "3.11.2", "numpy": "1.24.2"}
DISK = {"home": "/var/lib/edgepipe", "disk_free_bytes": 20 << 30}


def state(root: Path, **changes: Any) -> BoardState:
    return parse(BoardState, {**PI_SOFTWARE, **hardware(str(root)), **DISK, **changes}, source="the tree")


def findings(root: Path, **changes: Any) -> dict[str, BoardFinding]:
    return {finding.subject: finding for finding in examine(state(root, **changes))}


def test_this_machine_can_be_probed_and_the_answer_fits_the_host(tmp_path: Path) -> None:
    found = parse(BoardState, probe(str(tmp_path)), source="this machine")
    assert found.home == str(tmp_path)
    assert found.disk_free_bytes
    assert examine(found)


def test_a_pi_in_order_needs_nothing(tmp_path: Path) -> None:
    found = findings(plant(tmp_path, PI4))
    assert worst(found.values()) is None
    assert found["board"].value == "Raspberry Pi 4 Model B Rev 1.5, 4 cores"
    assert found["governor"].value == "performance at 1800 MHz, at most 1800 MHz"
    assert found["temperature"].value == "47.7 °C"
    assert found["throttling"].value == "none since boot"
    assert found["memory"].value == "3,234 of 3,793 MiB free"
    assert "ai-edge-litert" in found["runtime"].value
    assert "no 8-bit dot products" in found["processor"].value


def test_a_throttled_pi_is_told_what_is_now_and_what_was(tmp_path: Path) -> None:
    root = plant(tmp_path, THROTTLED_PI4)
    throttling = [each for each in examine(state(root)) if each.subject == "throttling"]
    assert [(each.value, each.severity) for each in throttling] == [
        ("under-voltage, since boot", Severity.WARNING),
        ("throttled, now", Severity.ERROR),
    ]
    assert all(each.todo for each in throttling)
    found = findings(root)
    assert found["temperature"].severity is Severity.ERROR
    assert (found["governor"].severity, found["governor"].value.partition("; ")[2]) == (
        None,
        "performance while a model is measured",
    )


def test_a_governor_that_edgepipe_may_not_set_is_told_with_both_ways_out(tmp_path: Path) -> None:
    found = findings(plant(tmp_path, THROTTLED_PI4), governor_settable=False)["governor"]
    assert found.severity is Severity.WARNING
    assert "sudo tee" in found.todo
    assert "chmod a+w" in found.todo


def test_a_coral_stick_in_a_slow_port_is_found(tmp_path: Path) -> None:
    found = findings(plant(tmp_path, PI4_WITH_CORAL))
    assert found["coral"].value == "USB, 480 Mbit/s"
    assert "USB 3" in found["coral"].todo
    assert found["libedgetpu"].value == "/usr/lib/aarch64-linux-gnu/libedgetpu.so.1, version 16.0"


def test_a_coral_dev_board_in_order(tmp_path: Path) -> None:
    software = {"python": "3.7.3", "glibc": "2.28", "numpy": "1.16.2"}
    found = findings(plant(tmp_path, CORAL_DEV_BOARD), **software)
    assert found["coral"].value == "PCIe, driver apex, /dev/apex_0, 58.8 °C"
    assert found["libedgetpu"].value.endswith("version unknown")
    assert found["runtime"].value.startswith("tflite-runtime==2.11.0 numpy==1.21.6")
    assert found["memory"].severity is Severity.WARNING


def test_a_coral_without_driver_or_library_says_which_to_install(tmp_path: Path) -> None:
    tree = {name: text for name, text in CORAL_DEV_BOARD.items() if "libedgetpu" not in name}
    found = findings(plant(tmp_path, tree, driver=False))
    assert "no driver" in found["coral"].value
    assert "gasket-dkms" in found["coral"].todo
    assert "libedgetpu1-std" in found["libedgetpu"].todo


@pytest.mark.parametrize(
    ("tree", "changes", "severity", "words"),
    [
        (CORAL_DEV_BOARD, {"pcie_usable": False}, Severity.ERROR, "usermod -aG apex"),
        (CORAL_DEV_BOARD, {"pcie_node": None}, Severity.ERROR, "dmesg"),
        (CORAL_DEV_BOARD, {"pcie_temperature_c": 91.0}, Severity.WARNING, "85 °C"),
        (PI4_WITH_CORAL, {"usb_usable": False}, Severity.ERROR, "usermod -aG plugdev"),
        (PI4_WITH_CORAL, {"usb": False}, Severity.NOTE, "plug it in again"),
    ],
)
def test_an_edge_tpu_that_cannot_be_used_says_why(
    tmp_path: Path, tree: dict[str, str], changes: dict[str, Any], severity: Severity, words: str
) -> None:
    root = plant(tmp_path, tree)
    found = examine(state(root, coral={**hardware(str(root))["coral"], **changes}))
    first = next(each for each in found if each.subject == "coral")
    assert (first.severity, words in first.todo) == (severity, True)


def test_a_stick_that_may_be_opened_is_known_by_its_bus_and_number(tmp_path: Path) -> None:
    root = plant(tmp_path, {**PI4_WITH_CORAL, "sys/bus/usb/devices/1-1.3/busnum": "1\n", "sys/bus/usb/devices/1-1.3/devnum": "7\n"})
    assert hardware(str(root))["coral"]["usb_usable"] is False  # there is no such file
    plant(tmp_path, {"dev/bus/usb/001/007": ""})
    assert hardware(str(root))["coral"]["usb_usable"] is True


def test_what_the_system_does_not_tell_is_unknown_and_not_fine(tmp_path: Path) -> None:
    found = findings(tmp_path)
    for subject in ("governor", "temperature", "throttling"):
        assert found[subject].value.startswith("unknown")
        assert found[subject].severity is Severity.NOTE


@pytest.mark.parametrize(
    ("changes", "subject", "words"),
    [
        ({"bits": 32}, "system", "64-bit system"),
        ({"arch": "armv7l", "bits": 32, "numpy": None}, "numpy", "python3-numpy"),
        ({"arch": "armv7l", "bits": 32, "python": "3.13.1"}, "runtime", "64-bit system"),
        ({"arch": "x86_64", "cpu_flags": ["sse2"]}, "processor", "SIGILL"),
        ({"arch": "armv7l", "bits": 32, "cpu_flags": ["half", "vfp"]}, "processor", "another board"),
        ({"disk_free_bytes": 10 << 20}, "disk", "Free some"),
    ],
)
def test_each_lack_comes_with_what_to_do(tmp_path: Path, changes: dict[str, Any], subject: str, words: str) -> None:
    assert words in findings(plant(tmp_path, PI4), **changes)[subject].todo
