"""Quantise: fewer bits a number, after training (PTQ) or with training that knows of it (QAT; Jacob 2018, arXiv:1712.05877)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from edgepipe.events import Note
from edgepipe.facts import CalibrationFacts, Claim, ClaimKind, ModelFacts
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.number_claims import NO_INT4
from edgepipe.pipeline.stages.layer_choice import chosen_layers
from edgepipe.pipeline.stages.protocol import Form, Product, schedule_problems
from edgepipe.pipeline.targets import Target

if TYPE_CHECKING:
    from edgepipe.pipeline.training import KerasModel, Workbench

INTEGERS = ("int8", "int16x8", "qat")
BY_AEQ = ("int8", "int16x8", "dynamic", "int4")


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """int8 numbers: a quarter of the size, integer arithmetic only; the form that microcontrollers run."""

    gives: ClassVar[Form] = Form.TFLITE

    mode: Literal["float16", "dynamic", "int4", "int8", "int16x8", "qat"] = "int8"
    """`float16`: half the size. `dynamic`: int8 weights, float arithmetic in between. `int4`: the same with 4-bit weights
    (`backend: aeq`). `int8`: integers throughout, ports too. `int16x8`: the same with 16-bit activations, where 256 levels
    are too few. `qat`: like int8, after training that knows of the rounding; it keeps zeros and clusters of earlier stages."""
    float_layers: tuple[str, ...] = ()
    """Layers that stay in float32, by name or glob, such as `[conv1, head*]`; only for targets that compute in float. `qat` trains
    them without rounding, too."""
    per_channel: bool = True
    """Whether the weights of convolutions and dense layers have a scale for each output channel; false: one for each tensor."""
    backend: Literal["tflite", "aeq"] = "tflite"
    """Who quantises: TensorFlow's converter, or Google's AI Edge Quantizer, an extra (`pip install 'edgepipe[aeq]'`)."""
    epochs: int | None = None
    """qat only: passes over the training data; the recipe's `train.epochs` by default."""
    learning_rate: float | None = None
    """qat only: highest learning rate; a tenth of the recipe's `train.learning_rate` by default."""

    @property
    def needs_data(self) -> bool:
        """Whether this mode trains or takes its ranges from data."""
        return self.mode in INTEGERS

    def check(self) -> list[str]:
        """Return what is wrong with the parameters, one line each."""
        problems = []
        if self.mode != "qat" and (self.epochs is not None or self.learning_rate is not None):
            problems.append(f"epochs and learning_rate belong to mode: qat; mode {self.mode} does not train")
        if self.backend == "aeq":
            if self.mode not in BY_AEQ:
                problems.append(f"backend: aeq makes {', '.join(BY_AEQ)}; mode {self.mode} is made without it")
        else:
            problems += self._tflite_problems()
        return problems + schedule_problems(self.epochs, self.learning_rate)

    def _tflite_problems(self) -> list[str]:
        problems = []
        if self.mode == "int4":
            problems.append("mode int4 needs backend: aeq; TensorFlow's converter has no 4-bit weights")
        if self.float_layers and self.mode not in ("int8", "qat"):
            todo = (
                "without it every layer computes in float"
                if self.mode in ("float16", "dynamic")
                else "backend: aeq has it for this mode"
            )
            problems.append(f"float_layers belongs to mode int8 or qat, not to {self.mode}: {todo}")
        if not self.per_channel and self.mode != "int8":
            problems.append(f"per_channel: false belongs to mode int8, not to {self.mode}")
        return problems

    def target_problems(self, target: Target) -> list[str]:
        """Return why a file made so cannot run on this target, as far as it shows before any work."""
        problems = []
        if self.float_layers and not target.computes_in("float32"):
            problems.append(
                f"float_layers: {', '.join(self.float_layers)} cannot stay in float32: {target.name} computes in integers only"
            )
        if self.mode == "int16x8" and not target.computes_in("int16"):
            problems.append(f"mode int16x8: {target.name} does not compute in int16")
        return problems

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return the quantised flatbuffer. Raises UnsupportedModel where no layer can be trained with quantisation."""
        layers = bench.layers
        kept = chosen_layers(self.float_layers, layers, key="quantize: float_layers")
        skipped: tuple[str, ...] = ()
        if self.mode == "qat":
            from edgepipe.pipeline.stages.quantize_aware import quantize_aware

            model, skipped = quantize_aware(model, bench.claims, float_layers=frozenset(kept))
            bench.fit(
                model, "quantize", epochs=bench.epochs(self.epochs), learning_rate=self.learning_rate or bench.learning_rate / 10
            )
        content, calibration = self._quantised(model, bench, layers, kept)
        facts = read_facts(content, layers=layers)
        claims, merged = self._claims(facts, kept)
        without_int4 = dict.fromkeys(each.layer for each in facts.weights if self.mode == "int4" and each.op in NO_INT4)
        if merged:
            bench.emit(Note(text=f"float_layers: {', '.join(merged)} have no operator of their own, so there is nothing to keep"))
        return Product(tflite=content, claims=claims, skipped_layers=(*skipped, *without_int4), calibration=calibration)

    def _quantised(
        self, model: KerasModel, bench: Workbench, layers: tuple[str, ...], kept: tuple[str, ...]
    ) -> tuple[bytes, CalibrationFacts | None]:
        wanted = "int8" if self.mode == "qat" else self.mode
        if self.mode not in INTEGERS and self.backend == "tflite":
            return bench.tflite(model, wanted), None
        samples = bench.splits.get("calibration")
        if self.backend == "aeq":
            from edgepipe.pipeline.export.aeq import quantised_by_aeq

            return quantised_by_aeq(
                bench.tflite(model, "float32"),
                wanted,
                samples,
                layers=layers,
                float_layers=kept,
                per_channel=self.per_channel,
                cache=bench.cache,
                emit=bench.emit,
            )
        from edgepipe.pipeline.export.integers import quantised

        made = quantised(
            model,
            wanted,
            samples,
            layers=layers,
            float_layers=kept,
            per_channel=self.per_channel,
            cache=bench.cache,
            emit=bench.emit,
        )
        return made.content, made.calibration

    def _claims(self, facts: ModelFacts, kept: tuple[str, ...]) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
        """Return what is promised of the file, and which of the kept layers have no operator of their own in it."""
        there = {op.layer for op in facts.ops}
        floats = tuple(layer for layer in kept if layer in there)
        wanted = "int8" if self.mode == "qat" else self.mode
        claims = [Claim(kind=ClaimKind.FIXED_BATCH, stage="quantize", wanted="1")]
        if not floats:
            claims.insert(0, Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted=wanted))
        elif self.mode in INTEGERS:
            claims.insert(0, Claim(kind=ClaimKind.FLOAT_LAYERS, stage="quantize", wanted=", ".join(floats), layers=floats))
        else:
            others = tuple(dict.fromkeys(weight.layer for weight in facts.weights if weight.layer not in floats))
            claims.insert(0, Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted=wanted, layers=others))
            claims.insert(1, Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted="float32", layers=floats))
        if self.mode in ("int8", "int16x8"):
            scales = "per channel" if self.per_channel else "per tensor"
            claims.append(Claim(kind=ClaimKind.SCALES, stage="quantize", wanted=scales))
        return tuple(claims), tuple(layer for layer in kept if layer not in there)
