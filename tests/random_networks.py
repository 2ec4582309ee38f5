"""Hypothesis strategies for small networks: those that a microcontroller must be able to run, and those with something it cannot.

Every choice keeps the network valid: the strategies know how large the picture is after each part. That is all they know; whether a
network converts is the question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.small_networks import Network, Part

ACTIVATIONS = (
    "relu",
    "relu6",
    "swish",
    "gelu",
    "leaky_relu",
    "prelu",
    "elu",
    "sigmoid",
    "tanh",
    "selu",
    "hard_sigmoid",
    "hard_swish",
)
NOT_IN_KERAS_2 = ("hard_swish", "leaky_relu")  # by name; the layer LeakyReLU is there
LARGEST_SIDE = 20  # of a picture that is still made larger

Drawn = tuple[Part, int]  # a part, and the smallest side of what leaves it


def activations(keras: int = 3) -> SearchStrategy[str]:
    """Return activations by name; ReLU comes as often as it does with users."""
    return st.sampled_from(["relu"] * 4 + [name for name in ACTIVATIONS if keras == 3 or name not in NOT_IN_KERAS_2])


def _filters() -> SearchStrategy[int]:
    return st.sampled_from([3, 4, 6, 8, 12])


@st.composite
def _conv(draw: DrawFn, side: int, keras: int) -> Drawn:
    size = draw(st.sampled_from([1, 2, 3, 5]))
    strides = draw(st.sampled_from([1, 1, 2]))
    dilation = draw(st.sampled_from([1, 1, 1, 2])) if strides == 1 else 1
    reach = (size - 1) * dilation + 1
    padding = draw(st.sampled_from(["same", "valid"])) if reach <= side else "same"
    chosen = {
        "filters": draw(_filters()),
        "size": size,
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation,
        "use_bias": draw(st.booleans()),
        "activation": draw(activations(keras)),
        "fused": draw(st.booleans()),
        "separable": draw(st.sampled_from([False, False, True])),
    }
    return Part(kind="conv", settings=chosen), (side - reach) // strides + 1 if padding == "valid" else -(-side // strides)


@st.composite
def _plain(draw: DrawFn, side: int, keras: int) -> Drawn:
    """A part that leaves the size as it is."""
    name = activations(keras)
    whole: dict[str, Callable[[], dict[str, Any]]] = {
        "activation": lambda: {"activation": draw(name), "spelling": draw(st.sampled_from(["name", "layer"]))},
        "branches": lambda: {
            "filters": draw(_filters()),
            "sizes": draw(st.lists(st.sampled_from([1, 3, 5]), min_size=2, max_size=3)),
            "pooled": draw(st.booleans()),
        },
        "nested": lambda: {"filters": draw(_filters()), "functional": draw(st.booleans()), "twice": draw(st.booleans())},
        "norm": lambda: {
            "filters": draw(_filters()),
            "size": draw(st.sampled_from([1, 3])),
            "activation": draw(name),
            "first": draw(st.sampled_from(["norm", "norm", "activation"])),
            "spelling": draw(st.sampled_from(["name", "layer"])),
        },
        "scaled": lambda: {"factor": draw(st.sampled_from([0.5, 2.0])), "offset": draw(st.sampled_from([0.0, -1.0]))},
        "shared": lambda: {"times": draw(st.integers(2, 3)), "activation": draw(st.sampled_from(["relu", "tanh"]))},
        "squeeze and excite": lambda: {
            "gate": draw(st.sampled_from(["sigmoid", "hard_sigmoid"])),
            "by": draw(st.sampled_from(["convolution", "dense"])),
        },
        "layer": lambda: draw(
            st.sampled_from(
                [
                    {"name": "BatchNormalization"},
                    {"name": "LayerNormalization"},
                    {"name": "Dropout", "rate": 0.2},
                    {"name": "SpatialDropout*", "rate": 0.2},
                    {"name": "GaussianNoise", "stddev": 0.1},
                    {"name": "MaxPooling*", "pool_size": 3, "strides": 1, "padding": "same"},
                ]
            )
        ),
    }
    kind = draw(st.sampled_from(sorted(whole)))
    return Part(kind=kind, settings=whole[kind]()), side


@st.composite
def _pooling(draw: DrawFn, side: int, keras: int) -> Drawn:
    size = draw(st.sampled_from([2, 3]))
    padding = draw(st.sampled_from(["same", "valid"])) if side >= size else "same"
    chosen = {
        "name": draw(st.sampled_from(["MaxPooling*", "AveragePooling*"])),
        "pool_size": size,
        "strides": 2,
        "padding": padding,
    }
    return Part(kind="layer", settings=chosen), (side - size) // 2 + 1 if padding == "valid" else -(-side // 2)


@st.composite
def _resized(draw: DrawFn, side: int, keras: int) -> Drawn:
    padded = Part(kind="layer", settings={"name": "ZeroPadding*", "padding": 1}), side + 2
    cropped = Part(kind="layer", settings={"name": "Cropping*", "cropping": 1}), side - 2
    larger = Part(kind="layer", settings={"name": "UpSampling*", "size": 2}), side * 2
    return draw(st.sampled_from([padded, *([cropped] if side > 4 else []), *([larger] if side <= LARGEST_SIDE // 2 else [])]))


@st.composite
def _pictures_only(draw: DrawFn, side: int, keras: int) -> Drawn:
    name = activations(keras)
    strides = draw(st.sampled_from([1, 2]))
    smaller = -(-side // strides)
    choices: list[Callable[[], Drawn]] = [
        lambda: (
            Part(
                kind="depthwise",
                settings={
                    "size": draw(st.sampled_from([3, 5])),
                    "strides": strides,
                    "depth_multiplier": draw(st.sampled_from([1, 1, 2])),
                    "activation": draw(name),
                },
            ),
            smaller,
        ),
        lambda: (Part(kind="inverted", settings={"expansion": draw(st.integers(2, 4)), "activation": draw(name)}), side),
        lambda: (
            Part(
                kind="residual",
                settings={
                    "activation": draw(name),
                    "joined": draw(st.sampled_from(["Add", "Add", "Average", "Maximum", "Subtract"])),
                    "strides": strides,
                },
            ),
            smaller,
        ),
        lambda: (Part(kind="layer", settings={"name": "Permute", "dims": [2, 1, 3]}), side),
    ]
    if side <= LARGEST_SIDE // 2:
        choices.append(
            lambda: (
                Part(
                    kind="transpose",
                    settings={
                        "filters": draw(_filters()),
                        "size": draw(st.sampled_from([2, 3])),
                        "padding": draw(st.sampled_from(["same", "valid"])),
                    },
                ),
                side * 2,
            )
        )
        choices.append(
            lambda: (Part(kind="layer", settings={"name": "UpSampling2D", "size": 2, "interpolation": "bilinear"}), side * 2)
        )
    return draw(st.sampled_from(choices))()


@st.composite
def _end_of_body(draw: DrawFn, pictures: bool) -> Part:
    """What turns a picture or a series into a vector."""
    whole = [
        Part(kind="pooled whole", settings={"by": by, "keepdims": keepdims})
        for by in ("Average", "Max")
        for keepdims in (True, False)
    ]
    recurrent = Part(
        kind="recurrent",
        settings={
            "kind": draw(st.sampled_from(["LSTM", "GRU"])),
            "units": draw(st.integers(3, 6)),
            "both_ways": draw(st.sampled_from([False, False, True])),
            "sequences": draw(st.booleans()),
        },
    )
    flat = [
        Part(kind="layer", settings={"name": "Flatten"}),
        Part(kind="layer", settings={"name": "Reshape", "target_shape": [-1]}),
    ]
    return draw(st.sampled_from([*whole, *whole, *flat, *flat, *flat, recurrent, *([] if pictures else [recurrent] * 2)]))


@st.composite
def _tail(draw: DrawFn, keras: int) -> tuple[Part, ...]:
    parts = []
    for _ in range(draw(st.integers(0, 2))):
        chosen = {"units": draw(st.integers(4, 16)), "activation": draw(activations(keras)), "norm": draw(st.booleans())}
        parts.append(Part(kind="dense", settings=chosen))
        if draw(st.booleans()):
            parts.append(Part(kind="layer", settings={"name": draw(st.sampled_from(["Dropout"])), "rate": 0.3}))
    last = draw(st.sampled_from(["softmax", "softmax", "linear", "sigmoid", "softmax layer"]))
    if last == "softmax layer":
        units = draw(st.integers(2, 10))
        return (
            *parts,
            Part(kind="dense", settings={"units": units, "activation": "linear"}),
            Part(kind="layer", settings={"name": "Softmax"}),
        )
    units = 1 if last == "sigmoid" else draw(st.integers(2, 10))
    return (*parts, Part(kind="dense", settings={"units": units, "activation": last}))


@st.composite
def networks(draw: DrawFn) -> Network:
    """Draw a network that a microcontroller must be able to run."""
    keras = draw(st.sampled_from([3, 3, 3, 2]))
    pictures = draw(st.sampled_from([True, True, True, False]))
    side, channels = draw(st.sampled_from([8, 9, 12, 16])), draw(st.sampled_from([1, 3, 4]))
    longer = draw(st.integers(0, 3))
    shape = (side, side + longer, channels) if pictures else (side + longer, channels)
    opening = [
        Part(kind="rescaling", settings={"scale": 1 / 255, "offset": 0.0}),
        Part(kind="rescaling", settings={"scale": 1 / 127.5, "offset": -1.0}),
    ]
    body = [*draw(st.sampled_from([[]] * 3 + [[part] for part in (*opening, Part(kind="normalisation"))]))]
    kinds = [_conv, _pooling, _resized, *[_plain] * 4, *([_pictures_only] * 4 if pictures else [])]
    for number in range(draw(st.sampled_from([3, 4, 5, 6]))):
        part, side = draw(_conv(side, keras) if number == 0 else draw(st.sampled_from(kinds))(side, keras))
        body.append(part)
    if not pictures and draw(st.integers(0, 4)) == 0:
        body.append(Part(kind="attention", settings={"heads": draw(st.integers(1, 2)), "size": 4}))
    body.append(draw(_end_of_body(pictures)))
    return Network(
        seed=draw(st.integers(0, 2**31)),
        keras=keras,
        shape=shape,
        body=tuple(body),
        tail=draw(_tail(keras)),
        second_input=draw(st.sampled_from([0, 0, 0, 0, 5])),
    )


def _named(name: str, **more: Any) -> Part:
    return Part(kind="layer", settings={"name": name, **more})


# Something that one tool or another cannot take; what really becomes of it is not said here.
UNUSUAL: dict[str, tuple[tuple[int | None, ...], tuple[Part, ...]]] = {
    **{
        f"activation {name}": ((8, 8, 3), (Part(kind="activation", settings={"activation": name, "spelling": "name"}),))
        for name in ("softplus", "mish", "exponential", "softsign", "log_sigmoid", "celu", "squareplus", "hard_tanh", "tanh_shrink")
    },
    "top values": ((8, 8, 3), (Part(kind="top", settings={"count": 2}),)),
    "many branches": ((8, 8, 3), (Part(kind="joined", settings={"count": 12}),)),
    "some branches": ((8, 8, 3), (Part(kind="joined", settings={"count": 10}),)),
    "Lambda": ((8, 8, 3), (Part(kind="lambda"),)),
    "open size": ((None, None, 3), ()),
    "open steps": ((None, 3), ()),
    "volume": ((4, 6, 6, 2), ()),
    "two outputs": ((8, 8, 3), ()),
    "GroupNormalization": ((8, 8, 3), (_named("GroupNormalization", groups=2),)),
    "UnitNormalization": ((8, 8, 3), (_named("UnitNormalization"),)),
    "bicubic": ((6, 6, 3), (_named("UpSampling2D", size=2, interpolation="bicubic"),)),
    "bilinear": ((6, 6, 3), (_named("UpSampling2D", size=2, interpolation="bilinear"),)),
    "Conv1DTranspose": ((12, 3), (_named("Conv1DTranspose", filters=4, kernel_size=3, strides=2),)),
    "long GRU": ((150, 3), (_named("GRU", units=3, return_sequences=True),)),
    "short GRU": ((9, 3), (_named("GRU", units=3, return_sequences=True),)),
    "long LSTM": ((150, 3), (_named("LSTM", units=3, return_sequences=True),)),
    "SimpleRNN": ((9, 3), (_named("SimpleRNN", units=3, return_sequences=True),)),
    "Masking": ((9, 3), (_named("Masking"),)),
    "mirrored": ((8, 8, 3), (Part(kind="mirrored"),)),
}


@st.composite
def unusual_networks(draw: DrawFn, name: str) -> Network:
    """Draw a network with this entry of UNUSUAL in it, which may well not run on a microcontroller."""
    shape, parts = UNUSUAL[name]
    conv = {"filters": 4, "size": draw(st.sampled_from([1, 3])), "padding": "same", "activation": draw(activations())}
    body = (Part(kind="conv", settings=conv), *parts)
    if draw(st.booleans()):
        body = (*body, Part(kind="conv", settings={**conv, "fused": draw(st.booleans())}))
    return Network(
        seed=draw(st.integers(0, 2**31)),
        shape=shape,
        body=(*body, Part(kind="pooled whole", settings={"by": draw(st.sampled_from(["Average", "Max"])), "keepdims": False})),
        tail=draw(_tail(3)),
        two_outputs=name == "two outputs",
    )


def drawn(strategy: SearchStrategy[Network], count: int, *, seed: int) -> list[Network]:
    """Return `count` different networks, the same for the same seed."""
    found: dict[str, Network] = {}

    @seeded(seed)
    @settings(
        max_examples=2 * count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def collect(network: Network) -> None:
        found.setdefault(network.to_json(), network)

    collect()
    return list(found.values())[:count]
