"""Who answers at an address: the host key that a person compares before it is pinned, and the entry that pins it."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any

from edgepipe.errors import DeviceUnreachable, UsageError

ADDRESS = re.compile(r"(?P<user>[^@\s:]+)@(?P<host>\[[0-9A-Fa-f:.]+\]|[^@\s:\[\]]+)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a board is reached over SSH."""

    user: str
    host: str
    port: int = 22


@dataclass(frozen=True, kw_only=True)
class HostKey:
    """`line` is what the inventory pins, `fingerprint` what a person compares: that of `ssh-keygen -lf`."""

    line: str
    fingerprint: str


def read_address(text: str) -> Address:
    """Return the parts of user@host[:port]; an IPv6 address stands in brackets. Raises UsageError."""
    found = ADDRESS.fullmatch(text)
    port = int(found["port"] or 22) if found else 0
    if found is None or not 0 < port < 65536 or found["host"].startswith("-") or found["user"].startswith("-"):
        raise UsageError(f'"{text}" is no address', todo="Write user@host or user@host:port, as in edge@pi4.lab.")
    return Address(user=found["user"], host=found["host"].strip("[]"), port=port)


def shown_host_key(address: Address, *, deadline_s: float) -> HostKey:
    """Return the key that whoever answers there shows; nothing is sent that is secret. Raises DeviceUnreachable."""
    import paramiko

    where = f"{address.host}:{address.port}"
    try:
        with socket.create_connection((address.host, address.port), timeout=deadline_s) as line:
            transport = paramiko.Transport(line)
            try:
                transport.start_client(timeout=deadline_s)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException) as exc:
        raise DeviceUnreachable(
            f"no SSH server answers at {where}: {exc or type(exc).__name__}",
            cause="the board is off, its name is wrong, or SSH is not enabled there",
            todo="On a Raspberry Pi: sudo raspi-config, Interface Options, SSH.",
        ) from exc
    return HostKey(line=f"{key.get_name()} {key.get_base64()}", fingerprint=f"{key.get_name()} {key.fingerprint}")


def ssh_entry(address: Address, host_key: HostKey, *, key: str | None, target: str, labels: dict[str, str]) -> dict[str, Any]:
    """Return what the inventory says of a board, without what is the default anyway."""
    link: dict[str, Any] = {"kind": "ssh", "host": address.host, "user": address.user}
    if address.port != 22:
        link["port"] = address.port
    if key:
        link["key"] = key
    link["host_key"] = host_key.line
    return {"board": "linux", "target": target, **({"labels": labels} if labels else {}), "transport": link}
