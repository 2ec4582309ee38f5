"""Hostile names and arguments over SSH: no shell on the board ever sees one, and no secret of the host's shows in what is said."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks import result
from edgepipe.devices import agent_bundle
from edgepipe.devices.agent.lines import decode, encode
from edgepipe.devices.protocols import Channel
from edgepipe.devices.transports.ssh import PASSPHRASE, SshTransport
from edgepipe.errors import DeviceUnreachable, EdgepipeError, UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sshd import Sshd, make_key, running

SOON = 20.0
SECRET = "canary-3d1f5c"
SHELL = (
    "$({})",
    "`{}`",
    ";{};",
    "|{}|",
    "&& {} &&",
    "\n{}\n",
    "'; {} ; '",
    '"; {} ; "',
    "' $({}) '",
    "\\$({})",
    "${{IFS}}{}",
    ">{}",
)
PATHS = (
    "../{}",
    "../../{}",
    "/{}",
    "./../{}",
    "~/{}",
    "{}/..",
    "{}\0",
    "-{}",
    "--{}=x",
    "{}\r",
    "\x1b[31m{}",
    "\u202e{}",
    "a" * 250 + "{}",
)
REQUESTS = (
    {"do": "has", "sha256": ""},
    {"do": "store", "path": "", "sha256": ""},
    {"do": "runtime", "runtime": "", "delegate": "none", "threads": 1},
    {"do": "runtime", "runtime": "litert", "delegate": "", "threads": 1},
    {"do": "hello", "holder": "", "heartbeat_s": 60},
    {"do": ""},
    {"do": "measure", "sha256": "", "options": {}, "request": {}},
)


def hostile(rng: random.Random, canary: Path) -> str:
    """Return a string that would create the canary if a shell saw it, or a file elsewhere if a path were made of it."""
    if rng.random() < 0.6:
        inner = rng.choice([f"touch {canary}", f"touch${{IFS}}{canary}", f"id>{canary}", f"cp /etc/hostname {canary}"])
        return rng.choice(["", "model", "a.tflite "]) + rng.choice(SHELL).format(inner)
    return rng.choice(PATHS).format(rng.choice([canary.name, "model", str(canary)]))


def names(transport: SshTransport, source: Path, canary: Path, count: int, rng: random.Random) -> Counter[str]:
    """Put a file under hostile names."""
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        try:
            transport.put(source, hostile(rng, canary), deadline_s=SOON)
        except UsageError:
            outcomes["refused"] += 1
        else:
            outcomes["ACCEPTED"] += 1
    return outcomes


def arguments(transport: SshTransport, agent: str, canary: Path, count: int, rng: random.Random) -> Counter[str]:
    """Give the agent hostile arguments as JSON; it refuses, takes them for mere text, or ends, and then the next one starts."""
    outcomes: Counter[str] = Counter()
    channel: Channel | None = None
    for number in range(count):
        if channel is None:
            channel = transport.start_agent(agent, deadline_s=SOON)
            channel.receive(deadline_s=SOON)
        request = {"id": number, **rng.choice(REQUESTS)}
        fields = [key for key, value in request.items() if value == ""]
        request |= {key: hostile(rng, canary) for key in fields}
        try:
            channel.send(encode(request), deadline_s=SOON)
            answer = decode(channel.receive(deadline_s=SOON))
        except DeviceUnreachable:
            outcomes["the agent ended"] += 1
            channel.close()
            channel = None
        else:
            outcomes["refused" if "error" in answer else "taken as text"] += 1
    if channel is not None:
        channel.close()
    return outcomes


def pythons(server: Sshd, agent: str, canary: Path, count: int, rng: random.Random) -> Counter[str]:
    """Start the agent with a hostile name for Python, and from a hostile path."""
    outcomes: Counter[str] = Counter()
    for index in range(count):
        python, file = (hostile(rng, canary), agent) if index % 2 else ("python3", hostile(rng, canary))
        transport = SshTransport("board", server.link(python=python))
        transport.open(deadline_s=SOON)
        try:
            transport.start_agent(file, deadline_s=SOON).receive(deadline_s=SOON)
        except DeviceUnreachable:
            outcomes["did not start"] += 1
        else:
            outcomes["STARTED"] += 1
        transport.close()
    return outcomes


def canary_sings(transport: SshTransport, canary: Path) -> bool:
    """Return whether a shell on this server would create the canary: else its silence would prove nothing."""
    assert transport._link is not None
    session = transport._link.transport.open_session(timeout=SOON)
    session.exec_command(f"echo model $(touch {canary})")
    session.recv_exit_status()
    sings = canary.exists()
    canary.unlink(missing_ok=True)
    return sings


def secrets(server: Sshd, folder: Path) -> dict[str, object]:
    """Return how often a secret shows in errors that are about keys, passwords and what the board says back."""
    locked = folder / "locked"
    make_key(locked, "ed25519", passphrase=SECRET)
    broken = folder / "broken"
    broken.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n")
    said: list[str] = []
    surroundings: list[tuple[Mapping[str, str], dict[str, object]]] = [
        ({PASSPHRASE: SECRET}, {"key": str(locked)}),
        ({PASSPHRASE: f"{SECRET}-wrong"}, {"key": str(locked)}),
        ({}, {"key": str(locked)}),
        ({}, {"key": str(broken)}),
        ({"FARM_PASSWORD": SECRET}, {"python": f"/no/{SECRET}/python"}),
        ({"API_TOKEN": SECRET}, {"python": f"/no/{SECRET}/python"}),
    ]
    for environment, fields in surroundings:
        transport = None
        try:
            transport = SshTransport("board", server.link(**fields), environment)
            transport.open(deadline_s=SOON)
            transport.start_agent("/nowhere", deadline_s=SOON).receive(deadline_s=SOON)
        except EdgepipeError as exc:
            said.append(str(exc))
        finally:
            if transport is not None:
                transport.close()
    return {"errors_provoked": len(said), "with_a_secret_in_them": sum(SECRET in text for text in said)}


def measure(folder: Path, count: int, seed: int) -> dict[str, object]:
    """Return the counts over `count` hostile strings, half of them names of files and half arguments of the agent's."""
    folder.mkdir(exist_ok=True)
    rng, canary = random.Random(seed), folder / "canary"
    source = folder / "agent.pyz"
    source.write_bytes(agent_bundle.build().content)
    with running(folder / "sshd", folder / "home") as server:
        transport = SshTransport("board", server.link())
        transport.open(deadline_s=SOON)
        sings = canary_sings(transport, canary)
        agent = transport.put(source, source.name, deadline_s=SOON)
        before = _elsewhere(folder)
        outcomes = {
            "names_of_files": names(transport, source, canary, count - count // 2, rng),
            "arguments_of_the_agent": arguments(transport, agent, canary, count // 2, rng),
            "pythons_and_paths": pythons(server, agent, canary, max(4, count // 250), rng),
        }
        created = sorted(str(path.relative_to(folder)) for path in _elsewhere(folder) - before)
        with suppress(EdgepipeError):
            transport.close()
        shown = secrets(server, folder)
    return {
        "hostile_strings": sum(sum(found.values()) for found in outcomes.values()),
        "outcomes": {name: dict(sorted(found.items())) for name, found in outcomes.items()},
        "canary_sings_in_a_shell": sings,
        "shell_effects": int(canary.exists()),
        "files_created_elsewhere": created,
        "secrets": shown,
    }


def _elsewhere(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "home" not in path.relative_to(folder).parts[:1] and path.name != "log"}


def main(given: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/ssh_hostile_names.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="edgepipe-hostile-") as folder:
        figures = {**measure(Path(folder), options.count, options.seed), "seed": options.seed}
    print(json.dumps(figures, indent=2))
    print(result.write("ssh_hostile_names", "python -m benchmarks.ssh_hostile_names", figures))


if __name__ == "__main__":
    main()
