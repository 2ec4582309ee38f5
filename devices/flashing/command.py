"""Any other program: its command line stands in the inventory, as a list, and no shell ever reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field

from edgepipe.devices.flashing.tool import Order, Probe, ToolSettings

PLACEHOLDER = re.compile(r"\{(file|serial|line)\}")
Part: TypeAlias = Annotated[str, Field(min_length=1)]


def _addressed(command: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a command that would write nothing of ours, or to whichever board it finds."""
    if not any("{file}" in part for part in command[1:]):
        raise ValueError("one of its parts must hold {file}, where the firmware's path goes")
    if not any("{serial}" in part or "{line}" in part for part in command[1:]):
        raise ValueError("one of its parts must hold {serial} (or {line}), or it would write to whichever board it finds")
    return command


@dataclass(frozen=True, kw_only=True)
class Command(ToolSettings):
    """`command` is run with {file}, {serial} and {line} filled in; `list` prints what is connected: an id a line, then a name."""

    install: ClassVar[str] = "it is the inventory's own: see flash.command there"
    suffixes: ClassVar[tuple[str, ...]] = ()
    tool: Literal["command"] = "command"
    command: Annotated[tuple[Part, ...], AfterValidator(_addressed)]
    list: tuple[Part, ...] = ()

    def listing(self, line: str) -> tuple[str, ...]:
        """Return the inventory's list."""
        return tuple(part.replace("{line}", line) for part in self.list)

    def listed(self, printed: str) -> tuple[Probe, ...]:
        """Return a probe for each line."""
        words = [line.split(maxsplit=1) for line in printed.splitlines() if line.strip()]
        return tuple(Probe(id=first, name="".join(rest).strip()) for first, *rest in words)

    def writing(self, order: Order) -> tuple[str, ...]:
        """Return the inventory's command."""
        values = {"file": str(order.file), "serial": order.probe, "line": order.line}
        return tuple(PLACEHOLDER.sub(lambda found: values[found[1]], part) for part in self.command)
