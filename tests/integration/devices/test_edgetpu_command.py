"""Commands for a Coral board, over a real sshd, with a library that works in libedgetpu's place."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from commandline import Command
from edgetpu_library import build
from sshd import running

from benchmarks.synthetic import for_edge_tpu

SHARE = "50.0 % of the multiply-accumulates on the Edge TPU"


@pytest.fixture
def edgepipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("EDGEPIPE_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("COLUMNS", "160")
    return Command(tmp_path)


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(for_edge_tpu())
    path.with_name("model.tflite").write_bytes(for_edge_tpu(compiled=False))
    return path


def farm(folder: Path, **devices: object) -> None:
    (folder / "farm_inventory.yaml").write_text(json.dumps({"schema": 1, "devices": devices}))


def test_a_compiled_model_is_measured_and_deployed_there_with_its_share(edgepipe: Command, compiled: Path, tmp_path: Path) -> None:
    library, home = build("works", tmp_path / "libraries"), tmp_path / "board"
    with running(tmp_path / "sshd", home, more=f"SetEnv LD_LIBRARY_PATH={library} EDGEPIPE_HOME={home} SHLVL=1") as sshd:
        farm(tmp_path, dev={"board": "coral", "target": "coral", "transport": asdict(sshd.link())})

        done = edgepipe("bench", compiled, "--device", "dev", "--blocks", "1", "--json")
        assert done.code == 0, done.err
        record = done.json["runs"][0]["record"]
        assert (record["runtime"]["delegate"], record["tpu_mac_share"]) == ("edgetpu", 0.5)
        assert record["blocks"][0]["delegate_ns"] > 0

        shown = edgepipe("report", "--run", record["id"][:8], "--to", tmp_path / "report.html", "--to", tmp_path / "report.md")
        assert shown.code == 0, shown.err
        for page in ("report.html", "report.md"):
            assert SHARE in (tmp_path / page).read_text()
        assert SHARE in shown.out

        done = edgepipe("deploy", compiled, "--device", "dev", "--yes", "--no-reboot-protection", "--json")
        assert done.code == 0, done.err
        assert done.json["deployments"][0]["deployed"]["outcome"] == "committed"

        compiled.with_name("model.tflite").unlink()
        done = edgepipe("deploy", compiled, "--device", "dev", "--yes", "--no-reboot-protection")
        assert done.code == 2
        assert "golden" in done.err


def test_a_board_without_one_is_not_even_connected_to(edgepipe: Command, compiled: Path, tmp_path: Path, agent_home: Path) -> None:
    nobody = {"kind": "ssh", "host": "192.0.2.1", "user": "edge", "key": "none", "host_key": "ssh-ed25519 AAAA"}
    farm(
        tmp_path,
        pi4={"board": "linux", "target": "pi", "transport": nobody},
        dev={"board": "coral", "target": "coral", "transport": nobody},
    )
    for verb in (["bench", compiled], ["deploy", compiled, "--yes"], ["eval", compiled, "--data", tmp_path / "test.npz"]):
        if verb[0] == "eval":
            pictures = np.random.default_rng(0).random((2, 4, 4, 2), "f4")
            np.savez(tmp_path / "test.npz", x=pictures, y=pictures)
        done = edgepipe(*verb, "--device", "pi4,dev")
        assert done.code == 2, (verb, done.err)
        assert 'pi4 is for "pi"' in done.err
    assert not agent_home.exists()


def test_cores_that_are_no_list_are_refused(edgepipe: Command, compiled: Path) -> None:
    done = edgepipe("bench", compiled.with_name("model.tflite"), "--affinity", "3-1")
    assert done.code == 2
    assert "no list of cores" in done.err
    done = edgepipe("bench", compiled.with_name("model.tflite"), "--affinity", "0", "--blocks", "1", "--json")
    assert done.json["runs"][0]["record"]["runtime"]["affinity"] == [0]
