"""`edgepipe deploy`, `confirm` and `rollback` as a user types them, on this machine."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from commandline import Command

from benchmarks.deployments import current
from benchmarks.synthetic import convolution
from edgepipe.errors import Interrupted, Terminated
from edgepipe.events import Event, Note
from edgepipe.workflows.deploy import Wishes, deploy, plan, rollback

HERE = ("--device", "local", "--no-reboot-protection")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "good.tflite"
    path.write_bytes(convolution(side=4, channels=2))
    return path


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_model_is_deployed_once_and_what_goes_where_is_said_first(edgepipe: Command, model: Path, agent_home: Path) -> None:
    done = edgepipe("deploy", model, *HERE, "--yes", "--json")
    assert done.code == 0, done.err
    (cell,) = done.json["deployments"]
    assert cell["deployed"]["outcome"] == "committed"
    assert cell["deployed"]["sent_bytes"] == model.stat().st_size
    assert done.err.splitlines()[0].startswith(f"local: good.tflite, {model.stat().st_size} bytes, sha256 {sha256_of(model)[:12]}")
    assert current(agent_home) == sha256_of(model)
    again = edgepipe("deploy", model, *HERE, "--yes", "--json")
    assert again.json["deployments"][0]["deployed"]["sent_bytes"] == 0
    assert again.json["deployments"][0]["deployed"]["unchanged"]


def test_without_a_yes_nothing_is_sent(edgepipe: Command, model: Path, agent_home: Path) -> None:
    done = edgepipe("deploy", model, *HERE)
    assert done.code == 2
    assert "--yes" in done.err
    assert not agent_home.exists()


def test_a_trial_is_kept_by_confirm_and_undone_by_rollback(
    edgepipe: Command, model: Path, tmp_path: Path, agent_home: Path
) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(convolution(side=4, channels=2, seed=1))
    assert edgepipe("deploy", model, *HERE, "--yes").code == 0
    left = edgepipe("deploy", other, *HERE, "--yes", "--no-confirm", "--deadline", "300")
    assert left.code == 0
    assert "edgepipe confirm --device local" in left.out
    assert current(agent_home) == sha256_of(other)
    assert edgepipe("confirm", "--device", "local").code == 0
    assert edgepipe("rollback", "--device", "local", "--json").json["current"] == sha256_of(model)
    assert current(agent_home) == sha256_of(model)
    none_left = edgepipe("rollback", "--device", "local")
    assert (none_left.code, edgepipe("confirm", "--device", "local").code) == (2, 2)


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), Terminated("stopped by SIGTERM")])
def test_one_that_is_stopped_says_which_board_may_have_a_trial_and_begins_no_other(
    model: Path, tmp_path: Path, agent_home: Path, stopped: BaseException
) -> None:
    inventory = tmp_path / "farm_inventory.yaml"
    boards = [f"  {name}: {{board: linux, target: host, transport: {{kind: local}}}}" for name in ("first", "second")]
    inventory.write_text("\n".join(["schema: 1", "devices:", *boards]) + "\n")

    def stop_during_the_trial(event: Event) -> None:
        if isinstance(event, Note) and "health check passed" in event.text:
            raise stopped

    planned = plan(str(model), device="*", inventory=inventory)
    with pytest.raises((Interrupted, Terminated)) as caught:
        deploy(planned, Wishes(protected=False), emit=stop_during_the_trial)
    assert isinstance(caught.value, Terminated) == isinstance(stopped, Terminated)
    assert caught.value.problems == (
        "first: it may have the model on trial, and then goes back by itself within 120 s",
        "second: nothing was sent",
    )
    assert rollback("first", inventory=inventory).current is None


def test_quiet_says_the_result_only(edgepipe: Command, model: Path, agent_home: Path) -> None:
    done = edgepipe("deploy", model, *HERE, "--yes", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "is current" in done.out


def test_a_slow_model_is_exit_code_6_and_never_stays(edgepipe: Command, model: Path, agent_home: Path) -> None:
    done = edgepipe("deploy", model, *HERE, "--yes", "--slowest-ms", "0.00001")
    assert done.code == 6
    assert "slow" in done.out
    assert current(agent_home) is None


def test_a_bundle_brings_its_own_golden_samples(edgepipe: Command, model: Path, agent_home: Path) -> None:
    assert edgepipe("bundle", model, "--to", "good.bundle", "--target", "host", "--golden", "4").code == 0
    done = edgepipe("deploy", "good.bundle", *HERE, "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json["deployments"][0]["deployed"]["measured"]["samples"] == 4


def test_a_board_that_keeps_no_models_is_named(edgepipe: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_text("schema: 1\ndevices:\n  ghost: {board: fake, target: host, transport: {kind: fake}}\n")
    done = edgepipe("deploy", model, "--device", "ghost", "--inventory", "farm.yaml", "--yes", "--json")
    assert done.code == 2
    assert "keeps no models" in done.json["deployments"][0]["error"]["message"]


def artefact(results: Path, content: bytes, name: str | None = None) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    folder = results / "artefacts" / (name or sha256)
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(content)
    return folder.name


def test_the_beginning_of_a_hash_names_an_artefact_and_an_ambiguous_one_lists_them(
    edgepipe: Command, tmp_path: Path, agent_home: Path
) -> None:
    results = tmp_path / "results"
    first = artefact(results, convolution(side=4, channels=2))
    second = artefact(results, convolution(side=4, channels=2, seed=1), first[:8] + "0" * 56)
    done = edgepipe("deploy", first[:8], *HERE, "--yes", EDGEPIPE_RESULTS=str(results))
    assert done.code == 2
    assert first in done.err
    assert second in done.err
    assert edgepipe("deploy", first[:16], *HERE, "--yes", EDGEPIPE_RESULTS=str(results)).code == 0
    assert current(agent_home) == first


def test_with_nothing_made_yet_it_says_how_to_begin(edgepipe: Command, tmp_path: Path) -> None:
    done = edgepipe("deploy", *HERE, "--yes", EDGEPIPE_RESULTS=str(tmp_path / "none"))
    assert done.code == 2
    assert "edgepipe compress" in done.err


def test_protection_is_installed_when_asked_for_and_recorded(
    edgepipe: Command, model: Path, tmp_path: Path, agent_home: Path
) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("this machine runs systemd, whose units are not the tests' to write")
    command = tmp_path / "bin" / "crontab"
    command.parent.mkdir()
    command.write_text('#!/bin/sh\nif [ "$1" = -l ]; then cat "$TABLE" 2>/dev/null; else cat > "$TABLE"; fi\n')
    command.chmod(0o755)
    places = {"PATH": f"{command.parent}:{os.environ['PATH']}", "TABLE": str(tmp_path / "table")}
    refused = edgepipe("deploy", model, "--device", "local", "--yes", **places)
    assert refused.code == 2
    assert "--protect" in refused.out
    done = edgepipe("deploy", model, "--device", "local", "--yes", "--protect", "--json", **places)
    assert done.json["deployments"][0]["deployed"]["protected"] == "cron"
    assert str(agent_home) in (tmp_path / "table").read_text()
