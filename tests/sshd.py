"""A real OpenSSH server on loopback: its own configuration, host key and user key, made for one test and thrown away."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgepipe.devices.inventory import DeviceEntry, SshLink

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
# SHLVL: bash takes sshd's command for a login and reads ~/.bashrc, but only on its first level: tests do without the developer's.
CONFIGURATION = """\
{more}
ListenAddress 127.0.0.1
Port {port}
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PrintMotd no
UseDNS no
MaxStartups 100
MaxSessions 100
PerSourcePenalties no
LogLevel ERROR
Subsystem sftp internal-sftp
SetEnv EDGEPIPE_HOME={home} SHLVL=1
"""


@dataclass
class Sshd:
    """A running server. `host_keys` are the kinds of key that it has; the first is the one that `link()` pins."""

    folder: Path
    home: Path
    host_keys: Sequence[str] = ("ed25519",)
    more: str = ""
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Make what is missing, start the server on its port and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "user_key").exists():
            make_key(self.folder / "user_key", "ed25519")
            shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        for kind in self.host_keys:
            if not self.host_key_file(kind).exists():
                make_key(self.host_key_file(kind), kind)
        self.port = self.port or free_port()
        lines = [*(f"HostKey {self.host_key_file(kind)}" for kind in self.host_keys), self.more]
        text = CONFIGURATION.format(port=self.port, folder=self.folder, home=self.home, more="\n".join(lines))
        configuration = self.folder / "sshd_config"
        configuration.write_text("\n".join(line for line in text.splitlines() if known(line)) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where the server confines itself before a login
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(configuration)], stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError("sshd does not listen")

    def stop(self) -> None:
        """End the server and what it started for each connection."""
        if self.process:
            for pid in descendants(self.process.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.kill()
            self.process.wait()
            self.process = None

    def host_key_file(self, kind: str) -> Path:
        """The private host key of a kind."""
        return self.folder / f"host_{kind}"

    def host_key(self, kind: str = "") -> str:
        """The public host key of a kind, as an inventory pins it."""
        return self.host_key_file(kind or self.host_keys[0]).with_suffix(".pub").read_text().strip()

    def link(self, *, port: int | None = None, host_key: str | None = None, **others: object) -> SshLink:
        """The inventory's link to it, through another port where a proxy stands in between."""
        fields = {
            "host": "127.0.0.1",
            "user": getpass.getuser(),
            "port": port or self.port,
            "key": str(self.folder / "user_key"),
            "host_key": self.host_key() if host_key is None else host_key,
            "python": sys.executable,
            **others,
        }
        return SshLink(**fields)  # type: ignore[arg-type]

    def entry(self, name: str = "board", **others: object) -> DeviceEntry:
        """The inventory's entry for it."""
        return DeviceEntry(name=name, board="linux", target="host", transport=self.link(**others))


def known(line: str) -> bool:
    """Whether this sshd knows an option: PerSourcePenalties came with OpenSSH 9.8, and then must be off."""
    return not line.startswith("PerSourcePenalties") or version() >= (9, 8)


def version() -> tuple[int, int]:
    """The version of the installed server."""
    said = subprocess.run([str(SSHD), "-V"], capture_output=True, text=True, check=False).stderr
    numbers = said.partition("OpenSSH_")[2].split("p")[0].split(",")[0].split(".")
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (0, 0)


def make_key(path: Path, kind: str, passphrase: str = "") -> None:
    """Make a key pair."""
    for file in (path, path.with_suffix(".pub")):
        file.unlink(missing_ok=True)
    arguments = ["-q", "-t", kind, "-N", passphrase, "-C", "throw-away", "-f", str(path)]
    subprocess.run(["ssh-keygen", *arguments], check=True, stdin=subprocess.DEVNULL)


def descendants(pid: int) -> list[int]:
    """The processes below a process, those of its connections and what they started."""
    try:  # each thread has children of its own
        children = [int(child) for each in Path(f"/proc/{pid}/task").glob("*/children") for child in each.read_text().split()]
    except OSError:
        return []
    return [below for child in children for below in (*descendants(child), child)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, home: Path, *, host_keys: Sequence[str] = ("ed25519",), more: str = "") -> Iterator[Sshd]:
    """A server for the length of a `with`."""
    server = Sshd(folder, home, host_keys, more)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def needs_sshd() -> None:
    """Skip a test where the server is not installed."""
    if SSHD is None:
        pytest.skip("sshd is not installed; on Debian: apt-get install openssh-server")
