"""The table of targets: what must hold for a model to run somewhere. A new target is one more entry."""

from __future__ import annotations

from dataclasses import dataclass

from edgepipe.pipeline.export.edgetpu_log import COMPILED_OP
from edgepipe.pipeline.export.tflm_ops import TFLM_CUSTOM_OPS, TFLM_OPS
from edgepipe.records import Capabilities

INDEX_DTYPES = ("int32", "int64", "bool")  # biases, shapes, indices


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of place to run on. None means that nothing is refused for that reason.

    `dtypes` may occur anywhere in the graph, `io_dtypes` at its inputs and outputs; `ops` are the operators of its runtime,
    `custom_ops` those that are no built-in ones of it; `open_shapes` says whether a shape may be left to be decided at run time,
    `sparse` whether weights may be stored without zeros.
    `runtime` is the one whose answers are those of this place, `in_arena` whether tensors live in an arena of a fixed size.
    """

    name: str
    summary: str
    dtypes: tuple[str, ...] | None = None
    io_dtypes: tuple[str, ...] | None = None
    ops: frozenset[str] | None = None
    custom_ops: frozenset[str] = frozenset()
    open_shapes: bool = True
    sparse: bool = True
    runtime: str = "litert"
    in_arena: bool = False
    flash_bytes: int | None = None
    arena_bytes: int | None = None

    def computes_in(self, dtype: str) -> bool:
        """Whether numbers of this type may occur in a file for this target."""
        return self.dtypes is None or dtype in self.dtypes

    @property
    def has_edge_tpu(self) -> bool:
        """Whether what an Edge TPU takes runs there, and the rest beside it on a CPU."""
        return COMPILED_OP in self.custom_ops

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
        # What the Edge TPU does not take runs on the board's CPU, so no operator is refused: `edgepipe edgetpu` says which and why.
        Target(
            name="coral",
            summary="a Coral board, with LiteRT and an Edge TPU: 8-bit integers only, fixed shapes",
            dtypes=("int8", "uint8", *INDEX_DTYPES),
            io_dtypes=("int8", "uint8"),
            custom_ops=frozenset({COMPILED_OP}),
            open_shapes=False,
            sparse=False,
        ),
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
