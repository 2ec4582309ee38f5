"""Boards made of this machine: a real sshd on loopback, in an arm64 root (`pi-virtual`) or as it is (`localhost-ssh`).

Each has a host key and a login key of its own, made when it starts and gone when it ends. The virtual Pi lives in namespaces of its
own, so that nothing of it, process or mount, outlives its first process.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

from edgepipe.devices import virtual_image
from edgepipe.documents import parse_json, suggestion
from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.events import Emit, step
from edgepipe.places import cache_dir, write_whole

NAMES = ("pi-virtual", "localhost-ssh")
USER = "edge"
SSHD = "/usr/sbin/sshd"
INSIDE = "/etc/ssh/edgepipe"  # where an arm64 root keeps configuration and keys
START_S = 60.0
STOP_S = 10.0
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UseDNS no
Subsystem sftp internal-sftp
"""
# $1 is the root; the mounts are seen in there only, and end with it.
IN_ROOT = """\
mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && mount --bind /dev/pts "$1/dev/pts" &&
exec chroot "$1" /usr/sbin/sshd -D -e -f /etc/ssh/edgepipe/sshd_config
"""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A virtual board that was started. `started`: its first process's, in clock ticks since boot, since numbers are used again."""

    name: str
    user: str
    port: int
    pid: int
    started: int
    host_key: str
    key: str
    emulated: bool


def start(name: str, emit: Emit) -> Running:
    """Return the board, started unless it runs. Raises UsageError with what this machine lacks, InfrastructureError."""
    known(name)
    found = running(name)
    if found:
        return found
    folder = _folder(name)
    if name == "pi-virtual":
        virtual_image.require()
        virtual_image.build(emit)
    elif not Path(SSHD).exists():
        raise UsageError("there is no sshd on this machine", todo="apt-get install openssh-server")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    with step(emit, f"start {name}"):
        return _start_pi(folder) if name == "pi-virtual" else _start_here(folder)


def stop(name: str) -> bool:
    """End the board and delete what it left; returns whether it ran."""
    known(name)
    found = running(name)
    if found:
        # unshare(1) does not heed SIGTERM; when it is killed, the kernel ends everything in its namespaces.
        os.kill(found.pid, signal.SIGKILL if found.emulated else signal.SIGTERM)
        end = monotonic() + STOP_S
        while running(name):
            if monotonic() > end:
                os.kill(found.pid, signal.SIGKILL)
            sleep(0.05)
    shutil.rmtree(_folder(name), ignore_errors=True)
    return found is not None


def running(name: str) -> Running | None:
    """Return the board if its first process still runs."""
    try:
        found = parse_json(Running, (_folder(name) / "running.json").read_text(), source=name, error=InfrastructureError)
    except (FileNotFoundError, InfrastructureError):
        return None
    return found if _started(found.pid) == found.started else None


def known(name: str) -> None:
    """Raise UsageError for a name that is not one of these boards'."""
    if name not in NAMES:
        raise UsageError(f'there is no virtual board "{name}".{suggestion(name, list(NAMES))}')


def _folder(name: str) -> Path:
    return cache_dir() / "virtual" / name


def _start_pi(folder: Path) -> Running:
    root = folder / "root"
    virtual_image.unpack(root)
    inside = root / INSIDE.lstrip("/")
    host_key, port = _configure(folder, inside, INSIDE)
    (root / "run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
    (root / "etc/hostname").write_text("pi-virtual\n")
    made = subprocess.run(
        ["chroot", str(root), "/usr/sbin/useradd", "-m", "-s", "/bin/bash", "-p", "*", USER],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise InfrastructureError("could not make a user on the virtual Pi", problems=made.stderr.splitlines()[-3:])
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    command = [*apart, "sh", "-c", IN_ROOT, "sh", str(root)]
    return _launch(folder, "pi-virtual", command, USER, port, host_key, emulated=True)


def _start_here(folder: Path) -> Running:
    host_key, port = _configure(folder, folder, str(folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    return _launch(folder, "localhost-ssh", command, getpass.getuser(), port, host_key, emulated=False)


def _configure(folder: Path, place: Path, seen_as: str) -> tuple[str, int]:
    """Write keys and configuration to `place`, which sshd sees as `seen_as`; returns the host key and a free port."""
    place.mkdir(parents=True, exist_ok=True)
    host_key = _make_key(place / "host_key")
    login = _make_key(folder / "id_ed25519")
    (place / "authorized_keys").write_text(f"{login}\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    settings = CONFIG.format(port=port, folder=seen_as)
    home = os.environ.get("EDGEPIPE_HOME")
    if home and place == folder:
        settings += f'SetEnv "EDGEPIPE_HOME={home}"\n'
    (place / "sshd_config").write_text(settings)
    return host_key, port


def _make_key(path: Path) -> str:
    """Write an Ed25519 key; returns its public line."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _launch(folder: Path, name: str, command: list[str], user: str, port: int, host_key: str, *, emulated: bool) -> Running:
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    end = monotonic() + START_S
    while not _answers(port):
        if process.poll() is not None or monotonic() > end:
            process.kill()
            process.wait()
            said = (folder / "sshd.log").read_text(errors="replace").splitlines()[-5:]
            raise InfrastructureError(f"the sshd of {name} did not start", problems=said or ["it said nothing"])
        sleep(0.1)
    found = Running(
        name=name,
        user=user,
        port=port,
        pid=process.pid,
        started=_started(process.pid) or 0,
        host_key=host_key,
        key=str(folder / "id_ed25519"),
        emulated=emulated,
    )
    write_whole(folder / "running.json", json.dumps(asdict(found)))
    return found


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            return line.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False


def _started(pid: int) -> int | None:
    """Return when a process started, None where there is none (proc(5), stat field 22; state Z is one that has ended)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
