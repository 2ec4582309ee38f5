"""The table of targets: what must hold for a model to run somewhere. A new target is one more entry."""

from __future__ import annotations

from dataclasses import dataclass

from edgepipe.pipeline.export.tflm_ops import TFLM_CUSTOM_OPS, TFLM_OPS
from edgepipe.records import Capabilities

INDEX_DTYPES = ("int32", "int64", "bool")  # biases, shapes, indices


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of place to run on. None means that nothing is refused for that reason.

    `dtypes` may occur anywhere in the graph, `io_dtypes` at its inputs and outputs; `ops` are the operators of its runtime;
    `open_shapes` says whether a shape may be left to be decided at run time, `sparse` whether weights may be stored without zeros.
    `runtime` is the one whose answers are those of this place, `in_arena` whether tensors live in an arena of a fixed size.
    """

    name: str
    summary: str
    dtypes: tuple[str, ...] | None = None
    io_dtypes: tuple[str, ...] | None = None
    ops: frozenset[str] | None = None
    open_shapes: bool = True
    sparse: bool = True
    runtime: str = "litert"
    in_arena: bool = False
    flash_bytes: int | None = None
    arena_bytes: int | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What hardware of this kind offers when none is at hand to be asked."""
        ops = None if self.ops is None else dict.fromkeys(sorted(self.ops), NEWEST_VERSION)
        return Capabilities(
            dtypes=self.dtypes,
            ops=ops,
            flash_bytes=self.flash_bytes,
            arena_bytes=self.arena_bytes,
            open_shapes=self.open_shapes,
        )


# TFLite Micro looks operators up by their code alone; what a newer version adds, its kernels check themselves when they prepare.
NEWEST_VERSION = 1 << 30

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(name="host", summary="this machine, with LiteRT"),
        Target(name="pi", summary="a Raspberry Pi or another Linux board, with LiteRT"),
        Target(
            name="mcu",
            summary="a microcontroller, with TFLite Micro: integers only, fixed shapes",
            dtypes=("int8", "int16", "int4", *INDEX_DTYPES),
            io_dtypes=("int8", "int16", *INDEX_DTYPES),
            ops=frozenset({*TFLM_OPS, *TFLM_CUSTOM_OPS}),
            open_shapes=False,
            sparse=False,
            runtime="tflm",
            in_arena=True,
        ),
    )
}
