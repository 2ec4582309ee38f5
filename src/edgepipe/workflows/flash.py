"""The firmware goes into a board of the inventory."""

from __future__ import annotations

from pathlib import Path

from edgepipe.devices.flashing.plan import FlashPlan
from edgepipe.devices.flashing.plan import plan as plan_of
from edgepipe.devices.flashing.write import Flashed, write
from edgepipe.devices.inventory import load_inventory
from edgepipe.devices.selector import select_one
from edgepipe.events import Emit, silent, step


def plan(
    device: str, *, file: Path | None = None, tflm: Path | None = None, inventory: Path | None = None, emit: Emit = silent
) -> FlashPlan:
    """Return what would be done to the one board that `device` means; its firmware is built where no `file` is named.

    No board is touched. Raises UsageError, InventoryError, and InfrastructureError where the firmware cannot be built.
    """
    entry = select_one(load_inventory(inventory), device)
    with step(emit, f"prepare the firmware for {entry.name}"):
        return plan_of(entry, file, tflm=tflm)


def flash(planned: FlashPlan, *, emit: Emit = silent) -> Flashed:
    """Do it, and prove that what was written runs on the board that was meant. Raises as `write` does."""
    return write(planned, emit=emit)
