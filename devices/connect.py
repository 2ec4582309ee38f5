"""From an entry of the inventory to the board itself: a new transport or board is one new file and one line in these tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from edgepipe.devices.boards.fake import FakeBoard
from edgepipe.devices.boards.line_board import LineTransport
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.boards.mcu_deployable import DeployableMcu
from edgepipe.devices.boards.mlperf_tiny import MlperfTinyBoard
from edgepipe.devices.firmware_build import build
from edgepipe.devices.inventory import DeviceEntry, FakeLink, LocalLink, QemuLink, SerialLink, SshLink
from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.meter import PowerMeter
from edgepipe.devices.protocols import Board, Deployable, Transport
from edgepipe.devices.transports.fake import FakeHardware, FakeTransport
from edgepipe.devices.transports.fake_mcu import FakeMcu, FakeMcuTransport
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.qemu import QemuTransport
from edgepipe.devices.transports.serial import NetworkTransport, SerialTransport
from edgepipe.devices.work import Workable
from edgepipe.documents import suggestion
from edgepipe.errors import InventoryError, UsageError
from edgepipe.places import cache_dir

OWN_SSHD = [(host, 22) for host in ("localhost", "127.0.0.1", "::1")]  # another port may lead through a tunnel to anywhere


def connect(entry: DeviceEntry) -> Board:
    """Return the board of an entry, not yet opened. Raises InventoryError for a kind that this version cannot reach."""
    _check_way(entry)
    if entry.board not in BOARDS:
        raise _unknown(entry, "board", entry.board, BOARDS)
    return BOARDS[entry.board](entry)


def connect_deployable(entry: DeviceEntry) -> Deployable:
    """Return a board that keeps models for applications, not yet opened. Raises UsageError for one that does not."""
    if entry.board not in DEPLOYABLE:
        raise UsageError(f'{entry.name} is a "{entry.board}" board, which keeps no models', todo="Name another.")
    if entry.protocol != "edgepipe":
        raise UsageError(f"{entry.name} speaks {entry.protocol}, which can bring no model", todo="Flash edgepipe's firmware.")
    _check_way(entry)
    return DEPLOYABLE[entry.board](entry)


def connect_meter(entry: DeviceEntry, devices: Mapping[str, DeviceEntry]) -> PowerMeter:
    """Return the power meter of a board, not yet opened; it may hang off one of the other `devices`. Raises UsageError."""
    power = entry.power
    if power is None:
        todo = "Write power: {meter: …} into its entry in the inventory; docs/power.md has every meter."
        raise UsageError(f"{entry.name} has no power meter", todo=todo)
    link = entry.transport
    is_here = isinstance(link, LocalLink) or (isinstance(link, SshLink) and (link.host, link.port) in OWN_SSHD)
    return power.connect(Site(board=entry.name, is_here=is_here, reach=lambda name: _reach(entry, name, devices)))


def _reach(entry: DeviceEntry, name: str | None, devices: Mapping[str, DeviceEntry]) -> Transport:
    """Return the way to a device of the inventory that is Linux, None: to this machine."""
    if name is None:
        return LocalTransport()
    other = entry if name == entry.name else devices.get(name)
    if other is None:
        raise InventoryError(
            f'{entry.name}: there is no device "{name}" to read its power meter on.{suggestion(name, list(devices))}'
        )
    if not isinstance(other.transport, LocalLink | SshLink):
        raise InventoryError(f"{entry.name}: a power meter cannot be read on {name}, which is not reached over SSH")
    return TRANSPORTS[other.transport.kind](other)


def _check_way(entry: DeviceEntry) -> None:
    is_line = entry.board == "mcu"
    ways: Iterable[str] = LINES if is_line else TRANSPORTS
    if entry.transport.kind not in ways:
        raise _unknown(entry, "serial line" if is_line else "transport", entry.transport.kind, ways)


def connect_workable(entry: DeviceEntry) -> Workable:
    """Return a board that a power meter can be held against, not yet opened. Raises UsageError for one that runs no long loops."""
    if entry.board not in WORKABLE or entry.transport.kind not in (LINES if entry.board == "mcu" else TRANSPORTS):
        raise UsageError(f"{entry.name} cannot run a model in long loops, which a power meter needs")
    return WORKABLE[entry.board](entry)


def _unknown(entry: DeviceEntry, what: str, word: str, known: Iterable[str]) -> InventoryError:
    return InventoryError(
        f'{entry.name}: this version of edgepipe has no {what} "{word}" yet', todo=f"Known here: {', '.join(sorted(known))}."
    )


def _local(entry: DeviceEntry) -> Transport:
    assert isinstance(entry.transport, LocalLink)
    return LocalTransport(entry.transport.python)


def _ssh(entry: DeviceEntry) -> Transport:
    from edgepipe.devices.transports.ssh import SshTransport  # paramiko takes a while to import

    assert isinstance(entry.transport, SshLink)
    return SshTransport(entry.name, entry.transport)


def _hardware(entry: DeviceEntry) -> FakeHardware:
    link = entry.transport
    if not isinstance(link, FakeLink):
        raise InventoryError(f"{entry.name}: a fake board needs a fake transport", todo="Write transport: {kind: fake}.")
    return FakeHardware(name=entry.name, latency_us=link.latency_us, faults=link.faults)


def _linux(entry: DeviceEntry) -> LinuxBoard:
    return LinuxBoard(entry.name, TRANSPORTS[entry.transport.kind](entry), emulated=entry.is_virtual)


def _fake_mcu(entry: DeviceEntry) -> LineTransport:
    link = entry.transport
    assert isinstance(link, FakeLink)
    return FakeMcuTransport(FakeMcu(name=entry.name, latency_us=link.latency_us, faults=link.faults))


def _qemu(entry: DeviceEntry) -> LineTransport:
    assert isinstance(entry.transport, QemuLink)
    machine = entry.transport.machine
    flash = cache_dir() / "flash" / f"{entry.name}-{machine}"
    return QemuTransport(entry.name, machine, lambda name: build(name, flags=entry.firmware_flags), flash=flash)


def _serial(entry: DeviceEntry) -> LineTransport:
    link = entry.transport
    assert isinstance(link, SerialLink)
    if link.url is not None:
        return NetworkTransport(link.url, link.baud)
    return SerialTransport(entry.name, link.by_id or "", link.baud)


def _mcu(entry: DeviceEntry) -> DeployableMcu:
    line = LINES[entry.transport.kind](entry)
    return DeployableMcu(entry.name, line, emulated=entry.is_virtual, board_id=entry.board_id)


def _mlperf_tiny(entry: DeviceEntry) -> MlperfTinyBoard:
    line = LINES[entry.transport.kind](entry)
    return MlperfTinyBoard(entry.name, line, emulated=entry.is_virtual, board_id=entry.board_id)


def _spoken_to(entry: DeviceEntry) -> Workable:
    return PROTOCOLS[entry.protocol](entry)


TRANSPORTS: dict[str, Callable[[DeviceEntry], Transport]] = {
    "local": _local,
    "ssh": _ssh,
    "fake": lambda entry: FakeTransport(_hardware(entry)),
}
# How the serial line of a microcontroller is got at.
LINES: dict[str, Callable[[DeviceEntry], LineTransport]] = {"serial": _serial, "qemu": _qemu, "fake": _fake_mcu}
# What is spoken on it.
PROTOCOLS: dict[str, Callable[[DeviceEntry], Workable]] = {"edgepipe": _mcu, "mlperf-tiny": _mlperf_tiny}
BOARDS: dict[str, Callable[[DeviceEntry], Board]] = {
    "linux": _linux,
    "coral": _linux,  # the same agent; what is different is its target, and the delegate of a compiled model
    "mcu": _spoken_to,
    "fake": lambda entry: FakeBoard(_hardware(entry)),
}
# Not "fake": a board in memory keeps what it is given no longer than the command lives.
DEPLOYABLE: dict[str, Callable[[DeviceEntry], Deployable]] = {"linux": _linux, "coral": _linux, "mcu": _mcu}
# Not "fake" either: it draws no power, and has no loops to run.
WORKABLE: dict[str, Callable[[DeviceEntry], Workable]] = {"linux": _linux, "coral": _linux, "mcu": _spoken_to}
