"""Secrets in messages are blotted out, however they are written there."""

from __future__ import annotations

import json

import pytest

from edgepipe.devices.transports.redact import SHOWN, redactor

SECRET = "quoted\"\\ü$x' end"


@pytest.mark.parametrize("write", [str, repr, json.dumps, lambda text: repr(text.encode()), lambda text: json.dumps([text])])
def test_a_secret_is_known_in_every_way_in_which_it_is_quoted(write: object) -> None:
    said = redactor(None, {"FARM_PASSWORD": SECRET})(f"the board said {write(SECRET)}")  # type: ignore[operator]
    assert SHOWN in said
    assert "quoted" not in said
    assert "end" not in said


def test_what_is_no_secret_stays() -> None:
    assert redactor(None, {"HOME": "/root", "API_TOKEN": "abc"})("/root abc") == "/root abc"
