"""What writes a board's flash: its settings in the inventory and its command lines. Nothing here runs anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Protocol

from pydantic import Field

# Neither an option nor anything that a tool's own language would read into: these stand alone or inside an OpenOCD command.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a flash can be written through: a debug probe, or the board itself on its USB. `id` tells it from its sisters."""

    id: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.id} ({self.name})" if self.name else self.id


@dataclass(frozen=True, kw_only=True)
class Order:
    """Write `file` through the probe with the id `probe`; `line` is the board's serial line, a path or a URL."""

    file: Path
    probe: str
    line: str


class FlashTool(Protocol):
    """A program that writes flash.

    1. What `listing()` names is run, and `listed()` reads what it printed; without a listing the kernel's USB devices count.
    2. `objection()` to what is connected beside the board is asked for.
    3. What `writing()` names is run. It addresses the one probe of its order and no other.
    """

    install: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    """Of the files that it takes; () for any."""

    @property
    def tool(self) -> str:
        """Its name in the inventory."""

    @property
    def probe(self) -> str | None:
        """The id of the board's probe; None where the inventory does not say."""

    @property
    def timeout_s(self) -> float:
        """How long it may write."""

    @property
    def own_file(self) -> Path | None:
        """The file that it writes of itself; None where it writes what it is told to."""

    def listing(self, line: str) -> tuple[str, ...]:
        """Return the command that lists what is connected, () for none."""

    def listed(self, printed: str) -> tuple[Probe, ...]:
        """Return what the listing printed. Raises ValueError where that is no list."""

    def objection(self, probe: Probe, connected: tuple[Probe, ...]) -> str:
        """Return why `probe` cannot be addressed alone beside the others, "" where it can."""

    def writing(self, order: Order) -> tuple[str, ...]:
        """Return the command that writes, checks what it wrote where the tool can, and starts the board."""


@dataclass(frozen=True, kw_only=True)
class ToolSettings:
    """What every tool's entry may say: the id of the board's `probe`, and how long it may write."""

    probe: Word | None = None
    timeout_s: Seconds = 120.0

    @property
    def own_file(self) -> Path | None:
        """None: it writes what it is told to."""
        return None

    def listing(self, line: str) -> tuple[str, ...]:
        """Return (): the kernel's list of USB devices counts."""
        return ()

    def listed(self, printed: str) -> tuple[Probe, ...]:
        """Return nothing, since nothing is listed."""
        return ()

    def objection(self, probe: Probe, connected: tuple[Probe, ...]) -> str:
        """Return "": an id is enough."""
        return ""
