"""west, for what was built with Zephyr. Its commands: https://docs.zephyrproject.org/latest/develop/west/build-flash-debug.html"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgepipe.devices.flashing.tool import Order, ToolSettings, Word


@dataclass(frozen=True, kw_only=True)
class West(ToolSettings):
    """`build` is Zephyr's build folder, whose firmware it writes; `runner` the program that it uses, one that takes --dev-id."""

    install: ClassVar[str] = "pip install west, and run edgepipe where west finds its workspace"
    suffixes: ClassVar[tuple[str, ...]] = (".elf",)
    tool: Literal["west"] = "west"
    build: Annotated[str, Field(min_length=1)]
    runner: Word | None = None

    @property
    def own_file(self) -> Path | None:
        """Return what Zephyr linked."""
        return Path(self.build).expanduser().absolute() / "zephyr" / "zephyr.elf"

    def writing(self, order: Order) -> tuple[str, ...]:
        """Return its `flash`, which would otherwise build anew what was looked at before."""
        runner = ("--runner", self.runner) if self.runner else ()
        folder = str(Path(self.build).expanduser().absolute())
        return ("west", "flash", "--skip-rebuild", "--build-dir", folder, *runner, "--dev-id", order.probe)
