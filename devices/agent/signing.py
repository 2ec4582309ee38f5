"""Signed manifests: who may say which model a board runs, in OpenSSH's own format and verified by its own `ssh-keygen -Y verify`.

Where the file `signers` lies beside the store, the board demands a signature. It is an allowed_signers file (ssh-keygen(1)): its
principal is what the board is a target for, its namespace is ours, so that a signature made for anything else counts for nothing.
"""

import base64
import calendar
import hashlib
import json
import os
import struct
import subprocess
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .durable import write_whole
from .lines import Refused

NAMESPACE = "edgepipe-model"
SIGNERS = "signers"
REFUSED = "signature-refused"
KEY_TYPE = "ssh-ed25519"
BY_BOARD, BY_HOST = "board", "host"
LARGEST_BYTES = 16 << 10
WAIT_S = 20.0
TIME = "%Y-%m-%dT%H:%M:%SZ"
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
FIELDS = {
    "schema": (int,),
    "sha256": (str,),
    "size_bytes": (int,),
    "name": (str,),
    "target": (str,),
    "created_utc": (str,),
    "expires_utc": (str, type(None)),
    "version": (int,),
    "floor": (int,),
}


class Signed(NamedTuple):
    """The text of a manifest and its signature, as they were made."""

    manifest: str
    signature: str


class Verified(NamedTuple):
    """What a manifest says once it is believed, who signed it (a fingerprint), and who verified that: the board or the host."""

    signed: Signed
    fields: Dict[str, Any]
    signer: str
    by: str

    @property
    def version(self) -> int:
        """The number that grows with each release; a board takes no older one than it has confirmed."""
        return int(self.fields["version"])


class Signers:
    """Whose signatures count on this board: the file `signers` in its folder, none where there is no such file."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, SIGNERS)

    def read(self) -> Tuple[str, List[str]]:
        """Return the target and the keys, without any where nothing is demanded. Raises Refused where the file cannot be read."""
        try:
            with open(self.path) as file:
                lines = [line.split() for line in file if line.strip()]
        except FileNotFoundError:
            return "", []
        except (OSError, ValueError) as exc:
            raise Refused(REFUSED, "whose signatures count here cannot be read: %s" % exc) from None
        if not lines or any(len(words) != 4 or words[2] != KEY_TYPE for words in lines):
            raise Refused(REFUSED, "%s is damaged: write it anew with `edgepipe farm provision`" % self.path)
        return lines[0][0], [words[3] for words in lines]

    def write(self, target: str, keys: List[str]) -> None:
        """Demand a signature by one of these keys from now on; of none, demand none."""
        if not keys:
            if os.path.lexists(self.path):
                os.unlink(self.path)
            return
        lines = ['%s namespaces="%s" %s %s\n' % (target, NAMESPACE, KEY_TYPE, key) for key in keys]
        if not target.isalnum() or any(len(line.split()) != 4 for line in lines):
            raise Refused("usage", "these are no signers")
        for key in keys:
            fingerprint(key)
        write_whole(self.path, "".join(lines).encode())

    def check(self, signed: Optional[Signed], sha256: str, now_s: float, verified_by_host: bool = False) -> Optional[Verified]:
        """Return what is believed of the manifest of this model, None where no signature is demanded. Raises Refused.

        `verified_by_host` is believed only where OpenSSH here is too old to verify (before 8.1) or missing.
        """
        target, keys = self.read()
        if not keys:
            return None
        if signed is None:
            raise Refused(REFUSED, "the model is not signed, and this board takes only models signed by %s" % _either(keys))
        key, namespace = read_signature(signed.signature)
        if not signed.manifest.isascii():  # `edgepipe sign` writes nothing else; a lone surrogate could not even be hashed
            raise Refused(REFUSED, "the manifest was altered: it has characters that none has")
        if namespace != NAMESPACE:
            raise Refused(REFUSED, "the signature was made for another purpose: %.40r instead of %r" % (namespace, NAMESPACE))
        if key not in keys:
            words = (fingerprint(key), _either(keys))
            raise Refused(REFUSED, "the model is signed with another key, %s, and this board trusts %s" % words)
        by = BY_BOARD if can_verify() else BY_HOST
        if by == BY_BOARD:
            self._verify(signed, target)
        elif not verified_by_host:
            raise Refused(REFUSED, "nobody has verified the signature: ssh-keygen is missing here or older than OpenSSH 8.1")
        fields = read_manifest(signed.manifest)
        _agree(fields, target, sha256, now_s)
        return Verified(signed, fields, fingerprint(key), by)

    def _verify(self, signed: Signed, target: str) -> None:
        """Ask ssh-keygen; the signature goes through a pipe, so that a full disk is no hindrance."""
        given, end = os.pipe()
        try:
            os.write(end, signed.signature.encode())  # less than a pipe holds
            os.close(end)
            command = ["ssh-keygen", "-Y", "verify", "-f", self.path, "-I", target, "-n", NAMESPACE, "-s", "/dev/fd/%d" % given]
            done = _run(command, signed.manifest.encode(), given)
        finally:
            os.close(given)
        if done is None or done.returncode:
            raise Refused(REFUSED, "the signature does not belong to this manifest: one of them was altered after it was made")


def can_verify() -> bool:
    """Return whether ssh-keygen here knows `-Y verify`: then it misses what else it needs, else the option is unknown to it."""
    done = _run(["ssh-keygen", "-Y", "verify"], b"")
    return done is not None and b"missing namespace" in done.stderr


def _run(command: List[str], given: bytes, *handles: int) -> "Optional[subprocess.CompletedProcess[bytes]]":
    try:
        return subprocess.run(
            command, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WAIT_S, pass_fds=handles, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def read_signature(text: str) -> Tuple[str, str]:
    """Return the key, as it stands in a .pub file, and the namespace that a signature claims (PROTOCOL.sshsig). Raises Refused."""
    lines = text.split("\n")
    try:
        if len(text) > LARGEST_BYTES or lines[0] != BEGIN or lines[-2:] != [END, ""]:
            raise ValueError
        blob = base64.b64decode("".join(lines[1:-2]), validate=True)
        if blob[:10] != b"SSHSIG\0\0\0\1":
            raise ValueError
        strings, at = [], 10
        while at < len(blob):
            (length,) = struct.unpack_from(">I", blob, at)
            strings.append(blob[at + 4 : at + 4 + length])
            if len(strings[-1]) != length:
                raise ValueError
            at += 4 + length
        key, namespace, _, _, _ = strings
        return base64.b64encode(key).decode(), namespace.decode()
    except (ValueError, struct.error):
        raise Refused(REFUSED, "the signature is damaged or cut short: it is no SSH signature") from None


def fingerprint(key: str) -> str:
    """Return a key's fingerprint, as `ssh-keygen -l` prints it. Raises Refused for what is no Ed25519 key."""
    try:
        blob = base64.b64decode(key, validate=True)
    except ValueError:
        blob = b""
    if len(blob) != 51 or blob[4:15] != KEY_TYPE.encode():
        raise Refused("usage", "%.80r is no Ed25519 key" % key)
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def read_manifest(text: str) -> Dict[str, Any]:
    """Return what a manifest says. Raises Refused where it does not say all that it must."""
    try:
        fields = json.loads(text) if len(text) <= LARGEST_BYTES else None
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or fields.get("schema") != 1:
        raise Refused(REFUSED, "the manifest is none that this version of edgepipe reads")
    wrong = [name for name, kinds in FIELDS.items() if type(fields.get(name, ())) not in kinds]
    if wrong:
        raise Refused(REFUSED, "the manifest does not rightly say its %s" % ", ".join(wrong))
    return fields


def _agree(fields: Dict[str, Any], target: str, sha256: str, now_s: float) -> None:
    """Raise Refused where a manifest is about something else than what is to be done now."""
    if fields["sha256"] != sha256:
        raise Refused(REFUSED, "the manifest is for another model: %.12s instead of %.12s" % (fields["sha256"], sha256))
    if fields["target"] != target:
        raise Refused(REFUSED, "the model is signed for %.40r boards, and this one is %r" % (fields["target"], target))
    if fields["expires_utc"] is not None and now_s >= seconds(fields["expires_utc"]):
        raise Refused(REFUSED, "the signature expired at %s: sign the model again" % fields["expires_utc"])


def seconds(utc: str) -> float:
    """Return a manifest's time as seconds since 1970. Raises Refused for what is none."""
    try:
        return float(calendar.timegm(time.strptime(utc, TIME)))
    except ValueError:
        raise Refused(REFUSED, "%.40r is no time" % utc) from None


def _either(keys: List[str]) -> str:
    return " or ".join(map(fingerprint, keys))
