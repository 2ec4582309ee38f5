"""Quantise: fewer bits a number, after training (PTQ) or with training that knows of it (QAT; Jacob 2018, arXiv:1712.05877)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from edgepipe.facts import Claim, ClaimKind
from edgepipe.pipeline.stages.protocol import Form, Product, schedule_problems

if TYPE_CHECKING:
    from edgepipe.pipeline.training import KerasModel, Workbench


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """int8 numbers: a quarter of the size, integer arithmetic only; the form that microcontrollers run."""

    gives: ClassVar[Form] = Form.TFLITE

    mode: Literal["float16", "dynamic", "int8", "qat"] = "int8"
    """float16: half the size. dynamic: int8 weights, float arithmetic in between. int8: integers throughout, input and output too.
    qat: like int8, after training that knows of the rounding; it keeps zeros and clusters of earlier stages."""
    epochs: int | None = None
    """qat only: passes over the training data; the recipe's `train.epochs` by default."""
    learning_rate: float | None = None
    """qat only: highest learning rate; a tenth of the recipe's `train.learning_rate` by default."""

    @property
    def needs_data(self) -> bool:
        """Whether this mode trains or takes its ranges from data."""
        return self.mode in ("int8", "qat")

    def check(self) -> list[str]:
        """Return what is wrong with the parameters, one line each."""
        if self.mode != "qat" and (self.epochs is not None or self.learning_rate is not None):
            return [f"epochs and learning_rate belong to mode: qat; mode {self.mode} does not train"]
        return schedule_problems(self.epochs, self.learning_rate)

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return the quantised flatbuffer. Raises UnsupportedModel where no layer can be trained with quantisation."""
        skipped: tuple[str, ...] = ()
        wanted = "int8" if self.mode == "qat" else self.mode
        if self.mode == "qat":
            from edgepipe.pipeline.stages.quantize_aware import quantize_aware

            model, skipped = quantize_aware(model, bench.claims)
            bench.fit(
                model, "quantize", epochs=bench.epochs(self.epochs), learning_rate=self.learning_rate or bench.learning_rate / 10
            )
        claims = (
            Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted=wanted),
            Claim(kind=ClaimKind.FIXED_BATCH, stage="quantize", wanted="1"),
        )
        return Product(tflite=bench.tflite(model, wanted), claims=claims, skipped_layers=skipped)
