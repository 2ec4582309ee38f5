"""Boards over a real sshd: who they are, what a bad network does to uploads and sessions, what is said of secrets."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from fault_proxy import FaultProxy, Faults, proxy_to
from sshd import Sshd, descendants, make_key

from benchmarks import ssh_hostile_names, ssh_identities, ssh_uploads
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.protocols import BlockRequest
from edgepipe.devices.transports.ssh import PASSPHRASE, SshTransport
from edgepipe.errors import (
    DeviceBusy,
    DeviceUnreachable,
    EdgepipeError,
    HostKeyRefused,
    InfrastructureError,
    InventoryError,
    StorageError,
    UsageError,
)
from edgepipe.records import RunOutcome

SOON = 20.0
QUICK = BlockRequest(index=0, warmup_max_s=0.5, min_s=0.02)


@pytest.fixture
def proxy(sshd: Sshd) -> Iterator[FaultProxy]:
    with proxy_to(sshd.port) as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(Random(1).randbytes(3_000_000))
    return path


def opened(link: object) -> SshTransport:
    transport = SshTransport("board", link)  # type: ignore[arg-type]
    transport.open(deadline_s=SOON)
    return transport


class TestHostKeys:
    def test_another_key_is_refused_with_both_fingerprints_and_what_to_do(self, sshd: Sshd, tmp_path: Path) -> None:
        make_key(tmp_path / "other", "ed25519")
        link = sshd.link(host_key=(tmp_path / "other.pub").read_text())
        with pytest.raises(HostKeyRefused) as caught:
            SshTransport("pi4", link).open(deadline_s=SOON)
        text = str(caught.value)
        assert text.count("SHA256:") == 2
        assert "pi4 (127.0.0.1:" in text
        assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in text

    def test_a_machine_that_lost_the_pinned_kind_of_key_is_refused(self, sshd: Sshd) -> None:
        pinned = sshd.host_key()
        sshd.stop()
        sshd.host_keys = ("rsa",)
        sshd.start()
        with pytest.raises(HostKeyRefused, match="of another kind"):
            SshTransport("pi4", sshd.link(host_key=pinned)).open(deadline_s=SOON)

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_every_safe_kind_of_key_can_be_pinned_even_beside_a_better_one(self, sshd: Sshd, kind: str) -> None:
        sshd.stop()
        sshd.host_keys = ("ed25519", kind)
        sshd.start()
        opened(sshd.link(host_key=sshd.host_key(kind))).close()

    def test_a_slice_of_the_campaign_of_wrong_identities(self, tmp_path: Path, sshd: Sshd) -> None:
        figures = ssh_identities.measure(tmp_path / "campaign", 6, seed=2)
        assert figures["accepted"] == 0
        assert figures["logins_with_a_wrong_identity"] == 0
        assert figures["the_right_ones_before_and_after"] == ["ACCEPTED"] * 6


class TestLoggingIn:
    def test_a_key_that_the_board_does_not_know_is_told_with_the_command_that_mends_it(self, sshd: Sshd, tmp_path: Path) -> None:
        make_key(tmp_path / "stranger", "ed25519")
        with pytest.raises(DeviceUnreachable, match="does not let") as caught:
            opened(sshd.link(key=str(tmp_path / "stranger")))
        assert f"ssh-copy-id -i {tmp_path / 'stranger'} -p {sshd.port}" in caught.value.todo

    def test_an_entry_without_any_key_is_a_mistake_in_the_inventory(self, sshd: Sshd) -> None:
        with pytest.raises(InventoryError, match="no key to log in with"):
            SshTransport("pi4", sshd.link(key=None))

    def test_a_key_that_is_none_is_told_in_plain_words(self, sshd: Sshd, tmp_path: Path) -> None:
        (tmp_path / "scrap").write_text("scrap")
        said = {"scrap": "no private key of OpenSSH", "none": "cannot be read: No such file", "id.pub": "is a public key"}
        for name, words in said.items():
            with pytest.raises(InventoryError, match=words):
                SshTransport("pi4", sshd.link(key=str(tmp_path / name)))

    def test_without_an_agent_there_is_no_key_of_one(self, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        with pytest.raises(DeviceUnreachable, match="board: no ssh-agent answers here"):
            opened(sshd.link(key=None, agent=True))

    def test_a_python_that_is_not_there_is_named(self, sshd: Sshd) -> None:
        transport = opened(sshd.link(python="python9"))
        agent = transport.start_agent("agent.pyz", deadline_s=SOON)
        with pytest.raises(InfrastructureError) as caught:
            agent.receive(deadline_s=SOON)
        transport.close()
        assert "the inventory's python, 'python9', cannot be started here: No such file" in str(caught.value)

    def test_a_board_without_sftp_is_told_what_its_sshd_lacks(self, sshd: Sshd, file: Path, tmp_path: Path) -> None:
        sshd.stop()
        shell = tmp_path / "shell"
        shell.write_text('#!/bin/sh\n[ "$SSH_ORIGINAL_COMMAND" = internal-sftp ] || eval "$SSH_ORIGINAL_COMMAND"\n')
        shell.chmod(0o755)
        sshd.more = f"ForceCommand {shell}"
        sshd.start()
        transport = opened(sshd.link())
        with pytest.raises(DeviceUnreachable, match="offers no file transfer") as caught:
            transport.put(file, file.name, deadline_s=SOON)
        transport.close()
        assert "Subsystem sftp internal-sftp" in caught.value.todo

    def test_a_key_with_a_passphrase_asks_for_it_and_never_shows_it(self, sshd: Sshd, tmp_path: Path) -> None:
        key = tmp_path / "locked"
        make_key(key, "ed25519", passphrase="open sesame")
        (sshd.folder / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
        with pytest.raises(InventoryError, match=PASSPHRASE):
            SshTransport("pi4", sshd.link(key=str(key)), {})
        with pytest.raises(InventoryError) as caught:
            SshTransport("pi4", sshd.link(key=str(key)), {PASSPHRASE: "wrong sesame"})
        assert "sesame" not in str(caught.value)
        transport = SshTransport("pi4", sshd.link(key=str(key)), {PASSPHRASE: "open sesame"})
        transport.open(deadline_s=SOON)
        transport.close()

    @pytest.mark.parametrize(
        ("commands", "words"), [("*", "writes to standard output"), ("internal-sftp", "prints something into the file transfer")]
    )
    def test_a_board_whose_login_prints_something_is_told_apart_from_a_bug(
        self, sshd: Sshd, tmp_path: Path, file: Path, commands: str, words: str
    ) -> None:
        sshd.stop()
        talker = tmp_path / "talker"
        greeting = f'case "$SSH_ORIGINAL_COMMAND" in {commands}) echo Welcome, we wish you a nice day;; esac'
        talker.write_text(f'#!/bin/sh\n{greeting}\neval "$SSH_ORIGINAL_COMMAND"\n')
        talker.chmod(0o755)
        sshd.more = f"ForceCommand {talker}"
        sshd.start()
        transport = opened(sshd.link())
        with pytest.raises(DeviceUnreachable) as caught:
            transport.put(file, file.name, deadline_s=SOON)
        transport.close()
        assert words in str(caught.value)

    def test_nobody_home_is_unreachable_and_says_where(self, sshd: Sshd) -> None:
        with socket.socket() as deaf:  # bound, so that nobody else gets the port, and not listening
            deaf.bind(("127.0.0.1", 0))
            port = deaf.getsockname()[1]
            with pytest.raises(DeviceUnreachable, match=rf"127\.0\.0\.1:{port}"):
                opened(sshd.link(port=port))


class TestBadNetworks:
    @pytest.mark.parametrize("silent_at", [0, 100, 1500, 4000])
    def test_a_connection_that_falls_silent_ends_at_its_deadline(self, sshd: Sshd, proxy: FaultProxy, silent_at: int) -> None:
        proxy.faults = Faults(stall_at=silent_at, backwards=silent_at % 200 == 0)
        transport, began = SshTransport("board", sshd.link(port=proxy.port)), time.monotonic()
        with pytest.raises(DeviceUnreachable):
            transport.open(deadline_s=1.0)
            transport.start_agent("/nowhere", deadline_s=1.0).receive(deadline_s=1.0)
        transport.close()
        assert time.monotonic() - began < SOON

    def test_an_upload_that_stalls_ends_at_its_deadline_and_leaves_no_file(self, sshd: Sshd, proxy: FaultProxy, file: Path) -> None:
        proxy.faults = Faults(stall_at=1_000_000)
        transport = opened(sshd.link(port=proxy.port))
        with pytest.raises(DeviceUnreachable, match="within"):
            transport.put(file, file.name, deadline_s=2.0)
        transport.close()
        assert not (sshd.home / "incoming" / file.name).exists()

    def test_what_arrived_before_a_cut_is_not_sent_again(self, sshd: Sshd, proxy: FaultProxy, file: Path) -> None:
        proxy.faults = Faults(reset_at=2_000_000, bytes_per_s=20e6)
        with pytest.raises(DeviceUnreachable):
            opened(sshd.link(port=proxy.port)).put(file, file.name, deadline_s=SOON)
        proxy.faults = Faults()
        transport = opened(sshd.link(port=proxy.port))
        place = Path(transport.put(file, file.name, deadline_s=SOON))
        transport.close()
        assert transport.sent_bytes <= 2_000_000
        assert place.read_bytes() == file.read_bytes()

    def test_damage_in_what_arrived_earlier_is_found_and_sent_again(self, sshd: Sshd, file: Path) -> None:
        part = sshd.home / "incoming" / f"{hashlib.sha256(file.read_bytes()).hexdigest()}.part"
        part.parent.mkdir(parents=True)
        damaged = bytearray(file.read_bytes()[:2_500_000])
        damaged[1_500_000] ^= 1
        part.write_bytes(damaged)
        transport = opened(sshd.link())
        place = Path(transport.put(file, file.name, deadline_s=SOON))
        transport.close()
        assert place.read_bytes() == file.read_bytes()
        assert transport.sent_bytes == len(file.read_bytes()) - (1 << 20)  # the first MiB was right

    def test_the_same_file_again_is_not_sent_again(self, sshd: Sshd, file: Path) -> None:
        transport = opened(sshd.link())
        first = transport.put(file, file.name, deadline_s=SOON)
        sent = transport.sent_bytes
        assert transport.put(file, file.name, deadline_s=SOON) == first
        assert transport.sent_bytes == sent
        transport.close()

    def test_two_who_bring_the_same_file_do_no_harm(self, sshd: Sshd, proxy: FaultProxy, file: Path) -> None:
        proxy.faults = Faults(bytes_per_s=10e6)
        places: list[str] = []

        def bring() -> None:
            transport = opened(sshd.link(port=proxy.port))
            with suppress(EdgepipeError):
                places.append(transport.put(file, file.name, deadline_s=SOON))
            transport.close()

        threads = [threading.Thread(target=bring) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(places) == 3
        assert Path(places[0]).read_bytes() == file.read_bytes()

    def test_a_board_that_cannot_hold_a_file_says_so_before_a_byte_is_sent(self, sshd: Sshd, tmp_path: Path) -> None:
        huge = tmp_path / "huge"
        with huge.open("wb") as content:
            content.truncate(1 << 20)
        transport = opened(sshd.link())
        transport.put(huge, "first", deadline_s=SOON)
        (sshd.home / "incoming").chmod(0o500)
        (sshd.home / "incoming" / "second").mkdir(mode=0o700)
        with pytest.raises(StorageError, match="board"):
            transport.put(huge, "second", deadline_s=SOON)
        transport.close()

    def test_a_slice_of_the_campaign_of_broken_uploads(self, tmp_path: Path, sshd: Sshd) -> None:
        tally = ssh_uploads.campaign(tmp_path / "campaign", 8, seed=3)
        assert (tally.uploads, tally.corrupt, tally.never_arrived, tally.failed_unexpectedly) == (16, 0, 0, [])


class TestSessions:
    def test_a_host_that_vanishes_without_a_word_frees_the_board_by_its_heartbeat(
        self, sshd: Sshd, proxy: FaultProxy, good: Path
    ) -> None:
        proxy.faults = Faults()
        lost = LinuxBoard("board", SshTransport("board", sshd.link(port=proxy.port)), heartbeat_s=2.0, beat_s=0.3, silence_s=1.0)
        lost.open()
        with pytest.raises(DeviceBusy):
            LinuxBoard("board", SshTransport("board", sshd.link())).open()
        mute = [pid for pid in descendants(sshd.process.pid if sshd.process else 0) if "sshd" in _comm(pid)]
        for pid in mute:  # nothing of what the host says or does reaches the agent any more, and nobody hangs up
            os.kill(pid, signal.SIGSTOP)
        try:
            _eventually_free(sshd, within_s=SOON)
        finally:
            for pid in mute:
                os.kill(pid, signal.SIGCONT)
            lost.close()

    def test_a_board_that_falls_silent_in_a_block_is_noticed_and_the_run_is_the_farms_fault(
        self, sshd: Sshd, proxy: FaultProxy, good: Path
    ) -> None:
        board = LinuxBoard("board", SshTransport("board", sshd.link(port=proxy.port)), beat_s=0.3, silence_s=1.5)
        board.open()
        sha256 = hashlib.sha256(good.read_bytes()).hexdigest()
        board.push(good, sha256)
        assert board.measure(sha256, QUICK).outcome is RunOutcome.OK
        agents = [pid for pid in descendants(sshd.process.pid if sshd.process else 0) if "python" in _comm(pid)]
        for pid in agents:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(DeviceUnreachable, match="said nothing"):
                board.measure(sha256, QUICK)
            board.close()
        finally:
            for pid in agents:
                os.kill(pid, signal.SIGKILL)

    def test_a_broken_connection_frees_the_board_at_once(self, sshd: Sshd) -> None:
        transport = SshTransport("board", sshd.link())
        LinuxBoard("board", transport).open()
        assert transport._link is not None
        transport._link.close()  # as a killed host would: no goodbye, but the socket is closed
        _eventually_free(sshd, within_s=SOON)

    def test_a_lock_that_an_interrupt_left_taken_does_not_keep_the_command_from_ending(self, sshd: Sshd) -> None:
        transport = SshTransport("board", sshd.link())
        board = LinuxBoard("board", transport)
        board.open()
        assert transport._link is not None
        transport._link.transport.clear_to_send_lock.acquire()  # as a signal between paramiko's acquire and its try does
        closing = threading.Thread(target=board.close, daemon=True)
        closing.start()
        closing.join(SOON)
        assert not closing.is_alive()
        _eventually_free(sshd, within_s=SOON)


class TestWhatIsSaid:
    def test_a_slice_of_the_campaign_of_hostile_names(self, tmp_path: Path, sshd: Sshd) -> None:
        figures = ssh_hostile_names.measure(tmp_path / "campaign", 200, seed=4)
        assert figures["canary_sings_in_a_shell"]
        assert figures["shell_effects"] == 0
        assert figures["files_created_elsewhere"] == []
        assert figures["secrets"] == {"errors_provoked": 6, "with_a_secret_in_them": 0}

    def test_paramiko_writes_nothing_to_the_log_of_whoever_uses_us(
        self, sshd: Sshd, proxy: FaultProxy, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        proxy.faults = Faults(reset_at=1000)
        with caplog.at_level(logging.DEBUG), pytest.raises(DeviceUnreachable):
            opened(sshd.link(port=proxy.port))
        assert caplog.records == []
        assert capfd.readouterr() == ("", "")

    def test_a_name_is_refused_before_the_board_is_asked(self, sshd: Sshd, file: Path) -> None:
        with pytest.raises(UsageError):
            SshTransport("board", sshd.link()).put(file, "$(reboot)", deadline_s=SOON)


def _comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text()


def _eventually_free(sshd: Sshd, within_s: float) -> None:
    """Wait until somebody else can have the board, over this machine's own transport."""
    end = time.monotonic() + within_s
    from edgepipe.devices.transports.local import LocalTransport

    while True:
        other = LinuxBoard("board", LocalTransport())
        try:
            other.open()
            break
        except DeviceBusy:
            assert time.monotonic() < end, "the board is still held"
            time.sleep(0.2)
        finally:
            other.close()
