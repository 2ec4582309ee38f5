"""The three slots, symbolic links into the store: `current` is what an application loads, and one rename changes it."""

import os
from typing import Dict, Optional, Set

from .durable import point, sync

CURRENT, PREVIOUS, CANDIDATE = "current", "previous", "candidate"
NAMES = (CURRENT, PREVIOUS, CANDIDATE)
PREFIX = os.path.join("..", "store", "sha256-")


class Slots:
    """slots/{current,previous,candidate} -> ../store/sha256-<hex>."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.join(folder, "slots")

    def make(self) -> None:
        """Make the folder of the slots."""
        os.makedirs(self._folder, exist_ok=True)

    def read(self, name: str) -> Optional[str]:
        """Return the hash that a slot names, or None. Raises OSError where the disk does not say: that is not the same."""
        try:
            target = os.readlink(os.path.join(self._folder, name))
        except FileNotFoundError:
            return None
        return target[len(PREFIX) :] if target.startswith(PREFIX) else None

    def all(self) -> Dict[str, Optional[str]]:
        """Return what each slot names."""
        return {name: self.read(name) for name in NAMES}

    def named(self) -> Set[str]:
        """Return every hash that a slot names."""
        return {sha256 for sha256 in self.all().values() if sha256}

    def point(self, name: str, sha256: str) -> None:
        """Let a slot name an entry."""
        point(os.path.join(self._folder, name), PREFIX + sha256)

    def move(self, source: str, name: str) -> None:
        """Let `name` be what `source` was, which is empty then: one rename, which needs no space on the disk."""
        os.rename(os.path.join(self._folder, source), os.path.join(self._folder, name))
        sync(self._folder)

    def clear(self, name: str) -> None:
        """Empty a slot; it may be empty already."""
        path = os.path.join(self._folder, name)
        if os.path.lexists(path):
            os.unlink(path)
            sync(self._folder)

    def set(self, name: str, sha256: Optional[str]) -> None:
        """Let a slot name an entry, or nothing; nothing is written where it does already."""
        if sha256 is None:
            self.clear(name)
        elif self.read(name) != sha256:
            self.point(name, sha256)
