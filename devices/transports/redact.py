"""Secrets taken out of what is shown: whatever the environment calls a password or token, and the lines of a private key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

TELLING = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY", re.IGNORECASE)
SHORTEST = 4  # a shorter value would blot out half of every message
SHOWN = "[redacted]"


class Redactor:
    """Replaces every known secret; longer ones first, so that none is left behind in pieces."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without its secrets."""
        for secret in self._secrets:
            text = text.replace(secret, SHOWN)
        return text


def redactor(key: Path | None, environment: Mapping[str, str] = os.environ) -> Redactor:
    """Return what hides the secrets of `environment` and the lines of the private key at `key`."""
    secrets = [value for name, value in environment.items() if TELLING.search(name)]
    if key is not None:
        with suppress(OSError):  # whoever needs the key says what is wrong with it
            secrets += [line for line in key.read_text(errors="replace").splitlines() if not line.startswith("-----")]
    return Redactor(secrets)
