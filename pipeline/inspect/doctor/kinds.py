"""The table of layers: class -> (output shape, TFLite operators at int8, multiply-accumulates, weights).

The operators are those that the pinned converter writes for a fixed batch and TFLITE_BUILTINS_INT8; they were read back from
single-layer models and are held against it by a test. "DEQUANTIZE" and "CAST" among them mean that a part stays in float; a name
that begins with "tf." is one that TFLite does not have at all; LOOP is a loop that TensorFlow's calibrator crashes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgepipe.pipeline.export.tflm_limits import MOST_JOINED
from edgepipe.pipeline.inspect.doctor import rules
from edgepipe.pipeline.inspect.doctor.activations import ACTIVATIONS, FLOAT_ISLAND, LOOP, Ops, activation_of, in_float
from edgepipe.pipeline.inspect.doctor.rules import Cost, Given, Rule, Shape


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A row of the table. `weights` counts elements stored as int8, `biases` those stored as int32."""

    shape: Rule
    ops: Callable[[Given], Ops]
    macs: Cost = rules.nothing
    weights: Cost = rules.nothing
    biases: Cost = rules.nothing


def _activated(*ops: str) -> Callable[[Given], Ops]:
    """These operators, then the activation's; relu and relu6 are fused into the last. Raises KeyError for one not known."""

    def rule(given: Given) -> Ops:
        after = ACTIVATIONS[activation_of(given.settings).lower()]
        return ops if after in (("RELU",), ("RELU6",)) else (*ops, *after)

    return rule


def _always(*ops: str) -> Callable[[Given], Ops]:
    return lambda given: ops


def _plain(*ops: str, shape: Rule = rules.same) -> Kind:
    return Kind(shape=shape, ops=_always(*ops))


def _biases(count: Callable[[Given], int]) -> Cost:
    return lambda given: count(given) if given.settings.get("use_bias", True) else 0


def _macs(shape: Rule, each: Cost) -> Cost:
    return lambda given: rules.elements(shape(given)) * each(given)


def _convolution(rank: int, *ops: str) -> Kind:
    shape = rules.convolved(rank, rules.filters)

    def inside(given: Given) -> int:
        return rules.kernel(given) * rules.whole(given.shape[-1]) // max(given.size("groups", 1), 1)

    return Kind(
        shape=shape,
        ops=_activated(*ops),
        macs=_macs(shape, inside),
        weights=lambda given: inside(given) * rules.filters(given),
        biases=_biases(rules.filters),
    )


def _causal(given: Given) -> Ops:
    return (*(("PAD",) if given.settings.get("padding") == "causal" else ()), *_activated("RESHAPE", "CONV_2D", "RESHAPE")(given))


def _depthwise(rank: int, *ops: str) -> Kind:
    shape = rules.convolved(rank, rules.multiplied)
    return Kind(
        shape=shape,
        ops=_activated(*ops),
        macs=_macs(shape, rules.kernel),
        weights=lambda given: rules.kernel(given) * rules.multiplied(given),
        biases=_biases(rules.multiplied),
    )


def _separable(rank: int, *ops: str) -> Kind:
    shape = rules.convolved(rank, rules.filters)

    def each(given: Given) -> int:
        return rules.elements(shape(given)[:-1]) * rules.multiplied(given) * (rules.kernel(given) + rules.filters(given))

    return Kind(
        shape=shape,
        ops=_activated(*ops),
        macs=each,
        weights=lambda given: rules.multiplied(given) * (rules.kernel(given) + rules.filters(given)),
        biases=lambda given: rules.multiplied(given) + rules.filters(given),
    )


def _transposed(rank: int, *ops: str) -> Kind:
    def each(given: Given) -> int:
        return rules.kernel(given) * rules.filters(given)

    return Kind(
        shape=rules.transposed(rank),
        ops=_activated(*ops),
        macs=lambda given: rules.elements(given.shape) * each(given),
        weights=lambda given: each(given) * rules.whole(given.shape[-1]),
        biases=_biases(rules.filters),
    )


def _units(given: Given) -> int:
    return given.size("units")


def _dense(given: Given) -> int:
    return rules.whole(given.shape[-1]) * _units(given)


def _lstm(given: Given) -> Ops:
    """One operator where TensorFlow's fused form applies, otherwise unrolled."""
    settings = given.settings
    usual = activation_of(settings) == "tanh" and settings.get("recurrent_activation") == "sigmoid" and settings.get("use_bias")
    if settings.get("stateful"):
        return (LOOP,)
    if settings.get("unroll") or not usual:
        return (*UNROLLED, *ACTIVATIONS[activation_of(settings)], "LOGISTIC", "TANH")
    last = () if settings.get("return_sequences") else ("STRIDED_SLICE",)
    return (*(("REVERSE_V2",) if settings.get("go_backwards") else ()), "UNIDIRECTIONAL_SEQUENCE_LSTM", *last)


PROJECTED = ("FULLY_CONNECTED", "RESHAPE", "TRANSPOSE")  # a query, key or value, split into heads
ATTENTION = (*PROJECTED * 3, "BATCH_MATMUL", "TRANSPOSE", "SOFTMAX", "BATCH_MATMUL", "TRANSPOSE", "RESHAPE", "FULLY_CONNECTED")
UNROLLED = ("RESHAPE", "UNPACK", "FULLY_CONNECTED", "SPLIT", "ADD", "MUL", "SUB")


def _looping(given: Given) -> Ops:
    """GRU and SimpleRNN: unrolled before int8 conversion. A GRU that resets first keeps a split in float."""
    gate = () if given.settings.get("reset_after", True) else FLOAT_ISLAND
    return (*UNROLLED, *ACTIVATIONS[activation_of(given.settings)], "LOGISTIC", *gate)


def _recurrent(gates: int, ops: Callable[[Given], Ops]) -> Kind:
    weights = rules.gates(gates)
    return Kind(
        shape=rules.recurrent,
        ops=ops,
        macs=lambda given: rules.whole(given.shape[0]) * weights(given),
        weights=weights,
        biases=_biases(lambda given: gates * _units(given)),
    )


def _wrapped(given: Given) -> Kind:
    return KINDS[given.settings["layer"]["class_name"]]


def _bidirectional(given: Given) -> Ops:
    inner = rules.inside(given)
    once = _wrapped(given).ops(inner)
    return ("REVERSE_V2", *once, *once, *(("CONCATENATION",) if given.settings.get("merge_mode") == "concat" else ("ADD",)))


def _each_step(given: Given) -> Given:
    return Given(settings=given.settings["layer"]["config"], shapes=tuple(shape[1:] for shape in given.shapes))


def _relu(given: Given) -> Ops:
    settings = given.settings
    if settings.get("threshold"):
        return ("GREATER", "CAST", "QUANTIZE", "MUL")
    if settings.get("negative_slope"):
        return ("LEAKY_RELU",)
    largest = settings.get("max_value")
    return ("RELU",) if largest is None else ("RELU6",) if largest == 6 else ("RELU", "MINIMUM", "RELU")


def _nearest_or_bilinear(given: Given) -> Ops:
    how = given.settings.get("interpolation", "nearest")
    known = {"nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR"}
    return (known.get(how) or f"tf.Resize{str(how).title()}",)


def _repeated(rank: int) -> Callable[[Given], Ops]:
    """Nearest upsampling by repeating: as many parts are joined as there are copies."""

    def rule(given: Given) -> Ops:
        sizes = given.sizes("size", rank)
        parts = (size * by for size, by in zip(given.shape, sizes, strict=False))
        return tuple(op for count in parts for op in ("SPLIT", joined(count)))

    return rule


def joined(count: int) -> str:
    """Return the name of a CONCATENATION of this many tensors, with the number where TFLite Micro takes fewer."""
    return "CONCATENATION" if count <= MOST_JOINED else f"CONCATENATION of {count}"


def _cropped(rank: int) -> Kind:
    rule = rules.resized(rank, lambda size, by: size - rules.both_sides(by), "cropping")
    return Kind(shape=rule, ops=_always("STRIDED_SLICE" if rank < 3 else "STRIDED_SLICE of 5"))


def _padded(rank: int) -> Kind:
    return Kind(shape=rules.resized(rank, lambda size, by: size + rules.both_sides(by), "padding"), ops=_always("PAD"))


def _upsampled(rank: int, ops: Callable[[Given], Ops]) -> Kind:
    return Kind(shape=rules.resized(rank, lambda size, by: size * rules.whole(by), "size"), ops=ops)


def _normalised(given: Given) -> int:
    axes = given.settings.get("axis", -1)
    return rules.elements(
        tuple(given.shape[axis if axis < 0 else axis - 1] for axis in (axes if isinstance(axes, list) else [axes]))
    )


def _layer_norm(given: Given) -> Ops:
    return ("RESHAPE", "TRANSPOSE", "MEAN", "SQUARED_DIFFERENCE", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "SUB", "ADD", "RESHAPE")


def _sum_of_many(op: str) -> Callable[[Given], Ops]:
    return lambda given: (op,) * (len(given.shapes) - 1 or 1)


def _image(given: Given) -> Shape:
    return (given.size("height"), given.size("width"), given.shape[-1])


PASSED_THROUGH = (
    *("InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout"),
    *("AlphaDropout", "ActivityRegularization", "Identity", "RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast"),
    *("RandomBrightness", "RandomTranslation"),
)
SCALED = Kind(shape=rules.same, ops=_always("MUL", "ADD"), weights=lambda given: 2 * _normalised(given))

KINDS: dict[str, Kind] = {
    **{name: _plain() for name in PASSED_THROUGH},
    # weights
    "Conv1D": Kind(**{**vars(_convolution(1)), "ops": _causal}),
    "Conv2D": _convolution(2, "CONV_2D"),
    "Conv3D": _convolution(3, *in_float("CONV_3D"), "ADD"),
    "Conv1DTranspose": _transposed(1, "RESHAPE", "TRANSPOSE_CONV", "RESHAPE"),
    "Conv2DTranspose": _transposed(2, "TRANSPOSE_CONV"),
    "Conv3DTranspose": _transposed(3, *in_float("CONV_3D_TRANSPOSE"), "ADD"),
    "DepthwiseConv1D": _depthwise(1, "RESHAPE", "DEPTHWISE_CONV_2D", "RESHAPE"),
    "DepthwiseConv2D": _depthwise(2, "DEPTHWISE_CONV_2D"),
    "SeparableConv1D": _separable(1, "RESHAPE", "DEPTHWISE_CONV_2D", "CONV_2D", "RESHAPE"),
    "SeparableConv2D": _separable(2, "DEPTHWISE_CONV_2D", "CONV_2D"),
    "Dense": Kind(
        shape=rules.dense,
        ops=_activated("FULLY_CONNECTED"),
        macs=_macs(rules.dense, lambda given: rules.whole(given.shape[-1])),
        weights=_dense,
        biases=_biases(_units),
    ),
    "EinsumDense": Kind(
        shape=rules.einsum_dense,
        ops=_activated("FULLY_CONNECTED"),
        macs=lambda given: rules.elements(given.shape[:-1]) * rules.einsum_weights(given),
        weights=rules.einsum_weights,
    ),
    "Embedding": Kind(
        shape=lambda given: (*given.shape, given.size("output_dim")),
        ops=_always("GATHER"),
        weights=lambda given: given.size("input_dim") * given.size("output_dim"),
    ),
    "BatchNormalization": SCALED,
    "LayerNormalization": Kind(shape=rules.same, ops=_layer_norm, weights=lambda given: 2 * _normalised(given)),
    "GroupNormalization": Kind(
        shape=rules.same, ops=_always("RESHAPE", "SUM", "MUL", "SUB", *in_float("SQUARE"), "SUM", "MUL", "ADD", "RSQRT", "RESHAPE")
    ),
    "Normalization": _plain("SUB", "MUL"),
    "UnitNormalization": _plain("L2_NORMALIZATION"),
    "Rescaling": Kind(shape=rules.same, ops=lambda given: ("MUL", "ADD") if given.settings.get("offset") else ("MUL",)),
    "LSTM": _recurrent(4, _lstm),
    "GRU": _recurrent(3, _looping),
    "SimpleRNN": _recurrent(1, _looping),
    "ConvLSTM2D": _plain(LOOP, shape=lambda given: (given.size("filters"),)),
    "RNN": _plain(LOOP, shape=lambda given: (-1,)),
    "Bidirectional": Kind(
        shape=rules.both_ways,
        ops=_bidirectional,
        macs=lambda given: 2 * _wrapped(given).macs(rules.inside(given)),
        weights=lambda given: 2 * _wrapped(given).weights(rules.inside(given)),
        biases=lambda given: 2 * _wrapped(given).biases(rules.inside(given)),
    ),
    "TimeDistributed": Kind(
        shape=lambda given: (given.shape[0], *_wrapped(given).shape(_each_step(given))),
        ops=lambda given: ("RESHAPE", *_wrapped(given).ops(_each_step(given)), "RESHAPE"),
        macs=lambda given: abs(given.shape[0]) * _wrapped(given).macs(_each_step(given)),
        weights=lambda given: _wrapped(given).weights(_each_step(given)),
        biases=lambda given: _wrapped(given).biases(_each_step(given)),
    ),
    "SpectralNormalization": Kind(
        shape=lambda given: _wrapped(given).shape(rules.inside(given)),
        ops=lambda given: _wrapped(given).ops(rules.inside(given)),
        macs=lambda given: _wrapped(given).macs(rules.inside(given)),
        weights=lambda given: _wrapped(given).weights(rules.inside(given)),
        biases=lambda given: _wrapped(given).biases(rules.inside(given)),
    ),
    "MultiHeadAttention": Kind(
        shape=lambda given: (*given.shape[:-1], rules.heads(given)[2]),
        ops=_always(*ATTENTION),
        macs=rules.attention_macs,
        weights=rules.attention_weights,
        biases=_biases(lambda given: 2 * rules.heads(given)[0] + sum(rules.heads(given)[1:])),
    ),
    "Attention": _plain("BATCH_MATMUL", "SOFTMAX", "BATCH_MATMUL"),
    "AdditiveAttention": _plain("RESHAPE", "ADD", "TANH", "MUL", "SUM", "SOFTMAX", "BATCH_MATMUL"),
    # activations
    "Activation": Kind(shape=rules.same, ops=lambda given: ACTIVATIONS[activation_of(given.settings).lower()]),
    "ReLU": Kind(shape=rules.same, ops=_relu),
    "LeakyReLU": _plain("LEAKY_RELU"),
    "PReLU": Kind(shape=rules.same, ops=_always("PRELU"), weights=lambda given: rules.elements(given.shape)),
    "ELU": Kind(shape=rules.same, ops=lambda given: ("ELU",) if given.settings.get("alpha", 1.0) == 1 else ("ELU", "LEAKY_RELU")),
    "ThresholdedReLU": _plain("GREATER", "CAST", "QUANTIZE", "MUL"),
    "Softmax": Kind(
        shape=rules.same,
        ops=lambda given: (
            ("SOFTMAX",) if given.settings.get("axis", -1) in (-1, len(given.shape)) else ("TRANSPOSE", "SOFTMAX", "TRANSPOSE")
        ),
    ),
    # pooling and sizes
    **{
        f"{kind}Pooling1D": _plain("RESHAPE", op, "RESHAPE", shape=rules.pooled(1))
        for kind, op in (("Max", "MAX_POOL_2D"), ("Average", "AVERAGE_POOL_2D"))
    },
    **{
        f"{kind}Pooling2D": _plain(op, shape=rules.pooled(2))
        for kind, op in (("Max", "MAX_POOL_2D"), ("Average", "AVERAGE_POOL_2D"))
    },
    **{
        f"{kind}Pooling3D": _plain(op, shape=rules.pooled(3)) for kind, op in (("Max", "tf.MaxPool3D"), ("Average", "tf.AvgPool3D"))
    },
    **{f"GlobalMaxPooling{rank}D": _plain("REDUCE_MAX", shape=rules.global_pool) for rank in (1, 2, 3)},
    **{f"GlobalAveragePooling{rank}D": _plain("MEAN", shape=rules.global_pool) for rank in (1, 2, 3)},
    **{f"ZeroPadding{rank}D": _padded(rank) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": _cropped(rank) for rank in (1, 2, 3)},
    "UpSampling1D": _upsampled(1, _always("RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE")),
    "UpSampling2D": _upsampled(2, _nearest_or_bilinear),
    "UpSampling3D": _upsampled(3, _repeated(3)),
    "Resizing": Kind(shape=_image, ops=_nearest_or_bilinear),
    "CenterCrop": _plain("SLICE", shape=_image),
    # joining
    "Add": Kind(shape=rules.broadcast, ops=_sum_of_many("ADD")),
    "Subtract": Kind(shape=rules.broadcast, ops=_always("SUB")),
    "Multiply": Kind(shape=rules.broadcast, ops=_sum_of_many("MUL")),
    "Average": Kind(shape=rules.broadcast, ops=lambda given: (*_sum_of_many("ADD")(given), "MUL")),
    "Maximum": Kind(shape=rules.broadcast, ops=_sum_of_many("MAXIMUM")),
    "Minimum": Kind(shape=rules.broadcast, ops=_sum_of_many("MINIMUM")),
    "Concatenate": Kind(shape=rules.concatenated, ops=lambda given: (joined(len(given.shapes)),)),
    "Dot": _plain("BATCH_MATMUL", shape=lambda given: (*given.shape[:-1], given.shapes[1][0])),
    # shapes
    "Flatten": _plain("RESHAPE", shape=rules.flat),
    "Reshape": _plain("RESHAPE", shape=rules.reshaped),
    "Permute": _plain("TRANSPOSE", shape=rules.permuted),
    "RepeatVector": _plain("RESHAPE", "TILE", "RESHAPE", shape=lambda given: (given.size("n"), *given.shape)),
    # words and bins
    "Masking": _plain(*in_float("NOT_EQUAL", "REDUCE_ANY", "CAST"), "MUL"),
    "CategoryEncoding": _plain("tf.DenseBincount", shape=lambda given: (given.size("num_tokens"),)),
    "Discretization": _plain("DEQUANTIZE", "BUCKETIZE", "CAST", "QUANTIZE"),
}
