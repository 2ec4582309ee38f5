"""Layer by layer and technique by technique: treated, left out, put in another form, or not to be had."""

from __future__ import annotations

from collections.abc import Sequence

from edgepipe.diagnosis import Treatment, Verdict
from edgepipe.pipeline.export.tflm_limits import refusal
from edgepipe.pipeline.export.unroll import MOST_STEPS
from edgepipe.pipeline.inspect.doctor.activations import FLOAT_ISLAND, LOOP, activation_of
from edgepipe.pipeline.inspect.doctor.lowering import LINEAR, Lowered, is_linear
from edgepipe.pipeline.rewrites.norms import ACTIVATIONS, PICTURES, PRODUCTS
from edgepipe.pipeline.stages.cluster import CLUSTERABLE
from edgepipe.pipeline.stages.prune import PRUNABLE
from edgepipe.pipeline.targets import Target

# What TF-MOT 0.8.1 quantises while training (Default8BitQuantizeRegistry); the tests hold it against the installed one.
QAT_LAYERS = frozenset(
    {
        *(
            "Activation",
            "ReLU",
            "Softmax",
            "LeakyReLU",
            "Conv2D",
            "DepthwiseConv2D",
            "Conv2DTranspose",
            "Dense",
            "Concatenate",
            "Add",
        ),
        *("Cropping1D", "Cropping2D", "Cropping3D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D", "ActivityRegularization"),
        *("Dropout", "Flatten", "Permute", "Reshape", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "MaxPooling2D"),
        *(
            "AveragePooling1D",
            "AveragePooling2D",
            *(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)),
        ),
    }
)
QAT_SPLIT = "SeparableConv2D"  # TF-MOT splits it in two
# Activations that TF-MOT knows where to round (QuantizeAwareActivation, Default8BitActivationQuantizeConfig).
QAT_ACTIVATIONS = frozenset({"linear", "relu", "relu6", "softmax", "sigmoid", "tanh", "swish", "silu", "gelu"})
UNROUNDED = "TF-MOT does not know where to round"  # and gives up the whole model, where the stage leaves the layer out
# Activations of Keras 3 that the bridge spells out in operations (`edgepipe.pipeline.keras_twins.activations`).
SPELT_OUT = frozenset(
    {
        *("hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "log_sigmoid", "tanh_shrink", "celu", "squareplus"),
    }
)
NOTHING = Treatment(verdict=Verdict.NOTHING)
OK = Treatment(verdict=Verdict.OK)
SEES_FLOAT = {*FLOAT_ISLAND, "CAST"}


def treatments(layers: Sequence[Lowered], number: int, target: Target, *, keras_3: bool) -> dict[str, Treatment]:
    """Return what each technique does with one layer, by its name in `edgepipe.diagnosis.TECHNIQUES`.

    `keras_3`: the bridge spells out some activations in operations, which TF-MOT then does not see.
    """
    layer = layers[number]
    int8 = _int8(layer)
    return {
        "prune": _weights(layer, PRUNABLE, "pruned"),
        "cluster": _weights(layer, CLUSTERABLE, "clustered"),
        "qat": _qat(layers, layer, SPELT_OUT if keras_3 else frozenset()),
        "int8": int8,
        "target": _target(layer, int8, target),
    }


def _impossible(reason: str) -> Treatment:
    return Treatment(verdict=Verdict.IMPOSSIBLE, reason=reason)


def _weights(layer: Lowered, kinds: Sequence[str], done: str) -> Treatment:
    call = layer.call
    if call.kind in kinds:
        nested = Treatment(verdict=Verdict.REWRITTEN, reason="the nested model is opened first")
        return nested if call.nested else OK
    if not layer.macs and call.kind != "Embedding":
        return NOTHING
    return Treatment(verdict=Verdict.SKIPPED, reason=f"{call.kind} is not {done}; the other layers are")


def _qat(layers: Sequence[Lowered], layer: Lowered, spelt_out: frozenset[str]) -> Treatment:
    call = layer.call
    if call.kind == "InputLayer":
        return NOTHING
    skipped = Treatment(verdict=Verdict.SKIPPED, reason=f"TF-MOT does not train {call.kind}; it is quantised on conversion")
    if call.kind == "BatchNormalization":
        return _qat_norm(layers, layer)
    if call.kind == QAT_SPLIT:
        return Treatment(verdict=Verdict.REWRITTEN, reason="split into a depthwise and a pointwise convolution")
    if call.kind not in QAT_LAYERS:
        return skipped
    activation = activation_of(call.settings).lower()
    if activation in spelt_out:
        return skipped if call.kind == "Activation" else OK
    if activation not in QAT_ACTIVATIONS:
        return Treatment(verdict=Verdict.SKIPPED, reason=f"{UNROUNDED} {activation}; the layer is quantised on conversion")
    nested = Treatment(verdict=Verdict.REWRITTEN, reason="the nested model is opened first")
    return nested if call.nested else OK


def _qat_norm(layers: Sequence[Lowered], layer: Lowered) -> Treatment:
    """A BatchNormalization is folded into a linear layer right before it, rewritten behind an activation, left out elsewhere."""
    before = _before(layers, layer)
    if before is not None and layer.folded and before.call.kind in LINEAR and is_linear(before.call):
        return OK
    if before is not None and _behind_activation(layers, before) and len(layer.shape or ()) == PICTURES - 1:
        return Treatment(
            verdict=Verdict.REWRITTEN, reason="it follows an activation, and becomes part of the next convolution or one"
        )
    return Treatment(
        verdict=Verdict.SKIPPED,
        reason="it does not directly follow a linear convolution or dense layer that it could be folded into",
    )


def _before(layers: Sequence[Lowered], layer: Lowered) -> Lowered | None:
    return layers[layer.call.takes[0][0]] if layer.call.takes else None


def _behind_activation(layers: Sequence[Lowered], before: Lowered) -> bool:
    """Whether a normalisation is one that `edgepipe.pipeline.rewrites.norms` puts in another form."""
    if before.call.kind in ACTIVATIONS:
        giver = _before(layers, before)
        return giver is not None and giver.call.kind in (*PRODUCTS, "BatchNormalization")
    return before.call.kind in PRODUCTS and not is_linear(before.call)


def _int8(layer: Lowered) -> Treatment:
    """Whether the converter puts every operator of this layer into integers."""
    if lost := next((op for op in layer.ops if op.startswith("tf.")), None):
        return _impossible(f"TFLite has no operator for {lost}")
    if LOOP in layer.ops:
        return _impossible("it stays a loop, which TensorFlow's calibrator crashes on")
    if long := steps_beyond(layer):
        return _impossible(f"{long} steps are too many to unroll ({MOST_STEPS} at most)")
    if SEES_FLOAT & {*layer.ops}:
        inside = [op for op in layer.ops if op not in FLOAT_ISLAND]
        kept = layer.ops[1:-1] if layer.ops[:1] == FLOAT_ISLAND[:1] and layer.ops[-1:] == FLOAT_ISLAND[1:] else inside
        return _impossible(f"the converter leaves {', '.join(dict.fromkeys(kept))} in float")
    if not layer.known:
        return Treatment(verdict=Verdict.SKIPPED, reason=f"{layer.call.kind} is not in the table of layers: --deep tells")
    return NOTHING if not layer.ops and not layer.folded and layer.call.kind != "Activation" else OK


def steps_beyond(layer: Lowered) -> int:
    """Return the steps of a loop that is too long to be unrolled, else 0."""
    inner = layer.call.settings.get("layer")
    settings = inner["config"] if isinstance(inner, dict) else layer.call.settings
    if "UNPACK" not in layer.ops or settings.get("unroll") or layer.macs is None or not layer.weights:
        return 0
    steps = layer.macs // layer.weights
    return steps if steps > MOST_STEPS else 0


def _target(layer: Lowered, int8: Treatment, target: Target) -> Treatment:
    """Whether the layer runs on the target in the form that the target asks for: int8 where it takes no floats."""
    in_integers = not target.computes_in("float32")
    if int8.verdict is Verdict.IMPOSSIBLE and (in_integers or any(op.startswith("tf.") for op in layer.ops)):
        return int8
    if target.ops is None:
        return NOTHING if int8.verdict is Verdict.NOTHING else OK
    in_micro = target.runtime == "tflm"
    for op in layer.ops:
        name, _, count = op.partition(" of ")
        if name not in target.ops:
            return _impossible(f'"{target.name}" has no {name}')
        if in_micro and (reason := refusal(name, integers=in_integers, inputs=int(count or 0), rank=int(count or 0))):
            return _impossible(reason)
    return int8
