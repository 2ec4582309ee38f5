"""Boards by name: how much flash and RAM they have, from their makers' data sheets. A new board is one more entry."""

from __future__ import annotations

from dataclasses import dataclass

from edgepipe.errors import UsageError

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A board. `flash_bytes` None: it starts from a card or a disk, where models have room. `source` is where the figures stand."""

    name: str
    target: str
    core: str
    flash_bytes: int | None
    ram_bytes: int
    source: str


BOARDS: dict[str, Hardware] = {
    board.name: board
    for board in (
        Hardware(
            name="nucleo-l4r5zi",
            target="mcu",
            core="Cortex-M4F, 120 MHz",
            flash_bytes=2 * MIB,
            ram_bytes=640 * KIB,
            source="ST DS12023 (STM32L4R5xx), features",
        ),
        Hardware(
            name="nucleo-f446re",
            target="mcu",
            core="Cortex-M4F, 180 MHz",
            flash_bytes=512 * KIB,
            ram_bytes=128 * KIB,
            source="ST DS10693 (STM32F446xC/E), features",
        ),
        Hardware(
            name="nucleo-h743zi",
            target="mcu",
            core="Cortex-M7, 480 MHz",
            flash_bytes=2 * MIB,
            ram_bytes=512 * KIB,
            source="ST DS12110 (STM32H743xI), features: the AXI SRAM, the largest of its memories in one piece",
        ),
        Hardware(
            name="arduino-nano-33-ble",
            target="mcu",
            core="Cortex-M4F, 64 MHz",
            flash_bytes=1 * MIB,
            ram_bytes=256 * KIB,
            source="Nordic nRF52840 product specification, memory",
        ),
        Hardware(
            name="microbit-v2",
            target="mcu",
            core="Cortex-M4F, 64 MHz",
            flash_bytes=512 * KIB,
            ram_bytes=128 * KIB,
            source="Nordic nRF52833 product specification, memory",
        ),
        Hardware(
            name="esp32",
            target="mcu",
            core="Xtensa LX6, 240 MHz",
            flash_bytes=4 * MIB,
            ram_bytes=320 * KIB,
            source="Espressif ESP32 data sheet: data RAM; flash of the ESP32-WROOM-32E module, N4",
        ),
        Hardware(
            name="esp32-s3",
            target="mcu",
            core="Xtensa LX7, 240 MHz",
            flash_bytes=8 * MIB,
            ram_bytes=512 * KIB,
            source="Espressif ESP32-S3 data sheet: SRAM; flash of the ESP32-S3-WROOM-1 module, N8",
        ),
        Hardware(
            name="rp2040-pico",
            target="mcu",
            core="Cortex-M0+, 133 MHz",
            flash_bytes=2 * MIB,
            ram_bytes=264 * KIB,
            source="Raspberry Pi RP2040 data sheet, SRAM; Pico data sheet, flash",
        ),
        Hardware(
            name="rp2350-pico2",
            target="mcu",
            core="Cortex-M33, 150 MHz",
            flash_bytes=4 * MIB,
            ram_bytes=520 * KIB,
            source="Raspberry Pi RP2350 data sheet, SRAM; Pico 2 data sheet, flash",
        ),
        Hardware(
            name="mps2-an386",
            target="mcu",
            core="Cortex-M4, emulated",
            flash_bytes=4 * MIB,
            ram_bytes=4 * MIB,
            source="Arm AN386, memory map: SSRAM1 as code, SSRAM2 and 3 as data; so does QEMU",
        ),
        Hardware(
            name="rpi-zero2",
            target="pi",
            core="4 x Cortex-A53, 1 GHz",
            flash_bytes=None,
            ram_bytes=512 * MIB,
            source="Raspberry Pi Zero 2 W product brief",
        ),
        Hardware(
            name="rpi4",
            target="pi",
            core="4 x Cortex-A72, 1.5 GHz",
            flash_bytes=None,
            ram_bytes=1024 * MIB,
            source="Raspberry Pi 4 Model B product brief, the smallest of its sizes",
        ),
        Hardware(
            name="rpi5",
            target="pi",
            core="4 x Cortex-A76, 2.4 GHz",
            flash_bytes=None,
            ram_bytes=1024 * MIB,
            source="Raspberry Pi 5 product brief, the smallest of its sizes",
        ),
        Hardware(
            name="coral-dev-board",
            target="pi",
            core="4 x Cortex-A53, 1.5 GHz",
            flash_bytes=None,
            ram_bytes=1024 * MIB,
            source="Coral Dev Board data sheet, the smaller of its sizes",
        ),
    )
}


def board(name: str) -> Hardware:
    """Return the board of this name. Raises UsageError that lists the known ones."""
    if name not in BOARDS:
        known = [f"{each.name}: {each.core}, {each.ram_bytes // KIB:,} KiB of RAM" for each in BOARDS.values()]
        raise UsageError(f'unknown board "{name}"', problems=known, todo="Name one of these, or leave --board out.")
    return BOARDS[name]
