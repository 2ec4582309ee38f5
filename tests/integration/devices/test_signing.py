"""Boards that demand a signature, by the real agent and the real ssh-keygen, and the commands that sign, deploy and say so."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import Command
from signatures import TOO_OLD, attacks, make_key, needs_ssh_keygen, public, said

from benchmarks.deployments import current, good, journal
from benchmarks.synthetic import convolution
from edgepipe.devices.agent.signing import fingerprint
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.deployments import Order, State
from edgepipe.devices.inventory import read_inventory
from edgepipe.devices.signing import sign, trusted_keys
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.errors import InventoryError, SignatureRefused, UsageError

PAGE = (Path(__file__).parents[3] / "docs" / "deploying.md").read_text()
HERE = ("--device", "local", "--no-reboot-protection", "--yes")


@pytest.fixture(autouse=True)
def can_sign() -> None:
    needs_ssh_keygen()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def board() -> Iterator[LinuxBoard]:
    made = LinuxBoard("local", LocalTransport())
    made.open()
    yield made
    made.close()


@pytest.fixture
def strict(board: LinuxBoard, key: Path) -> LinuxBoard:
    """A board that takes only what `key` has signed."""
    board.trust("host", [public(key)])
    return board


def signed(folder: Path, key: Path, seed: int, version: int, floor: int = 0) -> Order:
    """Return the order for a good model, with its manifest."""
    order = good(folder, seed)
    made = said(sha256=order.sha256, size_bytes=order.model.stat().st_size, name=order.name, version=version, floor=floor)
    return replace(order, signed=sign(made, key), signers=(public(key),), target="host")


def confirmed(board: LinuxBoard, order: Order) -> str:
    board.confirm(board.deploy(order).id)
    return order.sha256


def test_what_is_rightly_signed_is_deployed_and_who_verified_it_is_recorded(
    strict: LinuxBoard, key: Path, tmp_path: Path, agent_home: Path
) -> None:
    order = signed(tmp_path / "m", key, seed=1, version=5)
    deployed = strict.deploy(order)
    assert (deployed.outcome, deployed.signed, deployed.signer) == (State.TRIAL, "board", fingerprint(public(key)))
    strict.confirm(deployed.id)
    standing = strict.standing()
    assert (standing.floor, standing.signatures, standing.signers) == (5, {order.sha256: "board"}, (deployed.signer,))
    staged = next(entry for entry in journal(agent_home) if entry["event"] == "staged")
    assert (staged["signed"], staged["signer"], staged["version"]) == ("board", deployed.signer, 5)
    entry = agent_home / "slots" / "current"
    assert order.signed
    assert ((entry / "manifest.json").read_text(), (entry / "manifest.sig").read_text()) == order.signed
    assert current(agent_home) == order.sha256


def test_no_attack_changes_what_is_current_or_sends_a_byte_of_a_model(
    strict: LinuxBoard, key: Path, tmp_path: Path, agent_home: Path
) -> None:
    first = confirmed(strict, signed(tmp_path / "m", key, seed=1, version=5))
    order = good(tmp_path / "m", seed=2)
    before = journal(agent_home)
    for name, (given, expected) in attacks(key, make_key(tmp_path / "other"), order.sha256).items():
        with pytest.raises(SignatureRefused, match=expected):
            strict.deploy(replace(order, signed=given))
        assert current(agent_home) == first, name
    assert journal(agent_home) == before
    assert not (agent_home / "store" / f"sha256-{order.sha256}").exists()


def test_an_older_release_is_not_played_back(strict: LinuxBoard, key: Path, tmp_path: Path, agent_home: Path) -> None:
    old, new = signed(tmp_path / "m", key, seed=1, version=5), signed(tmp_path / "m", key, seed=2, version=6)
    for order in (old, new):
        confirmed(strict, order)
    with pytest.raises(UsageError, match="version 5 is older than version 6"):
        strict.deploy(old)
    with pytest.raises(UsageError, match="version 5 is older than version 6"):
        strict.deploy(replace(old, version=99))  # what is not signed does not count
    assert current(agent_home) == new.sha256


def test_going_back_ends_where_the_signed_floor_is(strict: LinuxBoard, key: Path, tmp_path: Path, agent_home: Path) -> None:
    orders = [signed(tmp_path / "m", key, seed=n, version=n) for n in (1, 2)]
    for order in orders:
        confirmed(strict, order)
    assert strict.rollback("no floor") == orders[0].sha256
    last = signed(tmp_path / "m", key, seed=3, version=3, floor=3)
    confirmed(strict, last)
    with pytest.raises(UsageError, match="rules out any below 3"):
        strict.rollback("below the floor")
    assert current(agent_home) == last.sha256


def test_from_a_trial_there_is_always_a_way_back(strict: LinuxBoard, key: Path, tmp_path: Path, agent_home: Path) -> None:
    first = confirmed(strict, signed(tmp_path / "m", key, seed=1, version=1))
    assert strict.deploy(signed(tmp_path / "m", key, seed=2, version=2, floor=2)).outcome is State.TRIAL
    assert strict.rollback("it looks wrong") == first
    assert current(agent_home) == first
    foreign = good(tmp_path / "n", seed=9)
    wrong = signed(tmp_path / "m", key, seed=3, version=3, floor=3)
    wrong = replace(wrong, golden=foreign.golden, golden_sha256=foreign.golden_sha256)
    assert strict.deploy(wrong).finding == "wrong output"
    assert current(agent_home) == first


def test_a_copy_that_is_mended_keeps_its_signed_manifest(strict: LinuxBoard, key: Path, tmp_path: Path, agent_home: Path) -> None:
    order = signed(tmp_path / "m", key, seed=1, version=5, floor=4)
    confirmed(strict, order)
    (agent_home / "slots" / "current" / "model.tflite").write_bytes(b"damage")
    assert strict.deploy(order).sent_bytes
    assert json.loads((agent_home / "slots" / "current" / "manifest.json").read_text())["floor"] == 4


def test_who_is_trusted_first_stays_trusted_until_that_is_changed_on_purpose(
    board: LinuxBoard, key: Path, tmp_path: Path, agent_home: Path
) -> None:
    first = confirmed(board, signed(tmp_path / "m", key, seed=1, version=1))
    other = make_key(tmp_path / "other")
    with pytest.raises(SignatureRefused, match="trusts other signers"):
        board.deploy(signed(tmp_path / "m", other, seed=2, version=2))
    assert current(agent_home) == first
    board.trust("host", [public(other)], replace=True)
    entries = journal(agent_home)
    board.trust("host", [public(other)], replace=True)
    assert journal(agent_home) == entries
    assert entries[-1]["signers"] == [fingerprint(public(other))]
    confirmed(board, signed(tmp_path / "m", other, seed=2, version=2))
    board.trust("host", [], replace=True)
    assert board.standing().signers == ()
    confirmed(board, good(tmp_path / "m", seed=3, version=3))


def test_on_a_board_with_an_old_openssh_the_host_verifies_and_that_is_recorded(
    tmp_path: Path, key: Path, agent_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = signed(tmp_path / "m", key, seed=1, version=1)
    unchecked = replace(signed(tmp_path / "m", key, seed=2, version=2), signers=())
    command = tmp_path / "bin" / "ssh-keygen"
    command.parent.mkdir()
    command.write_text(TOO_OLD)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    old = LinuxBoard("old", LocalTransport())
    old.open()
    try:
        assert old.deploy(order).signed == "host"
        old.confirm()
        assert old.standing().signatures == {order.sha256: "host"}
        with pytest.raises(SignatureRefused, match="nobody has verified"):
            old.deploy(unchecked)
    finally:
        old.close()
    assert journal(agent_home)[-1]["event"] == "committed"


@pytest.fixture
def lab(tmp_path: Path, key: Path) -> Path:
    """A folder with an inventory that demands signatures, and a model."""
    (tmp_path / "a.tflite").write_bytes(convolution(side=4, channels=2))
    inventory(tmp_path, f'signers: ["{key.with_suffix(".pub").read_text().strip()}"]')
    return tmp_path


def inventory(folder: Path, signing: str) -> None:
    device = "local: {board: linux, target: host, transport: {kind: local}}"
    (folder / "farm_inventory.yaml").write_text(f"schema: 1\ndefaults:\n  signing: {{{signing}}}\ndevices:\n  {device}\n")


def test_a_model_is_signed_deployed_and_shown_as_signed(edgepipe: Command, lab: Path, key: Path, agent_home: Path) -> None:
    refused = edgepipe("deploy", "a.tflite", *HERE)
    assert refused.code == 6
    assert "not signed" in refused.err
    assert "edgepipe sign a.tflite --target host" in refused.err
    assert not agent_home.exists()
    sealed = edgepipe("sign", "a.tflite", "--key", key, "--target", "host", "--version", 3, "--json")
    assert sealed.json["manifest"]["version"] == 3
    done = edgepipe("deploy", "a.tflite", *HERE, "--json")
    assert done.code == 0, done.err
    assert "signed as version 3" in done.err
    (cell,) = done.json["deployments"]
    assert (cell["deployed"]["signed"], cell["deployed"]["signer"]) == ("board", sealed.json["signer"])
    shown = edgepipe("farm", "status", "local", COLUMNS="250")
    assert f"signed by {sealed.json['signer']}, from version 3" in shown.out
    assert ", signed)" in shown.out
    (lab / "farm_inventory.yaml").unlink()
    (lab / "b.tflite").write_bytes(convolution(side=4, channels=2, seed=1))
    foreign = edgepipe("deploy", "b.tflite", *HERE)
    assert foreign.code == 6
    assert "this board takes only models signed by" in foreign.out


def test_with_a_key_deploy_signs_by_itself(edgepipe: Command, lab: Path, key: Path) -> None:
    inventory(lab, f"key: {key}")
    done = edgepipe("deploy", "a.tflite", *HERE, "--version", "7", "--json")
    assert done.code == 0, done.err
    assert f"to be signed with {key}" in done.err
    assert done.json["deployments"][0]["deployed"]["signed"] == "board"
    assert edgepipe("farm", "status", "local", "--json").json["boards"][0]["floor"] == 7


def test_what_was_changed_after_it_was_signed_is_not_sent(edgepipe: Command, lab: Path, key: Path, agent_home: Path) -> None:
    assert edgepipe("sign", "a.tflite", "--key", key, "--target", "host", "--version", 3).code == 0
    assert edgepipe("deploy", "a.tflite", *HERE, "--version", "4").code == 2
    (lab / "a.tflite").write_bytes(convolution(side=4, channels=2, seed=1))
    done = edgepipe("deploy", "a.tflite", *HERE)
    assert done.code == 6
    assert "another model" in done.err
    (lab / "a.tflite.manifest.sig").unlink()
    assert "half signed" in edgepipe("deploy", "a.tflite", *HERE).err
    assert not agent_home.exists()


def test_signing_needs_an_ed25519_key_that_is_there(edgepipe: Command, lab: Path) -> None:
    missing = edgepipe("sign", "a.tflite", "--key", "none", "--target", "host")
    assert missing.code == 2
    assert "ssh-keygen -t ed25519" in missing.err
    with pytest.raises(UsageError, match="another kind"):
        sign(said(), make_key(lab / "rsa", "rsa"))
    inventory(lab, 'signers: ["ssh-rsa AAAA"]')
    with pytest.raises(InventoryError, match="ssh-ed25519"):
        trusted_keys(read_inventory(lab / "farm_inventory.yaml").devices["local"])
    inventory(lab, "valid_days: 3")
    with pytest.raises(InventoryError, match="names no key"):
        trusted_keys(read_inventory(lab / "farm_inventory.yaml").devices["local"])


def test_the_page_about_it_is_right(edgepipe: Command, tmp_path: Path) -> None:
    """Its configuration is read, and its commands verify a signature without edgepipe, but not that of an altered manifest."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    devices = "devices: {local: {board: linux, target: host, transport: {kind: local}}}"
    path = tmp_path / "inventory.yaml"
    path.write_text(f"schema: 1\n{text}{devices}\n")
    signing = read_inventory(path).devices["local"].signing
    assert signing
    assert signing.signers == ("ssh-ed25519 AAAA... release",)
    (tmp_path / "kws.tflite").write_bytes(convolution(side=4, channels=2))
    key = make_key(tmp_path / "edgepipe_signing")
    assert edgepipe("sign", "kws.tflite", "--key", key, "--version", "12").code == 0
    (commands,) = re.findall(r"```sh\n(echo .*?)```", PAGE, re.DOTALL)
    done = subprocess.run(["sh", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 'Good "edgepipe-model" signature for pi' in done.stdout
    manifest = tmp_path / "kws.tflite.manifest.json"
    assert json.loads(manifest.read_text())["sha256"] in done.stdout
    manifest.write_text(manifest.read_text().replace("12", "13"))
    assert subprocess.run(["sh", "-ec", commands], cwd=tmp_path, capture_output=True, check=False).returncode
