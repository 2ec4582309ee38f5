"""Every board gets the runtime that exists for it, or is told why there is none."""

from __future__ import annotations

import pytest

from edgepipe.devices.runtimes import Refusal, RuntimePlan, choose_runtime, platform_tags, program_arch, version_of


@pytest.mark.parametrize(
    ("arch", "python", "glibc", "requirement"),
    [
        ("aarch64", (3, 11), (2, 36), "ai-edge-litert>=2.1"),  # Raspberry Pi OS 12
        ("aarch64", (3, 13), (2, 41), "ai-edge-litert>=2.1"),  # Raspberry Pi OS 13
        ("aarch64", (3, 9), (2, 31), "ai-edge-litert>=2.1,<2.2"),  # Raspberry Pi OS 11
        ("aarch64", (3, 10), (2, 24), "ai-edge-litert>=1.4,<1.5"),
        ("aarch64", (3, 8), (2, 31), "tflite-runtime>=2.13,<2.15"),  # Ubuntu 20.04, JetPack 5
        ("aarch64", (3, 7), (2, 28), "tflite-runtime==2.11.0"),  # Coral Dev Board
        ("armv7l", (3, 11), (2, 36), "tflite-runtime==2.14.0"),
        ("armv7l", (3, 9), (2, 31), "tflite-runtime==2.13.0"),
        ("x86_64", (3, 12), (2, 39), "ai-edge-litert>=2.1"),
    ],
)
def test_a_board_gets_what_exists_for_it(arch: str, python: tuple[int, int], glibc: tuple[int, int], requirement: str) -> None:
    plan = choose_runtime(arch, python, glibc)
    assert isinstance(plan, RuntimePlan)
    assert plan.requirements[0] == requirement
    assert plan.system_numpy == (arch == "armv7l")
    assert plan.runtime == ("litert" if "litert" in requirement else "tflite")


@pytest.mark.parametrize(
    ("arch", "python", "glibc", "why", "todo"),
    [
        ("armv7l", (3, 13), (2, 41), "32-bit ARM with Python 3.13", "64-bit system"),
        ("armv7l", (3, 11), (2, 31), "glibc 2.31 is too old", "newer release"),
        ("armv6l", (3, 11), (2, 36), "no runtime for armv6l", "Pi Zero 2"),
        ("i686", (3, 11), (2, 36), "no runtime for i686", "64-bit"),
        ("riscv64", (3, 12), (2, 39), "no runtime for riscv64", "another|one of these"),
        ("aarch64", (3, 6), (2, 27), "Python 3.7 to 3.14", "another Python"),
        ("aarch64", (3, 15), (2, 41), "Python 3.7 to 3.14", "another Python"),
        ("aarch64", (3, 11), (2, 5), "glibc 2.5 is too old", "newer release"),
        ("aarch64", (3, 12), None, "not glibc", "Debian"),
    ],
)
def test_a_board_without_a_runtime_is_told_why_and_what_helps(
    arch: str, python: tuple[int, int], glibc: tuple[int, int] | None, why: str, todo: str
) -> None:
    refusal = choose_runtime(arch, python, glibc)
    assert isinstance(refusal, Refusal)
    assert why in refusal.reason
    assert any(word in refusal.todo for word in todo.split("|"))


def test_no_wheel_is_asked_for_that_needs_a_newer_c_library() -> None:
    assert platform_tags("aarch64", (2, 19)) == (
        "manylinux_2_19_aarch64",
        "manylinux_2_18_aarch64",
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
    )


def test_a_32_bit_system_on_a_64_bit_kernel_is_a_32_bit_board() -> None:
    assert program_arch("aarch64", 32) == "armv7l"
    assert program_arch("aarch64", 64) == "aarch64"
    assert version_of("3.11.2") == (3, 11)
