"""What `edgepipe flash` would do to a board, found out before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.devices import firmware_build
from edgepipe.devices.firmware_tflm import build_with_tflm
from edgepipe.devices.flashing import TOOLS, FlashEntry
from edgepipe.devices.flashing.tool import Order
from edgepipe.devices.inventory import DeviceEntry, SerialLink
from edgepipe.devices.transports.serial import BY_ID
from edgepipe.errors import InventoryError, UsageError

ANY_PROBE = "(the only probe connected)"


@dataclass(frozen=True, kw_only=True)
class FlashPlan:
    """`file` goes into the board of `entry`; `board` is what its firmware must call itself, None where the entry does not say."""

    entry: DeviceEntry
    tool: FlashEntry
    file: Path
    line: str
    board: str | None

    def command(self, probe: str | None = None) -> tuple[str, ...]:
        """Return the command that writes, through `probe`, else the inventory's."""
        return self.tool.writing(Order(file=self.file, probe=probe or self.tool.probe or ANY_PROBE, line=self.line))


def plan(entry: DeviceEntry, file: Path | None = None, *, tflm: Path | None = None) -> FlashPlan:
    """Return what would be done; without a `file` the firmware for the board's hardware is built, with the TFLite Micro at `tflm`.

    Raises InventoryError where the entry does not say enough, UsageError for a file that the tool does not take, and what
    `firmware_build.build` and `build_with_tflm` raise.
    """
    tool, link = entry.flash, entry.transport
    if entry.board != "mcu" or not isinstance(link, SerialLink):
        what = "is emulated: it starts with the newest firmware every time" if entry.board == "mcu" else "is no microcontroller"
        raise UsageError(f"{entry.name} {what}", todo="Name a microcontroller on a serial line.")
    if tool is None:
        todo = f'Write into its entry, for example: flash: {{tool: pyocd, probe: "…", chip: …}}. Tools: {", ".join(TOOLS)}.'
        raise InventoryError(f"the inventory does not say what writes the flash of {entry.name}", todo=todo)
    port = next((port for port in firmware_build.PORTS.values() if port.board == entry.hardware), None)
    source = _source(entry.name, tool, file) or _built(entry, port, link.baud, tflm)
    line = link.url or str(BY_ID / str(link.by_id))
    return FlashPlan(entry=entry, tool=tool, file=_taken(tool, source), line=line, board=port.board if port else None)


def _source(name: str, tool: FlashEntry, file: Path | None) -> Path | None:
    """Return what there is to write already, None where the firmware is to be built."""
    if file and tool.own_file:
        todo = "Leave --file away."
        raise UsageError(f"{tool.tool} writes {tool.own_file} into {name}, and nothing that it is told to", todo=todo)
    return tool.own_file or (file and file.absolute())


def _built(entry: DeviceEntry, port: firmware_build.FirmwarePort | None, baud: int, tflm: Path | None) -> Path:
    """Return the firmware for the board's hardware; its line runs at the rate of the entry."""
    if port is None:
        known = ", ".join(port.board for port in firmware_build.PORTS.values())
        said = (
            f'there is no firmware for the hardware "{entry.hardware}"' if entry.hardware else "its entry does not say its hardware"
        )
        raise UsageError(f"{entry.name} cannot be flashed: {said}", todo=f"Known: {known}. Or name a firmware with --file.")
    flags = (f"-DBAUD={baud}u", *entry.firmware_flags)
    return (build_with_tflm(port.name, tflm, flags=flags) if tflm else firmware_build.build(port.name, flags=flags)).path


def _taken(tool: FlashEntry, file: Path) -> Path:
    if tool.suffixes and file.suffix.lower() not in tool.suffixes:
        raise UsageError(
            f"{tool.tool} does not take {file.name}: it takes {', '.join(tool.suffixes)}",
            todo="Convert it with the tools of the chip's maker, and name the result with --file.",
        )
    return file
