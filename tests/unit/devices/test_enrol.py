"""An address is read as people write it; the key that is shown is the server's own."""

from __future__ import annotations

import pytest

from edgepipe.devices.enrol import Address, HostKey, read_address, shown_host_key, ssh_entry
from edgepipe.errors import DeviceUnreachable, UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("edge@pi4.lab", Address(user="edge", host="pi4.lab")),
        ("edge@10.0.0.7:2222", Address(user="edge", host="10.0.0.7", port=2222)),
        ("root@[fe80::1]:22", Address(user="root", host="fe80::1")),
    ],
)
def test_an_address_is_user_host_and_perhaps_port(text: str, address: Address) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["pi4.lab", "edge@", "@pi", "edge@pi:0", "edge@pi:99999", "edge@pi:x", "a@b@c", "edge@-oProxyCommand=x", "-l@pi", "e d@pi", ""],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        read_address(text)


def test_an_entry_holds_nothing_that_is_the_default() -> None:
    key = HostKey(line="ssh-ed25519 AAAA", fingerprint="SHA256:x")
    assert ssh_entry(read_address("edge@pi"), key, key=None, target="pi", labels={}) == {
        "board": "linux",
        "target": "pi",
        "transport": {"kind": "ssh", "host": "pi", "user": "edge", "host_key": "ssh-ed25519 AAAA"},
    }


def test_where_nobody_answers_that_is_said() -> None:
    with pytest.raises(DeviceUnreachable, match="no SSH server answers"):
        shown_host_key(Address(user="edge", host="127.0.0.1", port=1), deadline_s=2)
