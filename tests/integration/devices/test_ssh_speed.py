"""What goes over the wire, and how often: one connection for a whole command, and no byte of what the board has already."""

from __future__ import annotations

from pathlib import Path
from random import Random

from commandline import Command
from fault_proxy import proxy_to
from sshd import Sshd

from benchmarks.ssh_overhead import write_inventory
from benchmarks.synthetic import convolution

DEPLOY = ("--device", "board", "--yes", "--no-reboot-protection", "--json")


def test_a_bench_is_one_connection(edgepipe: Command, sshd: Sshd, good: Path) -> None:
    with proxy_to(sshd.port) as proxy:
        write_inventory(sshd, edgepipe.folder / "farm_inventory.yaml", port=proxy.port)
        done = edgepipe("bench", good, "--device", "board", "--blocks", 1, "--quiet")
        assert (done.code, proxy.connections) == (0, 1), done.err


def test_a_deploy_of_an_unchanged_model_sends_no_byte_of_it(edgepipe: Command, sshd: Sshd, tmp_path: Path) -> None:
    model = tmp_path / "large.tflite"
    model.write_bytes(convolution(side=4, channels=2) + Random(1).randbytes(2_000_000))
    with proxy_to(sshd.port) as proxy:
        write_inventory(sshd, edgepipe.folder / "farm_inventory.yaml", port=proxy.port)
        first = edgepipe("deploy", model, *DEPLOY)
        assert first.code == 0, first.err
        before = proxy.passed_bytes
        assert before > model.stat().st_size
        again = edgepipe("deploy", model, *DEPLOY)
        assert again.json["deployments"][0]["deployed"]["sent_bytes"] == 0
        assert proxy.passed_bytes - before < model.stat().st_size / 50
