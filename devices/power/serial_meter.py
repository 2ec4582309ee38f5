"""Opening a meter on a serial line of this machine: what goes wrong, in a meter's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from edgepipe.devices.transports.serial_line import TtyLine
from edgepipe.errors import DeviceUnreachable, InventoryError, MeterMissing

BY_ID = Path("/dev/serial/by-id")
ById = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,199}$")]
L = TypeVar("L", bound=TtyLine)


def open_line(by_id: str, folder: Path, opened: Callable[[Path], L]) -> L:
    """Return the meter's line. Raises MeterMissing, or DeviceBusy where another program has it."""
    if Path(by_id).name != by_id:
        raise InventoryError(f"{by_id[:80]!r} is no name under {folder}", todo=f"Write one that `ls {folder}` shows.")
    try:
        return opened(folder / by_id)
    except DeviceUnreachable as exc:
        todo = exc.todo if "usermod" in exc.todo else f"Plug the meter in; `ls {folder}` shows what is there."
        raise MeterMissing(exc.what, cause=exc.cause, todo=todo) from exc
