"""Canary secrets: every verb that goes over SSH, in good order and in every kind of trouble, and no secret in anything it leaves.

The secrets are a key's passphrase, the lines of private keys, and variables whose names say that they are secret. What is looked
at: both outputs, every file that was written here or on the board, every process' arguments, and the board's environments.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import result
from benchmarks.synthetic import convolution
from edgepipe.devices.transports.ssh import PASSPHRASE
from edgepipe.errors import InternalError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fault_proxy import Faults, proxy_to
from sshd import Sshd, descendants, make_key, running

LONGEST_S = 180.0
LOOK_EVERY_S = 0.03
DEVICE = ("--device", "board")
VERBS: dict[str, tuple[str, ...]] = {
    "bench": ("bench", "MODEL", *DEVICE, "--blocks", "1"),
    "bench --json": ("bench", "MODEL", *DEVICE, "--blocks", "1", "--json"),
    "eval": ("eval", "MODEL", "--data", "DATA", *DEVICE),
    "parity": ("parity", "MODEL", *DEVICE, "--samples", "3"),
    "sign": ("sign", "OTHER", "--key", "SIGNING", "--version", "2"),
    "deploy": ("deploy", "MODEL", *DEVICE, "--yes", "--no-reboot-protection"),
    "deploy --no-confirm": ("deploy", "OTHER", *DEVICE, "--yes", "--no-reboot-protection", "--no-confirm", "--json"),
    "confirm": ("confirm", *DEVICE),
    "rollback": ("rollback", *DEVICE, "--reason", "a canary"),
    "farm list": ("farm", "list"),
    "farm probe": ("farm", "probe", "board"),
    "farm probe --json": ("farm", "probe", "board", "--json"),
    "farm provision": ("farm", "provision", "board"),
    "farm status": ("farm", "status", "board", "--json"),
    "farm add": ("farm", "add", "new", "--ssh", "WHERE", "--key", "KEY", "--yes"),
}
# In trouble, those that do no more than these before and after they connect are left out.
IN_TROUBLE = ("bench --json", "eval", "deploy", "confirm", "rollback", "farm probe", "farm provision", "farm status", "farm add")
ALL_VERBS = ("in good order", "models are signed")
AFTERWARDS = (("report", "--to", "report.html", "--to", "report.md", "--to", "report.json"), ("report",))


@dataclass(frozen=True)
class Secret:
    """One secret, and the pieces of it by which it is known in whatever disguise."""

    name: str
    value: str

    @classmethod
    def variable(cls, name: str, rng: random.Random) -> Secret:
        """A value that JSON, YAML, a shell and repr each write in their own way; the two halves of it are unmistakable."""
        return cls(name, f"{rng.randbytes(6).hex()}\"\\ü$x' {rng.randbytes(6).hex()}")

    @property
    def pieces(self) -> list[bytes]:
        """Long runs of letters and digits, as they are, in base64 at any offset, in hexadecimal and backwards."""
        plain = [run.encode() for run in re.findall(r"[A-Za-z0-9+/=]{12,}", self.value)]
        coded = [base64.b64encode(bytes(offset) + run)[4:-4] for run in plain for offset in range(3)]
        return [*plain, *coded, *(run.hex().encode() for run in plain), *(run[::-1] for run in plain)]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One kind of trouble. `transport` and `signing` are for the inventory, `server` for sshd_config, `faults` are the network's.

    `signal_after_s` interrupts the command; `variables` are those that it is given beside the secret ones, None takes one away.
    """

    transport: Mapping[str, object] = field(default_factory=dict)
    signing: str | None = None  # the file of a key
    server: str = ""
    faults: Faults | None = None
    signal_after_s: float | None = None
    number: signal.Signals = signal.SIGINT
    variables: Mapping[str, str | None] = field(default_factory=dict)


@dataclass
class Stage:
    """A board, a host with secrets, and what was seen of them."""

    folder: Path
    secrets: list[Secret]
    rng: random.Random
    commands: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    processes: dict[tuple[int, str], bytes] = field(default_factory=dict)  # what was seen of each, and in which part
    _files_seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    @property
    def host(self) -> Path:
        """Where the host keeps all that it writes: results, caches, temporary files, its user's home."""
        return self.folder / "host"

    def environment(self, scene: Scene) -> dict[str, str]:
        """The secrets, and places of its own for everything else."""
        for name in ("results", "cache", "tmp", "home"):
            (self.host / name).mkdir(parents=True, exist_ok=True)
        places = {"EDGEPIPE_RESULTS": "results", "XDG_CACHE_HOME": "cache", "TMPDIR": "tmp", "HOME": "home"}
        given = {**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONFAULTHANDLER": "1"}
        given |= {name: str(self.host / place) for name, place in places.items()}
        given |= {secret.name: secret.value for secret in self.secrets if secret.name.isupper()}
        for name, value in scene.variables.items():
            given.pop(name, None)
            given |= {} if value is None else {name: value}
        return given

    def run(self, arguments: Sequence[str], scene: Scene, what: str, server: Sshd | None) -> None:
        """Run a command as a user does, watch all processes meanwhile, and look for secrets in all that it leaves."""
        command = [sys.executable, "-c", "from edgepipe.cli import main; main()", *arguments]
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(what, server, over), daemon=True)
        watcher.start()
        process = subprocess.Popen(
            command, cwd=self.host, env=self.environment(scene), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if scene.signal_after_s is not None:
            time.sleep(scene.signal_after_s)
            process.send_signal(scene.number)
        try:
            out, err = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # at which Python says where it stands
            out, err = process.communicate()
            self.bugs.append(f"{what}: still runs after {LONGEST_S:g} s: {err.decode(errors='replace')[-4000:]}")
        over.set()
        watcher.join()
        self.commands += 1
        self.codes[str(process.returncode)] += 1
        if process.returncode == InternalError.exit_code:  # a bug, and its traceback is where a secret could stand
            self.bugs.append(f"{what}: {err.decode(errors='replace').strip()}")
        self.look(out, f"{what}: standard output")
        self.look(err, f"{what}: standard error")
        self.look_at_files(what)

    def look(self, content: bytes, where: str) -> None:
        """Note each secret that stands in the content."""
        for secret in self.secrets:
            if any(piece in content for piece in secret.pieces):
                self.found.append(f"{secret.name} in {where}")

    def look_at_files(self, what: str) -> None:
        """Look into every file that is new or has changed, here and on the board, but for those that hold secrets by design."""
        own = {self.folder / "keys", self.folder / "sshd"}
        for path in self.folder.rglob("*"):
            with suppress(OSError):
                state = path.stat()
                if (
                    path.is_file()
                    and not own & set(path.parents)
                    and self._files_seen.get(path) != (state.st_mtime_ns, state.st_size)
                ):
                    self._files_seen[path] = (state.st_mtime_ns, state.st_size)
                    if path.name != "farm_inventory.yaml":  # its user wrote it
                        self.look(path.read_bytes(), f"{what}: {path.relative_to(self.folder)}")

    def _watch(self, what: str, server: Sshd | None, over: threading.Event) -> None:
        while not over.wait(LOOK_EVERY_S):
            for process in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
                self._look_at_process(process, "cmdline", what)
            for process in descendants(server.process.pid) if server and server.process else []:
                self._look_at_process(process, "environ", what)

    def _look_at_process(self, pid: int, part: str, what: str) -> None:
        with suppress(OSError):
            content = Path(f"/proc/{pid}/{part}").read_bytes()
            if self.processes.get((pid, part)) != content:
                self.processes[pid, part] = content
                self.look(content, f"{what}: {part} of a process")


def scenes(folder: Path, talk: str) -> dict[str, Scene]:
    """Return the kinds of trouble. `talk`: a program that says the host's secrets, as a board would that has learnt them."""
    stranger, wrong = folder / "keys" / "stranger", (folder / "keys" / "other.pub").read_text().strip()
    other_passphrase = json.loads((folder / "keys" / "wrong.json").read_text())
    return {
        "in good order": Scene(),
        "wrong passphrase": Scene(variables={PASSPHRASE: other_passphrase}),
        "no passphrase": Scene(variables={PASSPHRASE: None}),
        "a key that the board does not know": Scene(transport={"key": str(stranger)}),
        "a broken key": Scene(transport={"key": str(folder / "keys" / "broken")}),
        "another host key": Scene(transport={"host_key": wrong}),
        "nobody listens": Scene(transport={"port": 1}),
        "a board that says secrets to standard error": Scene(server=f"ForceCommand {talk} >&2; exit 3"),
        "a board that says secrets to standard output": Scene(server=f"ForceCommand {talk}"),
        "a banner of secrets": Scene(server=f"Banner {folder / 'keys' / 'banner'}"),
        "a Python whose name is secret": Scene(transport={"python": f"/no/{_piece(folder)}/python"}),
        "cut early": Scene(faults=Faults(reset_at=3000)),
        "cut late": Scene(faults=Faults(reset_at=9000, backwards=True)),
        "models are signed": Scene(signing=str(folder / "keys" / "signing")),
        "a key to sign with that has a passphrase": Scene(signing=str(folder / "keys" / "locked_signing")),
        "Ctrl-C": Scene(signal_after_s=1.0),
        "SIGTERM": Scene(signal_after_s=1.2, number=signal.SIGTERM),
    }


def _piece(folder: Path) -> str:
    """A secret that may stand in a path."""
    return (folder / "keys" / "path").read_text()


@contextmanager
def stage(folder: Path, seed: int) -> Iterator[Stage]:
    """A host with secrets: variables, a private key with a passphrase, and others that are wrong or broken."""
    rng, keys = random.Random(seed), folder / "keys"
    keys.mkdir(parents=True)
    names = (PASSPHRASE, "FARM_PASSWORD", "DEPLOY_API_TOKEN", "AWS_SECRET_ACCESS_KEY", "BOARD_CREDENTIALS")
    secrets = [Secret.variable(name, rng) for name in names]
    path = Secret("PATH_TOKEN", rng.randbytes(8).hex())
    wrong = Secret.variable("wrong passphrase", rng)
    make_key(keys / "locked", "ed25519", passphrase=secrets[0].value)
    make_key(keys / "locked_signing", "ed25519", passphrase=secrets[1].value)
    for name in ("stranger", "other", "signing"):
        make_key(keys / name, "ed25519")
    (keys / "broken").write_text("\n".join((keys / "stranger").read_text().splitlines()[:3]) + "\n")
    for name in (
        "locked",
        "stranger",
        "signing",
        "locked_signing",
    ):  # what stands in the first lines is the same in every key, or public
        secrets += [Secret(f"the key {name}", line) for line in (keys / name).read_text().splitlines()[3:-1]]
    secrets += [path, wrong]
    (keys / "path").write_text(path.value)
    (keys / "wrong.json").write_text(json.dumps(wrong.value))
    (keys / "banner").write_text("".join(f"{secret.value}\n" for secret in secrets))
    (keys / "talk").write_text(f"#!/bin/sh\ncat {keys}/banner\ncat {keys}/locked\n")
    (keys / "talk").chmod(0o755)
    yield Stage(folder, secrets, rng)


def act(there: Stage, scene: Scene, name: str, verbs: Iterable[str]) -> None:
    """Play one scene: a server with its trouble, and each verb."""
    with ExitStack() as stack:
        server = stack.enter_context(running(there.folder / "sshd", there.folder / "home", more=scene.server))
        known = (server.folder / "user_key.pub").read_text() + (there.folder / "keys" / "locked.pub").read_text()
        (server.folder / "authorized_keys").write_text(known)
        port = server.port if scene.faults is None else stack.enter_context(proxy_to(server.port, scene.faults)).port
        link = server.link(port=port)
        fields = {"kind": "ssh", "host": link.host, "port": port, "user": link.user, "key": str(there.folder / "keys" / "locked")}
        fields |= {"host_key": link.host_key, "python": link.python, **scene.transport}
        there.host.mkdir(exist_ok=True)
        words = {"MODEL": "good.tflite", "OTHER": "other.tflite", "DATA": "test.npz", "KEY": str(fields["key"])}
        words["SIGNING"] = scene.signing or str(there.folder / "keys" / "signing")
        words["WHERE"] = f"{link.user}@{link.host}:{fields['port']}"
        for verb in verbs:
            entry = {"board": "linux", "target": "host", "transport": fields}
            entry |= {"signing": {"key": scene.signing}} if scene.signing else {}
            (there.host / "farm_inventory.yaml").write_text(json.dumps({"schema": 1, "devices": {"board": entry}}))
            there.run([words.get(word, word) for word in VERBS[verb]], scene, f"{name}: {verb}", server)


def _models(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "good.tflite").write_bytes(convolution(side=4, channels=2))
    (folder / "other.tflite").write_bytes(convolution(side=4, channels=2, seed=1))
    pictures = np.random.default_rng(0).random((5, 4, 4, 2), np.float32)
    np.savez(folder / "test.npz", x=pictures, y=np.zeros_like(pictures))


def controls(there: Stage, server_says: str) -> dict[str, bool]:
    """Return whether a secret would have been found: in an output, a file, a process' arguments, and said by the board."""
    secret = there.secrets[0]
    said = subprocess.run([server_says], capture_output=True, check=True).stdout
    probe = Stage(there.folder, there.secrets, there.rng)
    probe.look(said, "the board")
    (there.folder / "planted").write_text(json.dumps([secret.value]))
    probe.look_at_files("a file")
    (there.folder / "planted").unlink()
    over = threading.Event()
    watcher = threading.Thread(target=probe._watch, args=("arguments", None, over), daemon=True)
    watcher.start()
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", secret.value], check=True)
    over.set()
    watcher.join()
    return {
        "said by the board": any("the board" in line for line in probe.found),
        "in a file": any("planted" in line for line in probe.found),
        "in a process' arguments": any("cmdline" in line for line in probe.found),
    }


def measure(
    folder: Path,
    seed: int,
    *,
    only: Sequence[str] = (),
    verbs: Sequence[str] = tuple(VERBS),
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, object]:
    """Play the scenes, all unless `only` some, with these verbs, and return what was found."""
    with stage(folder, seed) as there:
        _models(there.host)
        talk = str(folder / "keys" / "talk")
        played = {name: scene for name, scene in scenes(folder, talk).items() if not only or name in only}
        for name, scene in played.items():
            act(there, scene, name, [verb for verb in verbs if verb in IN_TROUBLE or name in ALL_VERBS])
            say(f"{name}: {there.commands} commands so far, {len(there.found)} secrets, {len(there.bugs)} bugs")
        for words in AFTERWARDS:
            there.run(words, Scene(), "afterwards: report", None)
        sings = controls(there, talk)
    return {
        "scenes": list(played),
        "verbs": list(verbs),
        "verbs_in_trouble": [verb for verb in verbs if verb in IN_TROUBLE],
        "commands": there.commands,
        "exit_codes": dict(sorted(there.codes.items())),
        "internal_errors_and_hangs": there.bugs,
        "secrets_planted": len(there.secrets),
        "processes_looked_at": len({pid for pid, _ in there.processes}),
        "files_looked_at": len(there._files_seen),
        "secrets_found": sorted(set(there.found)),
        "would_have_been_found": sings,
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(given: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/canary_secrets.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--only", nargs="*", default=[], metavar="SCENE")
    options = parser.parse_args(given)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # one that runs in the background ignores it, and its children
    with tempfile.TemporaryDirectory(prefix="edgepipe-canary-") as folder:
        figures = {**measure(Path(folder) / "stage", options.seed, only=options.only, say=_say), "seed": options.seed}
    print(json.dumps(figures, indent=2))
    if not options.only:
        print(result.write("canary_secrets", "python -m benchmarks.canary_secrets", figures))


if __name__ == "__main__":
    main()
