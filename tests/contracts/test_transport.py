"""What every transport promises, asked of each of them with the real agent's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepipe.devices import agent_bundle
from edgepipe.devices.agent.lines import decode, encode
from edgepipe.devices.protocols import Channel, Transport
from edgepipe.devices.transports.fake import FakeHardware, FakeTransport
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import DeviceUnreachable, InfrastructureError, UsageError

SOON = 20.0
HELLO = {"id": 1, "do": "hello", "holder": "a test", "heartbeat_s": 60}


def made_by(request: pytest.FixtureRequest) -> Transport:
    if request.param == "ssh":
        return SshTransport("board", request.getfixturevalue("sshd").link())
    return LocalTransport() if request.param == "local" else FakeTransport(FakeHardware())


@pytest.fixture(params=["local", "fake", "ssh"])
def transport(request: pytest.FixtureRequest, agent_home: Path) -> Iterator[Transport]:
    made = made_by(request)
    yield made
    made.close()


@pytest.fixture
def agent_file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_bundle.build().content)
    return path


def started(transport: Transport, agent_file: Path) -> Channel:
    transport.open(deadline_s=SOON)
    return transport.start_agent(transport.put(agent_file, "agent.pyz", deadline_s=SOON), deadline_s=SOON)


class TestTransport:
    """The contract of `edgepipe.devices.protocols.Transport` and `Channel`."""

    def test_an_agent_that_was_put_there_starts_and_answers(self, transport: Transport, agent_file: Path) -> None:
        channel = started(transport, agent_file)
        assert decode(channel.receive(deadline_s=SOON))["ready"]
        channel.send(encode(HELLO), deadline_s=SOON)
        answer = decode(channel.receive(deadline_s=SOON))
        assert answer["id"] == 1
        assert answer["ok"]["agent_sha256"] == agent_bundle.build().sha256

    def test_lines_come_in_order(self, transport: Transport, agent_file: Path) -> None:
        channel = started(transport, agent_file)
        channel.receive(deadline_s=SOON)
        for number in range(50):
            channel.send(encode({**HELLO, "id": number}), deadline_s=SOON)
        assert [decode(channel.receive(deadline_s=SOON))["id"] for _ in range(50)] == list(range(50))

    def test_a_wait_ends_at_its_deadline(self, transport: Transport, agent_file: Path) -> None:
        channel = started(transport, agent_file)
        channel.receive(deadline_s=SOON)
        with pytest.raises(DeviceUnreachable, match="said nothing"):
            channel.receive(deadline_s=0.05)

    def test_a_closed_channel_is_unreachable_and_closes_twice(self, transport: Transport, agent_file: Path) -> None:
        channel = started(transport, agent_file)
        channel.close()
        channel.close()
        with pytest.raises(DeviceUnreachable):
            channel.send(encode(HELLO), deadline_s=SOON)
        with pytest.raises(DeviceUnreachable):
            channel.receive(deadline_s=SOON)

    def test_closing_the_transport_ends_its_channels(self, transport: Transport, agent_file: Path) -> None:
        channel = started(transport, agent_file)
        transport.close()
        transport.close()
        with pytest.raises(DeviceUnreachable):
            channel.receive(deadline_s=SOON)

    def test_a_transport_can_be_opened_again(self, transport: Transport, agent_file: Path) -> None:
        started(transport, agent_file)
        transport.close()
        assert decode(started(transport, agent_file).receive(deadline_s=SOON))["ready"]

    def test_nothing_is_put_through_a_closed_transport(self, transport: Transport, agent_file: Path) -> None:
        with pytest.raises(InfrastructureError):
            transport.put(agent_file, "agent.pyz", deadline_s=SOON)

    @pytest.mark.parametrize("name", ["", "..", "../agent", "/tmp/agent", "a b", "$(id)", "-rf", ".hidden", "a\nb", "a\0b", "ä"])
    def test_a_name_that_is_more_than_a_name_is_refused(self, transport: Transport, agent_file: Path, name: str) -> None:
        transport.open(deadline_s=SOON)
        with pytest.raises(UsageError, match="cannot be a file's name"):
            transport.put(agent_file, name, deadline_s=SOON)

    def test_what_is_put_twice_under_one_name_is_the_second(self, transport: Transport, agent_file: Path, tmp_path: Path) -> None:
        transport.open(deadline_s=SOON)
        other = tmp_path / "other"
        other.write_bytes(b"something else")
        place = transport.put(other, "agent.pyz", deadline_s=SOON)
        assert transport.put(agent_file, "agent.pyz", deadline_s=SOON) == place
        assert decode(transport.start_agent(place, deadline_s=SOON).receive(deadline_s=SOON))["ready"]

    def test_an_agent_that_is_not_there_is_unreachable(self, transport: Transport) -> None:
        transport.open(deadline_s=SOON)
        with pytest.raises(DeviceUnreachable):
            transport.start_agent("/nowhere/agent.pyz", deadline_s=SOON).receive(deadline_s=SOON)
