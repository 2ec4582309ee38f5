"""Which machine this is: the host key pinned in the inventory, and the refusal of every other one."""

from __future__ import annotations

import base64
import binascii

import paramiko

from edgepipe.errors import HostKeyRefused, InventoryError

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


def pinned_key(name: str, text: str) -> paramiko.PKey:
    """Return the key in `text`, one line as in known_hosts or a .pub file: kind, base64, and perhaps a comment.

    Raises InventoryError.
    """
    kind, _, rest = text.strip().partition(" ")
    body = rest.split(" ")[0]
    try:
        if kind not in KINDS:
            raise ValueError(f'"{kind[:40]}" is no kind of key that is safe to pin; known: {", ".join(KINDS)}')
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(body, validate=True))
        if key.asbytes() != base64.b64decode(body):
            raise ValueError("a part of it is missing, or too much is there")
    except (ValueError, binascii.Error, paramiko.SSHException, IndexError, EOFError) as exc:
        raise InventoryError(
            f"{name}: the pinned host_key cannot be read: {exc}",
            todo='Write it as on the board: host_key: "ssh-ed25519 AAAA...", from /etc/ssh/ssh_host_ed25519_key.pub.',
        ) from exc
    return key


def fingerprint(key: paramiko.PKey) -> str:
    """Return a key as OpenSSH shows it: its kind and SHA256 fingerprint."""
    return f"{key.get_name()} {key.fingerprint}"


def refusal(name: str, address: str, pinned: paramiko.PKey, shown: paramiko.PKey) -> HostKeyRefused:
    """Return the error for a machine that showed another key than the pinned one."""
    other_kind = pinned.get_name() != shown.get_name()
    file = f"/etc/ssh/ssh_host_{FILES.get(pinned.get_name(), 'ecdsa')}_key.pub"
    return HostKeyRefused(
        f"{name} ({address}) showed {'a host key of another kind' if other_kind else 'another host key'} than the pinned one",
        problems=[f"pinned: {fingerprint(pinned)}", f"shown:  {fingerprint(shown)}"],
        cause="another machine has this address now, the board was installed anew, or somebody is in between",
        todo=f"At the board itself, run: ssh-keygen -lf {file} - only where that prints what was shown, put the file's line"
        " into the inventory as host_key.",
    )


def no_common_kind(name: str, address: str, pinned: paramiko.PKey) -> HostKeyRefused:
    """Return the error for a machine that offers no host key that could be the pinned one, nor any other that is safe."""
    return HostKeyRefused(
        f"{name} ({address}) offers only host keys of outdated kinds, so it cannot be the machine that was pinned",
        problems=[f"pinned: {fingerprint(pinned)}"],
        cause="another machine has this address now, or somebody in between weakens the connection",
    )
