"""Which probe is a board's: the one that the inventory names, and only where nothing else could be taken for it."""

from __future__ import annotations

from collections.abc import Sequence

from edgepipe.devices.flashing.tool import FlashTool, Probe
from edgepipe.errors import DeviceUnreachable, InventoryError, WrongBoard


def chosen(device: str, tool: FlashTool, connected: Sequence[Probe], line: str) -> Probe:
    """Return the probe of `device`, as it was listed.

    Without a name for it in the inventory it must be the only one, and the name of the board's line must tell that it is the same
    USB device. Raises DeviceUnreachable where it is not connected, WrongBoard where another might be taken for it, InventoryError
    where nothing says which one it is.
    """
    probe = _named(device, tool, connected) if tool.probe else _only(device, tool, connected, line)
    objection = tool.objection(probe, tuple(each for each in connected if each is not probe))
    if objection:
        raise WrongBoard(f"{device} was not written to: {objection}", todo="Unplug the other one until this one is written.")
    return probe


def _named(device: str, tool: FlashTool, connected: Sequence[Probe]) -> Probe:
    wanted = str(tool.probe).lower()
    same = [each for each in connected if each.id.lower() == wanted]
    alike = [each for each in connected if wanted in each.id.lower()]  # some tools take a part of an id for the whole
    if not same:
        raise DeviceUnreachable(
            f'{device} was not written to: {tool.tool} does not see the probe "{tool.probe}"',
            problems=[f"it sees {each}" for each in connected] or ["it sees none"],
            cause="it is unplugged, or another one took its place",
        )
    if len(alike) > 1:
        raise WrongBoard(
            f'{device} was not written to: "{tool.probe}" means {len(alike)} probes',
            problems=[str(each) for each in alike],
            todo="Unplug the others until this one is written.",
        )
    return same[0]


def _only(device: str, tool: FlashTool, connected: Sequence[Probe], line: str) -> Probe:
    if not connected:
        raise DeviceUnreachable(f"{device} was not written to: {tool.tool} sees no board", cause="it is unplugged or has no power")
    if len(connected) == 1 and connected[0].id.lower() in line.lower():
        return connected[0]
    raise InventoryError(
        f"{device} was not written to: nothing says which probe is its own",
        problems=[f"{tool.tool} sees {each}" for each in connected],
        todo=f'Write it into the inventory: flash: {{tool: {tool.tool}, probe: "{connected[0].id}", …}}.',
    )
