"""The table of verbs: name, help panel, function. A new verb is one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable

COMMANDS: dict[str, tuple[str, Callable[..., int]]] = {}
