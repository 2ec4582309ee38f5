"""A board over SSH: one pinned machine, one fixed command on it, files by SFTP, and a deadline on every call."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import paramiko

from edgepipe.devices.transports.names import plain_name
from edgepipe.devices.transports.redact import redactor
from edgepipe.devices.transports.ssh_channel import SshChannel
from edgepipe.devices.transports.ssh_host_key import no_common_kind, pinned_key, refusal
from edgepipe.devices.transports.ssh_link import WINDOW_BYTES, Link, run_within
from edgepipe.devices.transports.ssh_upload import Uploads, heard
from edgepipe.errors import DeviceUnreachable, InfrastructureError, InventoryError

if TYPE_CHECKING:
    from edgepipe.devices.inventory import SshLink

PASSPHRASE = "EDGEPIPE_SSH_PASSPHRASE"
SHUT_S = 2.0
# All that a shell on the board is ever given. It reads one line from its input, a JSON list of a program's text and its arguments,
# byte by byte so that what follows is left for the program, and runs that.
COMMAND = (
    "exec python3 -I -c 'import json,os;"
    r'a=json.loads(bytes().join(iter(lambda:os.read(0,1)or os._exit(3),b"\n")));'
    'exec(a[0],dict(__name__="__main__",arguments=a[1:]))\''
)
# Another Python than the one that runs this starts anew; the same one goes on at once.
AGENT = """
import os, runpy, sys
python, agent, role = arguments
if python != "python3":
    python = os.path.expanduser(python)
    try:
        os.execvp(python, [python, "-I", agent, role])
    except OSError as exc:
        sys.exit("the inventory's python, %r, cannot be started here: %s" % (python, exc.strerror))
sys.argv = [agent, role]
runpy.run_path(agent, run_name="__main__")
"""


class SshTransport:
    """Reaches the machine of one inventory entry; what is wrong with the entry is raised when it is made, as InventoryError."""

    def __init__(self, name: str, entry: SshLink, environment: Mapping[str, str] = os.environ) -> None:
        self._name, self._entry = name, entry
        self._address = f"{entry.host}:{entry.port}"
        self._pinned = pinned_key(name, entry.host_key)
        key_file = Path(entry.key).expanduser() if entry.key else None
        self._redact = redactor(key_file, environment)
        self._key = None if key_file is None else self._load(key_file, environment.get(PASSPHRASE))
        if key_file is None and not entry.agent:
            raise InventoryError(
                f"{name}: no key to log in with", todo="Write key: ~/.ssh/id_ed25519, or agent: true to ask the ssh-agent."
            )
        self._link: Link | None = None
        self._uploads: Uploads | None = None
        self._channels: list[SshChannel] = []
        self._sent_bytes = 0

    def _load(self, path: Path, passphrase: str | None) -> paramiko.PKey:
        todo = f"Name a private key that OpenSSH made; if it has a passphrase, {PASSPHRASE} must be the right one."
        found: Exception | None = None
        if path.suffix == ".pub":
            raise InventoryError(f"{self._name}: {path} is a public key", todo=f"Write key: {path.with_suffix('')}")
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                return kind.from_private_key_file(str(path), passphrase)
            except paramiko.PasswordRequiredException as exc:
                raise InventoryError(
                    f"{self._name}: the key {path} has a passphrase", todo=f"Set {PASSPHRASE}, or write agent: true and no key."
                ) from exc
            except OSError as exc:
                raise InventoryError(f"{self._name}: the key {path} cannot be read: {exc.strerror}", todo=todo) from exc
            except (ValueError, IndexError, paramiko.SSHException) as exc:
                found = exc
        why = "the passphrase may be wrong" if passphrase else "it is no private key of OpenSSH, or damaged"
        raise InventoryError(f"{self._name}: the key {path} cannot be read: {why}", todo=todo) from found

    def open(self, *, deadline_s: float) -> None:
        """Connect, check the host key before anything else is said, and log in. Raises HostKeyRefused or DeviceUnreachable."""
        if self._link is not None and self._link.is_alive:
            return
        self.close()
        end, link = monotonic() + deadline_s, Link(self._name, self._redact)
        try:
            sock = link.dial(self._entry.host, self._entry.port, deadline_s)
            with link.within(end - monotonic(), "connect to"):
                self._log_in(link, sock, end - monotonic())
        except BaseException:
            link.close()
            raise
        self._link = link

    def _log_in(self, link: Link, sock: object, left_s: float) -> None:
        entry, client = self._entry, link.client
        known_as = entry.host if entry.port == 22 else f"[{entry.host}]:{entry.port}"
        client.get_host_keys().add(known_as, self._pinned.get_name(), self._pinned)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.connect(
                entry.host,
                entry.port,
                entry.user,
                pkey=self._key,
                sock=sock,  # type: ignore[arg-type]
                allow_agent=entry.agent,
                look_for_keys=False,
                timeout=left_s,
                banner_timeout=left_s,
                auth_timeout=left_s,
                channel_timeout=left_s,
            )
        except paramiko.BadHostKeyException as exc:
            raise refusal(self._name, self._address, exc.expected_key, exc.key) from exc
        except paramiko.AuthenticationException as exc:
            raise DeviceUnreachable(
                f"{self._name} ({self._address}) does not let {entry.user} in with {self._credentials()}",
                cause="the public key is not in ~/.ssh/authorized_keys there, or the user's name is wrong",
                todo=f"ssh-copy-id -i {entry.key or 'KEY'} -p {entry.port} {entry.user}@{entry.host}",
            ) from exc
        except paramiko.ssh_exception.IncompatiblePeer as exc:
            if "host key" in str(exc):
                raise no_common_kind(self._name, self._address, self._pinned) from exc
            raise
        except paramiko.SSHException as exc:
            if str(exc) == "No authentication methods available":  # paramiko's words where no agent is, or an empty one
                raise DeviceUnreachable(
                    f"{self._name}: no ssh-agent answers here, or it holds no key",
                    todo="`ssh-add -l` lists its keys, `ssh-add` adds one; or name a key in the inventory.",
                ) from exc
            raise

    def _credentials(self) -> str:
        return f"the key {self._entry.key}" if self._key is not None else "any key of the ssh-agent"

    def put(self, source: Path, name: str, *, deadline_s: float) -> str:
        """Bring a file; what an earlier attempt brought of it is not sent again."""
        plain_name(name)
        end = monotonic() + deadline_s
        if self._uploads is None:
            self._uploads = self._begin_uploads(deadline_s)
        return self._uploads.put(source, name, deadline_s=end - monotonic())

    def _begin_uploads(self, deadline_s: float) -> Uploads:
        link, end = self._opened(), monotonic() + deadline_s
        program = resources.files("edgepipe.devices.agent").joinpath("arrivals.py").read_text(encoding="utf-8")
        arrivals = self._run([program], "the upload's program", deadline_s)
        folder = heard(arrivals, link, end - monotonic())["folder"]
        return Uploads(link, arrivals, folder)

    def start_agent(self, agent: str, *, deadline_s: float, role: str = "serve") -> SshChannel:
        """Start the agent with the board's Python."""
        return self._run([AGENT, self._entry.python, agent, role], "the agent", deadline_s)

    def _run(self, program: Sequence[str], what: str, deadline_s: float) -> SshChannel:
        """Start a program on the board, its text and arguments as JSON on its input, and return the channel to it."""
        link, end = self._opened(), monotonic() + deadline_s
        with link.within(deadline_s, f"start {what} on"):
            session = link.transport.open_session(window_size=WINDOW_BYTES, timeout=deadline_s)
            session.exec_command(COMMAND)
        channel = SshChannel(link, session, what)
        self._channels.append(channel)
        channel.send(json.dumps(list(program)).encode(), deadline_s=end - monotonic())
        return channel

    @property
    def sent_bytes(self) -> int:
        """Bytes of files that were sent so far."""
        return self._sent_bytes + (self._uploads.sent_bytes if self._uploads else 0)

    def close(self) -> None:
        """End every program and cut the connection."""
        self._sent_bytes = self.sent_bytes
        link, self._link, self._uploads = self._link, None, None
        channels, self._channels = self._channels, []
        for channel in channels:
            channel.close()
        if link is not None:
            run_within(link, SHUT_S, "leave", link.client.close)
            with suppress(OSError):
                link.close()

    def _opened(self) -> Link:
        if self._link is None:
            raise InfrastructureError("the transport is not open")
        return self._link
