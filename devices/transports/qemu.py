"""An emulated microcontroller: QEMU runs the firmware and gives it a serial line; every instruction takes the same virtual time."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from edgepipe.devices import firmware_build
from edgepipe.devices.transports.serial_line import Line, TtyLine
from edgepipe.errors import DeviceUnreachable, InfrastructureError, InventoryError, StorageError
from edgepipe.places import storage_errors

PROGRAM, PACKAGE = "qemu-system-arm", "qemu-system-arm"
# 2^5 = 32 ns of virtual time for each instruction, whatever the host does; waiting costs no host time.
COUNTED = ("-icount", "shift=5,align=off,sleep=off")
HEADLESS = ("-display", "none", "-monitor", "none", "-serial", "pty")
WHERE = re.compile(rb"char device redirected to (/dev/pts/\d+)")
END_S = 5.0
# The board's large memory, which the firmware takes for flash; its size is fixed (QEMU 7.2, hw/arm/mps2.c and mps2-tz.c).
FLASH_BYTES = {"mps3-an547": 2 << 30}
USUAL_FLASH_BYTES = 16 << 20


def missing_packages(machine: str) -> tuple[str, ...]:
    """Return the Debian packages without which a machine cannot be emulated here; none: it can."""
    port = firmware_build.PORTS[machine]
    needed = {PROGRAM: PACKAGE, port.compiler: port.package}
    return tuple(package for program, package in needed.items() if shutil.which(program) is None)


class EmulatedLine(TtyLine):
    """The line of an emulated board: where it is gone, the emulator has ended."""

    def __init__(self, path: Path, device: str, firmware: Path) -> None:
        super().__init__(path)
        self._device, self._firmware = device, firmware

    def _gone(self) -> DeviceUnreachable:
        return DeviceUnreachable(
            f"the emulator of {self._device} has ended",
            cause="it was killed: most often the memory is full, or the disk that its flash is kept on",
            todo=f"Do it again; where it ends each time, take away {self._firmware}, which is then built anew.",
        )


class QemuTransport:
    """Starts the emulator when opened and ends it when closed; `build` makes the firmware of a machine.

    What the board keeps in flash lasts in the file `flash`, without one only as long as the emulator runs. `options` are the
    emulator's own, beside ours.
    """

    baud = 115_200  # of the boards that it stands for; the emulated line takes bytes as they come

    def __init__(
        self,
        name: str,
        machine: str,
        build: Callable[[str], firmware_build.Firmware] = firmware_build.build,
        *,
        flash: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self._name, self._machine, self._build, self._flash, self._options = name, machine, build, flash, tuple(options)
        if machine not in firmware_build.EMULATED:
            known = ", ".join(firmware_build.EMULATED)
            raise InventoryError(f'{name}: there is no firmware for the machine "{machine}"', todo=f"Known: {known}.")
        self.key = f"qemu {name}" if flash is None else f"qemu {flash.absolute()}"  # of two with other flashes neither is the other
        self._process: subprocess.Popen[bytes] | None = None
        self._line: TtyLine | None = None

    def open(self, *, deadline_s: float) -> Line:
        """Build the firmware where that was not done yet, and start it. Raises DeviceUnreachable, InfrastructureError."""
        self.close()
        if shutil.which(PROGRAM) is None:
            raise InfrastructureError(
                f"{self._name} cannot be emulated: {PROGRAM} is not installed",
                todo=f"On Debian and Ubuntu: apt-get install {' '.join(missing_packages(self._machine))}",
            )
        firmware = self._build(self._machine)
        command = [PROGRAM, "-M", self._machine, "-kernel", str(firmware.path), *HEADLESS, *COUNTED, *self._kept(), *self._options]
        if shutil.which("setpriv"):  # of util-linux: the emulator ends with whoever started it, however that ends
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        self._process = subprocess.Popen(  # in a session of its own, so that Ctrl-C reaches it through us only
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._line = EmulatedLine(self._where(deadline_s), self._name, firmware.path)
        return self._line

    def _kept(self) -> tuple[str, ...]:
        """Return the options that have the flash in its file, which takes no more of the disk than was written."""
        if self._flash is None:
            return ()
        size_bytes = FLASH_BYTES.get(self._machine, USUAL_FLASH_BYTES)
        with storage_errors(self._flash):
            self._flash.parent.mkdir(parents=True, exist_ok=True)
            if self._flash.exists() and not (self._flash.is_file() and self._flash.stat().st_size in (0, size_bytes)):
                raise StorageError(
                    f"the flash of {self._name} is no file of {size_bytes:,} bytes: {self._flash}",
                    cause="it was cut short, or something else was put there",
                    todo=f"Take it away; {self._name} then starts as a new board, without any model.",
                )
        path = str(self._flash).replace(",", ",,")  # as QEMU's options want it
        kept = f"memory-backend-file,id=flash,mem-path={path},size={size_bytes},share=on"
        return "-machine", "memory-backend=flash", "-object", kept

    def _where(self, deadline_s: float) -> Path:
        """Return the line's place, which the emulator tells."""
        assert self._process is not None and self._process.stdout is not None
        said, end = b"", monotonic() + deadline_s
        while (found := WHERE.search(said)) is None:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - monotonic()))
            piece = os.read(self._process.stdout.fileno(), 4096) if ready else b""
            said += piece
            if not piece:
                words = said.decode(errors="replace").strip().splitlines()[-1:]
                raise DeviceUnreachable(
                    f"the emulator of {self._name} did not start: {' '.join(words) or 'it said nothing'}",
                    todo=f"Do it again; `{PROGRAM} -M {self._machine}` shows whether it starts here at all.",
                )
        return Path(found[1].decode())

    def close(self) -> None:
        """End the emulator."""
        line, self._line = self._line, None
        process, self._process = self._process, None
        if line is not None:
            line.close()
        if process is not None:
            process.terminate()
            try:
                process.communicate(timeout=END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
