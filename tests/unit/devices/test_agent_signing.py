"""Whose word counts for a model, checked with the real ssh-keygen: the right one's, and nobody else's, in sixteen ways."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from signatures import SHA256, TOO_OLD, attacks, make_key, needs_ssh_keygen, public, said

from edgepipe.devices.agent.lines import Refused
from edgepipe.devices.agent.signing import Signed, Signers, fingerprint, read_signature
from edgepipe.devices.signing import sign

YEAR_2500 = 16_725_225_600.0


@pytest.fixture(autouse=True)
def can_sign() -> None:
    needs_ssh_keygen()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Signers:
    made = Signers(str(tmp_path))
    made.write("host", [public(key)])
    return made


@pytest.fixture
def old_openssh(tmp_path: Path) -> str:
    """A PATH on which ssh-keygen is that of 2018."""
    command = tmp_path / "bin" / "ssh-keygen"
    command.parent.mkdir()
    command.write_text(TOO_OLD)
    command.chmod(0o755)
    return f"{command.parent}:{os.environ['PATH']}"


def check(signers: Signers, signed: Signed | None, **others: object) -> object:
    return signers.check(signed, SHA256, time.time(), **others)  # type: ignore[arg-type]


def test_what_the_right_key_signed_is_believed(signers: Signers, key: Path) -> None:
    verified = signers.check(sign(said(floor=2), key), SHA256, time.time())
    assert verified is not None
    assert (verified.version, verified.fields["floor"], verified.by) == (5, 2, "board")
    assert verified.signer == fingerprint(public(key))


def test_a_board_without_signers_demands_nothing(tmp_path: Path) -> None:
    assert check(Signers(str(tmp_path / "none")), None) is None


def test_no_attack_gets_through_and_each_is_told_apart(signers: Signers, key: Path, tmp_path: Path) -> None:
    tried = attacks(key, make_key(tmp_path / "other"))
    words = {}
    for name, (signed, expected) in tried.items():
        with pytest.raises(Refused) as caught:
            check(signers, signed)
        assert caught.value.slug == "signature-refused", name
        assert expected in str(caught.value), name
        words[name] = str(caught.value)
    assert len(words) == 16


@pytest.mark.parametrize("host_says", [True, False])
def test_where_openssh_is_too_old_only_the_host_can_have_verified(
    signers: Signers, key: Path, old_openssh: str, monkeypatch: pytest.MonkeyPatch, *, host_says: bool
) -> None:
    good = sign(said(), key)
    monkeypatch.setenv("PATH", old_openssh)
    if host_says:
        verified = signers.check(good, SHA256, time.time(), verified_by_host=True)
        assert verified is not None
        assert verified.by == "host"
    else:
        with pytest.raises(Refused, match="nobody has verified"):
            check(signers, good)


def test_where_openssh_is_too_old_all_that_can_be_seen_is_still_refused(
    signers: Signers, key: Path, tmp_path: Path, old_openssh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = attacks(key, make_key(tmp_path / "other"))
    monkeypatch.setenv("PATH", old_openssh)
    for name, (signed, expected) in tried.items():
        if expected != "altered":
            with pytest.raises(Refused, match=expected):
                check(signers, signed, verified_by_host=True)
            assert name


def test_without_any_ssh_keygen_nothing_is_believed(signers: Signers, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = sign(said(), key)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="missing here"):
        check(signers, good)


def test_one_of_several_keys_is_enough(signers: Signers, key: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    signers.write("host", [public(key), public(other)])
    assert check(signers, sign(said(), key))
    assert check(signers, sign(said(), other))


def test_a_signature_without_an_end_never_expires(signers: Signers, key: Path) -> None:
    good = sign(replace(said(), expires_utc=None), key)
    assert signers.check(good, SHA256, YEAR_2500)


def test_a_damaged_file_of_signers_lets_nothing_in(signers: Signers, key: Path) -> None:
    good = sign(said(), key)
    for damage in ("", "host ssh-ed25519 AAAA\n", f'host namespaces="edgepipe-model" ssh-rsa {public(key)}\n'):
        Path(signers.path).write_text(damage)
        with pytest.raises(Refused, match="damaged"):
            check(signers, good)


def test_only_ed25519_keys_become_signers(signers: Signers, tmp_path: Path) -> None:
    for wrong in ("AAAA", "no base64!", public(make_key(tmp_path / "ecdsa", "ecdsa"))):
        with pytest.raises(Refused):
            signers.write("host", [wrong])


def test_every_cut_and_every_flipped_byte_of_a_signature_is_refused(signers: Signers, key: Path) -> None:
    """Most are seen before ssh-keygen is asked, which takes a process each; every seventh of the others is asked about."""
    good = sign(said(), key)
    asked = 0
    for at in range(len(good.signature)):
        for text in (good.signature[:at], good.signature[:at] + chr(ord(good.signature[at]) ^ 1) + good.signature[at + 1 :]):
            try:
                known = read_signature(text) == read_signature(good.signature)
            except Refused:
                continue
            asked += 1
            if not known or asked % 7 == 0:
                with pytest.raises(Refused):
                    check(signers, Signed(good.manifest, text))
    assert asked > 50
