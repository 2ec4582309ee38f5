"""Convert: the model as it is, as a float32 `.tflite` whose batch is fixed to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgepipe.facts import Claim, ClaimKind
from edgepipe.pipeline.stages.protocol import Form, Product

if TYPE_CHECKING:
    from edgepipe.pipeline.training import KerasModel, Workbench


@dataclass(frozen=True, kw_only=True)
class Convert:
    """No change to the numbers: the float file that everything else is compared with."""

    gives: ClassVar[Form] = Form.KERAS
    needs_data: ClassVar[bool] = False

    def check(self) -> list[str]:
        """Return nothing: there are no parameters."""
        return []

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return the converted model."""
        claims = (
            Claim(kind=ClaimKind.DTYPE, stage="convert", wanted="float32"),
            Claim(kind=ClaimKind.FIXED_BATCH, stage="convert", wanted="1"),
        )
        return Product(tflite=bench.tflite(model, "float32"), model=model, claims=claims)
