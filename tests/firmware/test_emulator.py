"""What is said where an emulated board's emulator ends, or is not there."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from edgepipe.devices.transports.qemu import QemuTransport
from edgepipe.errors import DeviceUnreachable, InfrastructureError, StorageError
from tests.firmware.emulated_board import MACHINE, in_qemu


def test_of_an_emulator_that_is_killed_it_is_said_and_no_cable_is_blamed(builds: Path) -> None:
    transport = in_qemu("m4", builds)
    try:
        line = transport.open(deadline_s=20.0)
        emulator = transport._process
        assert emulator is not None
        assert os.getpgid(emulator.pid) != os.getpgid(0), "Ctrl-C in a terminal would end it before edgepipe has let go"
        emulator.kill()
        with pytest.raises(DeviceUnreachable, match="the emulator of m4 has ended") as raised:
            for _ in range(20):
                line.read(deadline_s=1.0)
    finally:
        transport.close()
    assert "cable" not in str(raised.value)
    assert f"take away {builds}" in raised.value.todo


def test_without_an_emulator_one_command_that_can_be_pasted_installs_all_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfrastructureError, match="qemu-system-arm is not installed") as raised:
        QemuTransport("m4", MACHINE).open(deadline_s=1.0)
    assert raised.value.todo.endswith("apt-get install qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi")


def test_a_flash_file_that_was_cut_short_is_named_with_the_way_out(builds: Path, tmp_path: Path) -> None:
    (tmp_path / "flash").write_bytes(bytes(100))
    transport = in_qemu("m4", builds, flash=tmp_path / "flash")
    with closing(transport), pytest.raises(StorageError, match="no file of 16,777,216 bytes") as raised:
        transport.open(deadline_s=20.0)
    assert raised.value.todo.startswith("Take it away")
