"""Small convolutional networks as plain descriptions, and the Keras models they describe: what users of microcontrollers build.

A description is JSON, so that a failure can be told in a line and built again; weights follow from its seed. Keras is imported by
`build` only, in a process that may have TensorFlow.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

Tensor: TypeAlias = Any  # a Keras tensor
Keras: TypeAlias = Any  # the module keras (Keras 3) or tf_keras (Keras 2)
SAMPLES = 24


@dataclass(frozen=True, kw_only=True)
class Part:
    """One step of a network: a name of PARTS and its settings."""

    kind: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network: `body` works on pictures (height, width, channels) or series (steps, channels), `tail` on what it leaves.

    `second_input` is the length of a vector that joins before the tail, 0 for none; `keras` the version that builds it, 2 or 3.
    """

    seed: int
    shape: tuple[int | None, ...]
    body: tuple[Part, ...]
    tail: tuple[Part, ...]
    second_input: int = 0
    two_outputs: bool = False
    keras: int = 3

    def to_json(self) -> str:
        """Return the description on one line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Network:
        """Return the network of a description."""
        content = json.loads(text)
        parts = {name: tuple(Part(**part) for part in content.pop(name)) for name in ("body", "tail")}
        return Network(**{**content, **parts, "shape": tuple(content["shape"])})


def build(network: Network) -> Any:
    """Return the Keras model, its weights drawn from the seed: kernels scaled by their inputs, statistics near 0 and 1."""
    if network.keras == 3:
        import keras as k
    else:
        import tf_keras as k

    k.utils.set_random_seed(network.seed)
    first = k.Input(network.shape, name="first")
    inputs, x = [first], first
    for part in network.body:
        x = PARTS[part.kind](k, x, **part.settings)
    if network.second_input:
        inputs.append(k.Input((network.second_input,), name="second"))
        x = k.layers.Concatenate()([x, k.layers.Dense(4, activation="relu")(inputs[1])])
    for part in network.tail:
        x = PARTS[part.kind](k, x, **part.settings)
    outputs = [x, k.layers.Dense(2)(x)] if network.two_outputs else x
    model = k.Model(inputs if network.second_input else first, outputs, name=f"network_{network.seed}")
    _randomise(model, network.seed)
    return model


def data(network: Network) -> dict[str, Any]:
    """Return SAMPLES random inputs by name: 0..255 where the network rescales, else around 0."""
    import numpy as np

    random = np.random.default_rng(network.seed)
    raw = network.body[0].kind == "rescaling"
    shape = (SAMPLES, *(size or 8 for size in network.shape))
    first = random.uniform(0, 255, shape) if raw else random.standard_normal(shape)
    found = {"first": first.astype("float32")}
    if network.second_input:
        found["second"] = random.standard_normal((SAMPLES, network.second_input)).astype("float32")
    return found


def _randomise(model: Any, seed: int) -> None:
    import numpy as np

    random = np.random.default_rng(seed)
    for variable in model.weights:
        name, shape = str(getattr(variable, "path", variable.name)), tuple(variable.shape)
        if len(shape) >= 2 and "alpha" not in name:
            fan_in = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
            variable.assign(random.normal(0, np.sqrt(1.5 / fan_in), shape).astype("float32"))
        elif "variance" in name or "gamma" in name:
            variable.assign(random.uniform(0.6, 1.4, shape).astype("float32"))
        elif "seed" not in name and "count" not in name:
            variable.assign(random.normal(0.1 if "alpha" in name else 0, 0.1, shape).astype("float32"))
    for layer in model.layers:
        if hasattr(layer, "finalize_state") and layer.weights:
            layer.finalize_state()


def _active(k: Keras, x: Tensor, activation: str, spelling: str = "name") -> Tensor:
    """Return x through an activation, spelt as an `Activation` or, where there is one, as a layer of its own."""
    slope = "negative_slope" if k.__version__.startswith("3") else "alpha"
    layers: dict[str, Callable[[], Any]] = {
        "relu": lambda: k.layers.ReLU(),
        "relu6": lambda: k.layers.ReLU(max_value=6.0),
        "leaky_relu": lambda: k.layers.LeakyReLU(**{slope: 0.1}),
        "prelu": lambda: k.layers.PReLU(shared_axes=list(range(1, len(x.shape) - 1)) or None),
        "elu": lambda: k.layers.ELU(),
    }
    if activation in layers and (spelling == "layer" or activation in ("relu6", "prelu")):
        return layers[activation]()(x)
    return k.layers.Activation(activation)(x)


def _rank(x: Tensor) -> int:
    return len(x.shape) - 2


def _of(k: Keras, kind: str, x: Tensor) -> Any:
    """Return the class of `kind` for pictures or series, as Conv2D or Conv1D."""
    return getattr(k.layers, f"{kind}{_rank(x)}D")


def _conv(
    k: Keras, x: Tensor, *, filters: int, size: int, activation: str = "linear", fused: bool = True, **settings: Any
) -> Tensor:
    separable = settings.pop("separable", False)
    cls = _of(k, "SeparableConv" if separable else "Conv", x)
    if fused and activation not in ("prelu", "relu6"):
        return cls(filters, size, activation=activation, **settings)(x)
    return _active(k, cls(filters, size, **settings)(x), activation, "layer")


def _depthwise(k: Keras, x: Tensor, *, size: int, activation: str, **settings: Any) -> Tensor:
    return _active(k, _of(k, "DepthwiseConv", x)(size, padding="same", **settings)(x), activation)


def _transpose(k: Keras, x: Tensor, *, filters: int, size: int, padding: str) -> Tensor:
    return k.layers.Conv2DTranspose(filters, size, strides=2, padding=padding)(x)


def _norm(k: Keras, x: Tensor, *, filters: int, size: int, activation: str, first: str, spelling: str) -> Tensor:
    """A convolution, then batch normalisation before or after the activation."""
    x = _of(k, "Conv", x)(filters, size, padding="same", use_bias=first != "norm")(x)
    if first == "norm":
        return _active(k, k.layers.BatchNormalization()(x), activation, spelling)
    return k.layers.BatchNormalization()(_active(k, x, activation, spelling))


def _residual(k: Keras, x: Tensor, *, activation: str, joined: str, strides: int) -> Tensor:
    channels = x.shape[-1]
    conv = _of(k, "Conv", x)
    y = conv(channels, 3, strides=strides, padding="same", use_bias=False)(x)
    y = _active(k, k.layers.BatchNormalization()(y), activation)
    y = k.layers.BatchNormalization()(conv(channels, 3, padding="same", use_bias=False)(y))
    kept = x if strides == 1 else conv(channels, 1, strides=strides, padding="same")(x)
    return _active(k, getattr(k.layers, joined)()([y, kept]), activation)


def _inverted(k: Keras, x: Tensor, *, expansion: int, activation: str) -> Tensor:
    """MobileNetV2's block: widen, depthwise, narrow, add."""
    channels = x.shape[-1]
    y = k.layers.BatchNormalization()(k.layers.Conv2D(channels * expansion, 1, use_bias=False)(x))
    y = k.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(_active(k, y, activation))
    y = _active(k, k.layers.BatchNormalization()(y), activation)
    y = k.layers.BatchNormalization()(k.layers.Conv2D(channels, 1, use_bias=False)(y))
    return k.layers.Add()([x, y])


def _squeeze_excite(k: Keras, x: Tensor, *, gate: str, by: str) -> Tensor:
    channels = x.shape[-1]
    pool = _of(k, "GlobalAveragePooling", x)
    if by == "convolution":
        y = _of(k, "Conv", x)(max(2, channels // 4), 1, activation="relu")(pool(keepdims=True)(x))
        y = _of(k, "Conv", x)(channels, 1, activation=gate)(y)
    else:
        y = k.layers.Dense(max(2, channels // 4), activation="relu")(pool()(x))
        y = k.layers.Reshape((*([1] * _rank(x)), channels))(k.layers.Dense(channels, activation=gate)(y))
    return k.layers.Multiply()([x, y])


def _branches(k: Keras, x: Tensor, *, filters: int, sizes: list[int], pooled: bool) -> Tensor:
    parts = [_of(k, "Conv", x)(filters, size, padding="same", activation="relu")(x) for size in sizes]
    if pooled:
        parts.append(_of(k, "MaxPooling", x)(3, strides=1, padding="same")(x))
    return k.layers.Concatenate()(parts)


def _shared(k: Keras, x: Tensor, *, times: int, activation: str) -> Tensor:
    conv = _of(k, "Conv", x)(x.shape[-1], 3, padding="same", activation=activation)
    for _ in range(times):
        x = conv(x)
    return x


def _nested(k: Keras, x: Tensor, *, filters: int, functional: bool, twice: bool) -> Tensor:
    """A model inside the model, perhaps used twice."""
    conv, norm = _of(k, "Conv", x)(filters, 3, padding="same", activation="relu"), k.layers.BatchNormalization()
    shape = tuple(x.shape[1:])
    if functional:
        given = k.Input(shape)
        inner = k.Model(given, norm(conv(given)))
    else:
        inner = k.Sequential([k.Input(shape), conv, norm])
    return k.layers.Concatenate()([inner(x), inner(x)]) if twice else inner(x)


def _scaled(k: Keras, x: Tensor, *, factor: float, offset: float) -> Tensor:
    return x * factor + offset


def _normalisation(k: Keras, x: Tensor) -> Tensor:
    import numpy as np

    channels = x.shape[-1]
    return k.layers.Normalization(mean=np.linspace(-0.5, 0.5, channels).tolist(), variance=np.linspace(0.5, 2, channels).tolist())(
        x
    )


def _recurrent(k: Keras, x: Tensor, *, kind: str, units: int, both_ways: bool, sequences: bool) -> Tensor:
    if len(x.shape) == 4:  # rows become steps
        x = k.layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    layer = getattr(k.layers, kind)(units, return_sequences=sequences)
    x = (k.layers.Bidirectional(layer) if both_ways else layer)(x)
    return k.layers.GlobalMaxPooling1D()(x) if sequences else x


def _attention(k: Keras, x: Tensor, *, heads: int, size: int) -> Tensor:
    y = k.layers.LayerNormalization()(x)
    return k.layers.Add()([x, k.layers.MultiHeadAttention(heads, size)(y, y)])


def _pooled_whole(k: Keras, x: Tensor, *, by: str, keepdims: bool) -> Tensor:
    x = _of(k, f"Global{by}Pooling", x)(keepdims=keepdims)(x)
    return k.layers.Flatten()(x) if keepdims else x


def _dense(k: Keras, x: Tensor, *, units: int, activation: str, norm: bool = False, spelling: str = "name") -> Tensor:
    x = k.layers.Dense(units)(x)
    return _active(k, k.layers.BatchNormalization()(x) if norm else x, activation, spelling)


def _layer(k: Keras, x: Tensor, *, name: str, **settings: Any) -> Tensor:
    """A layer by its class name, 2D or 1D after the input where the name ends in `*`."""
    cls = _of(k, name[:-1], x) if name.endswith("*") else getattr(k.layers, name)
    return cls(**settings)(x)


def _top(k: Keras, x: Tensor, *, count: int) -> Tensor:
    return k.ops.top_k(x, count)[0]


def _joined(k: Keras, x: Tensor, *, count: int) -> Tensor:
    return k.layers.Concatenate()([_of(k, "Conv", x)(1, 1)(x) for _ in range(count)])


PARTS: dict[str, Callable[..., Tensor]] = {
    "activation": lambda k, x, activation, spelling: _active(k, x, activation, spelling),
    "attention": _attention,
    "branches": _branches,
    "conv": _conv,
    "dense": _dense,
    "depthwise": _depthwise,
    "inverted": _inverted,
    "joined": _joined,
    "lambda": lambda k, x: k.layers.Lambda(lambda tensor: tensor * 2)(x),
    "layer": _layer,
    "mirrored": lambda k, x: k.ops.flip(x, axis=1),
    "nested": _nested,
    "norm": _norm,
    "normalisation": _normalisation,
    "pooled whole": _pooled_whole,
    "recurrent": _recurrent,
    "rescaling": lambda k, x, scale, offset: k.layers.Rescaling(scale, offset)(x),
    "residual": _residual,
    "scaled": _scaled,
    "shared": _shared,
    "squeeze and excite": _squeeze_excite,
    "top": _top,
    "transpose": _transpose,
}
