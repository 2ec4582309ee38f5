"""Secrets taken out of what is shown: whatever the environment calls a password or token, and the lines of a private key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

TELLING = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY", re.IGNORECASE)
SHORTEST = 4  # a shorter value would blot out half of every message
SHOWN = "[redacted]"


class Redactor:
    """Replaces every known secret, as it is and as Python or JSON quote it; longer ones first, so that none is left in pieces."""

    def __init__(self, secrets: Iterable[str]) -> None:
        written = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._secrets = sorted(written, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without its secrets. Redact first and cut then: half a secret is not known."""
        for secret in self._secrets:
            text = text.replace(secret, SHOWN)
        return text


def _forms(secret: str) -> set[str]:
    as_bytes = secret.encode(errors="surrogateescape")
    return {secret, repr(secret)[1:-1], repr(as_bytes)[2:-1], json.dumps(secret)[1:-1], as_bytes.decode(errors="replace")}


def redactor(key: Path | None, environment: Mapping[str, str] = os.environ) -> Redactor:
    """Return what hides the secrets of `environment` and the lines of the private key at `key`."""
    secrets = [value for name, value in environment.items() if TELLING.search(name)]
    if key is not None:
        with suppress(OSError):  # whoever needs the key says what is wrong with it
            secrets += [line for line in key.read_text(errors="replace").splitlines() if not line.startswith("-----")]
    return Redactor(secrets)
