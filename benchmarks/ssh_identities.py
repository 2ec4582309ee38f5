"""Wrong machines at a board's address: unknown, changed and downgraded host keys, each refused before anybody logs in."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import result
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import EdgepipeError, HostKeyRefused, InventoryError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sshd import Sshd, make_key, running

SOON = 20.0
Case = tuple[Sshd, str]  # a machine and what the inventory pins for it


def changed(servers: list[Sshd], rng: random.Random) -> Case:
    """A machine that was installed anew: the same kind of key, another key."""
    return servers[0], _other_key(servers[0], "ed25519")


def unknown(servers: list[Sshd], rng: random.Random) -> Case:
    """A machine for which nothing that is a key was pinned."""
    kind, body, *_ = servers[0].host_key().split()
    pins = ["", "*", "none", kind, body, f"{kind} ", f"{kind} AAAA", f"{kind} {body[:-8]}", f"@cert-authority * {kind} {body}"]
    return servers[0], rng.choice(pins)


def downgraded(servers: list[Sshd], rng: random.Random) -> Case:
    """A machine that has lost the pinned kind of key and shows a key of an older kind, or a pin of a kind that is not safe."""
    pinned = servers[0].host_key()
    if rng.random() < 0.2:
        return servers[0], f"ssh-dss {pinned.split()[1]}"
    return rng.choice(servers[1:]), pinned


def _other_key(server: Sshd, kind: str) -> str:
    path = server.folder / f"other_{kind}"
    make_key(path, kind)
    return path.with_suffix(".pub").read_text().strip()


CASES: dict[str, Callable[[list[Sshd], random.Random], Case]] = {"changed": changed, "unknown": unknown, "downgraded": downgraded}


def attempt(server: Sshd, pin: str) -> str:
    """Return what became of a connection that pins `pin`."""
    try:
        transport = SshTransport("board", server.link(host_key=pin))
    except InventoryError:
        return "refused as no pin"
    try:
        transport.open(deadline_s=SOON)
    except HostKeyRefused as exc:
        shown = [problem for problem in exc.problems if "SHA256:" in problem]
        return "refused with both fingerprints" if len(shown) == 2 else "refused"
    except EdgepipeError as exc:
        return f"another error: {exc.slug}"
    finally:
        transport.close()
    return "ACCEPTED"


def measure(folder: Path, count: int, seed: int) -> dict[str, object]:
    """Return the outcomes of `count` wrong identities; the right one is accepted before and after."""
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in CASES}
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running(folder / kind, folder / "home", host_keys=[kind], more="LogLevel VERBOSE"))
            for kind in ("ed25519", "ecdsa", "rsa")
        ]
        before = [attempt(server, server.host_key()) for server in servers]
        for index in range(count):
            name = list(CASES)[index % len(CASES)]
            outcomes[name][attempt(*CASES[name](servers, random.Random(f"{seed} {index}")))] += 1
        after = [attempt(server, server.host_key()) for server in servers]
        logins = sum((server.folder / "log").read_text().count("Accepted publickey") for server in servers)
    return {
        "wrong_identities": count,
        "outcomes": {name: dict(sorted(found.items())) for name, found in outcomes.items()},
        "accepted": sum(found["ACCEPTED"] for found in outcomes.values()),
        "logins_with_a_wrong_identity": logins - len(before) - len(after),
        "the_right_ones_before_and_after": [*before, *after],
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/ssh_identities.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edgepipe-identities-") as folder:
        figures = {**measure(Path(folder), options.count, options.seed), "seed": options.seed}
    print(json.dumps(figures, indent=2))
    print(result.write("ssh_identities", "python -m benchmarks.ssh_identities", figures))


if __name__ == "__main__":
    main()
