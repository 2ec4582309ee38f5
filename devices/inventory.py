"""The farm inventory: which boards there are and how to reach them (farm_inventory.yaml in the repository is an example)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, Field

from edgepipe.devices.firmware_build import EMULATED, ENERGY_BAUD, ENERGY_MODE
from edgepipe.devices.flashing import TOOLS, FlashEntry
from edgepipe.devices.power import METERS, PowerEntry
from edgepipe.devices.transports.fake import Fault
from edgepipe.documents import parse, read_yaml, suggestion
from edgepipe.errors import InventoryError
from edgepipe.places import config_dir

T = TypeVar("T")
FILE_NAME = "farm_inventory.yaml"
MCU_KEYS = ("board_id", "protocol", "energy_mode")
# What selectors, shells and file names all take as it is.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
GpioLine = Annotated[int, Field(ge=0, le=1023)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _reachable(url: str) -> str:
    """Refuse a port that TCP does not have."""
    if not 1 <= int(url.rpartition(":")[2]) <= 65535:
        raise ValueError("its port must be from 1 to 65535")
    return url


LineUrl = Annotated[
    str, Field(pattern=r"^(socket|rfc2217)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"), AfterValidator(_reachable)
]


@dataclass(frozen=True, kw_only=True)
class LocalLink:
    """This machine; `python` runs the agent there and has the runtimes."""

    kind: Literal["local"] = "local"
    python: str = sys.executable


@dataclass(frozen=True, kw_only=True)
class FakeLink:
    """A board that exists in memory only, for tests of farms: it behaves as told."""

    kind: Literal["fake"] = "fake"
    latency_us: float = 1000.0
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SshLink:
    """A board in the network; its host key is pinned here.

    `key` is the file of a private key; without one, `agent: true` asks the ssh-agent. `python` starts edgepipe's agent there.
    """

    kind: Literal["ssh"] = "ssh"
    host: Text
    user: Text
    port: Port = 22
    key: str | None = None
    agent: bool = False
    host_key: str
    python: str = "python3"


@dataclass(frozen=True, kw_only=True)
class SerialLink:
    """A microcontroller on a serial line: by its stable name under /dev/serial/by-id, or on another machine by `url`.

    That is `socket://host:port` for bytes as they are, or `rfc2217://host:port`, which sets the baud rate too.
    """

    kind: Literal["serial"] = "serial"
    by_id: Text | None = None
    url: LineUrl | None = None
    baud: Count = 115_200


@dataclass(frozen=True, kw_only=True)
class QemuLink:
    """An emulated microcontroller."""

    kind: Literal["qemu"] = "qemu"
    machine: str


Link: TypeAlias = LocalLink | FakeLink | SshLink | SerialLink | QemuLink
LINKS: dict[str, type[Link]] = {
    "local": LocalLink,
    "fake": FakeLink,
    "ssh": SshLink,
    "serial": SerialLink,
    "qemu": QemuLink,
}


@dataclass(frozen=True, kw_only=True)
class SigningEntry:
    """Whose signatures count for the models of a board: `signers` are Ed25519 public keys, "ssh-ed25519 AAAA...".

    `key` is the file of a private key, with which `edgepipe deploy` signs what is not signed yet, for `valid_days`; without
    `signers` its own public key counts.
    """

    signers: tuple[str, ...] = ()
    key: str | None = None
    valid_days: Count = 365


@dataclass(frozen=True, kw_only=True)
class DeviceEntry:
    """One board of the inventory. With `clock_mhz`, the clock that it is pinned to, a block below it does not count.

    `governor`: performance is set while it is measured, where that is allowed, or it is left alone (`keep`). Before each block it
    may cool down to `cool_below_c`; None: 70, but neither this machine nor an emulated board is waited for.

    `hardware` is the kind of a microcontroller's board, `board_id` its serial number and kind as its firmware tells them: another
    board is refused. `flash` is what writes its flash, `protocol` what it speaks: with MLPerf Tiny's, whoever's firmware it runs.
    With `energy_mode` edgepipe's own firmware is built for that protocol's energy mode, in which time stamps are edges of a pin.
    `power` is the meter that its current flows through, `marker_gpio` the line of a Linux board's GPIO that is wired to that.
    """

    name: str
    board: Literal["linux", "coral", "mcu", "fake"]
    target: Literal["host", "pi", "coral", "mcu"]
    transport: Link
    labels: dict[str, str] = field(default_factory=dict)
    hardware: str | None = None
    board_id: Text | None = None
    protocol: Literal["edgepipe", "mlperf-tiny"] = "edgepipe"
    energy_mode: bool = False
    power: PowerEntry | None = None
    marker_gpio: GpioLine | None = None
    flash: FlashEntry | None = None
    signing: SigningEntry | None = None
    emulated: bool = False
    clock_mhz: Positive | None = None
    governor: Literal["performance", "keep"] = "performance"
    cool_below_c: Positive | None = None

    @property
    def is_virtual(self) -> bool:
        """Whether no hardware stands behind it, so that its figures are never taken for measured ones."""
        return self.emulated or isinstance(self.transport, FakeLink | QemuLink)

    @property
    def firmware_flags(self) -> tuple[str, ...]:
        """With what its firmware is built, beside what its port says."""
        return ENERGY_MODE if self.energy_mode else ()


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What holds where the command line does not say otherwise."""

    blocks: Count = 5
    signing: SigningEntry | None = None


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All boards, by name, and where they were read."""

    devices: dict[str, DeviceEntry]
    defaults: Defaults = Defaults()
    source: str = "the built-in inventory"


# What there is without any board: these names work everywhere, whatever an inventory says beside them.
BUILT_IN = Inventory(
    devices={
        "local": DeviceEntry(name="local", board="linux", target="host", transport=LocalLink()),
        "mcu-m4-qemu": DeviceEntry(
            name="mcu-m4-qemu", board="mcu", target="mcu", transport=QemuLink(machine="mps2-an386"), emulated=True
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class _File:
    """The inventory file."""

    schema: Literal[1]
    devices: dict[Any, Any]
    defaults: Defaults = Defaults()


def load_inventory(path: Path | None = None, *, environment: Mapping[str, str] = os.environ, folder: Path = Path()) -> Inventory:
    """Return the inventory at `path`, else at EDGEPIPE_INVENTORY, else in `folder`, else the user's, else the built-in `local`.

    Raises InventoryError with every problem of the file.
    """
    found = path or find_inventory(environment, folder)
    return read_inventory(found) if found else BUILT_IN


def find_inventory(environment: Mapping[str, str] = os.environ, folder: Path = Path()) -> Path | None:
    """Return the file that `load_inventory` reads where none is named, or None where there is none."""
    named = environment.get("EDGEPIPE_INVENTORY")
    if named:
        return Path(named)
    places = (folder / FILE_NAME, config_dir(environment) / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def read_inventory(path: Path) -> Inventory:
    """Return the inventory in a file. Raises InventoryError with every problem of it."""
    file = parse(_File, read_yaml(path, InventoryError), source=str(path), error=InventoryError)
    problems: list[str] = []
    devices = {name: entry for name, content in file.devices.items() for entry in _device(name, content, problems)}
    if not file.devices:
        problems.append('"devices" names no board')
    if problems:
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InventoryError(f"{path} has {count}", problems=problems)
    devices = {name: replace(entry, signing=entry.signing or file.defaults.signing) for name, entry in devices.items()}
    return Inventory(devices=devices, defaults=file.defaults, source=str(path))


def _device(name: object, content: object, problems: list[str]) -> Iterator[DeviceEntry]:
    """Yield the device, or add what is wrong with it to `problems`."""
    here = f"devices.{name}"
    if not isinstance(name, str):
        problems.append(f'{here}: a name is text; write "{name}" in quotes')
    elif isinstance(content, dict):
        yield from _entry(name, content, here, problems)
    else:
        problems.append(f"{here}: a device has the keys board, target and transport")


def _entry(name: str, content: dict[str, Any], here: str, problems: list[str]) -> Iterator[DeviceEntry]:
    fields: dict[str, Any] = {**content, "name": name}
    link = None
    if not NAME.fullmatch(name):
        problems.append(f"{here}: a name is made of letters, digits, dots, - and _")
    if "name" in content:
        problems.append(f'{here}: unknown key "name"; a device is called what stands before its colon')
    if "transport" in content:
        link = _collect(problems, f"{here}.transport", lambda: _link(content["transport"]))
        fields["transport"] = link or LocalLink()  # what is wrong with it is told already
    if content.get("flash") is not None:
        fields["flash"] = _collect(problems, f"{here}.flash", lambda: _told_by("tool", TOOLS, content["flash"], "flash"))
    if content.get("power") is not None:
        fields["power"] = _collect(problems, f"{here}.power", lambda: _told_by("meter", METERS, content["power"], "power"))
    device = _collect(problems, here, lambda: parse(DeviceEntry, fields, source=here, error=InventoryError))
    if device and device.board != "mcu":
        problems.extend(f'{here}: "{key}" is for microcontrollers (board: mcu)' for key in MCU_KEYS if key in content)
    if device and device.energy_mode and isinstance(link, SerialLink) and link.baud != ENERGY_BAUD:
        problems.append(
            f"{here}: energy_mode is at {ENERGY_BAUD} baud, not {link.baud}; write baud: {ENERGY_BAUD} into its transport"
        )
    if device and link:
        yield device


def _link(content: object) -> Link:
    """Return the link of a kind. Raises InventoryError with its problems."""
    link = _told_by("kind", LINKS, content, "a transport")
    if isinstance(link, SerialLink) and (link.by_id is None) == (link.url is None):
        raise InventoryError("", problems=['a serial line has one of "by_id", for this machine\'s, and "url", for another\'s'])
    if isinstance(link, QemuLink) and link.machine not in EMULATED:
        raise InventoryError("", problems=[f'there is no machine "{link.machine}".{suggestion(link.machine, list(EMULATED))}'])
    return link


def _told_by(key: str, kinds: Mapping[str, type[T]], content: object, what: str) -> T:
    """Return what `content` says, read as its `key` tells. Raises InventoryError with its problems."""
    word = content.get(key) if isinstance(content, dict) else None
    if not isinstance(word, str) or word not in kinds:
        given = f"{what} needs a {key}." if not isinstance(word, str) else f'unknown {key} "{word}".'
        raise InventoryError("", problems=[given + suggestion(str(word), list(kinds))])
    return parse(kinds[word], content, source="", error=InventoryError)


def _collect(problems: list[str], here: str, read: Callable[[], T]) -> T | None:
    """Return what `read` returns, or None where it raises, with its problems added under `here`."""
    try:
        return read()
    except InventoryError as exc:
        problems.extend(f"{here}: {problem}" for problem in exc.problems)
        return None
