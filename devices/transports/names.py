"""What a file may be called on a board: nothing that a shell, a path or a terminal could take for more than a name."""

from __future__ import annotations

import re

from edgepipe.errors import UsageError

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


def plain_name(name: str) -> str:
    """Return `name` where it is a plain file name. Raises UsageError."""
    if not PLAIN.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} cannot be a file's name on a board",
            todo="Use letters, digits, dots, dashes, underscores and plus signs; begin with a letter or digit.",
        )
    return name
