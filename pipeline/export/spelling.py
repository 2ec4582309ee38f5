"""What integer runtimes lack, spelt out in operators that all have, while a model is traced. In the worker only.

TFLite Micro and the Edge TPU have no GELU; the converter writes SELU, and ELU with a factor of its own, with EXP or SELECT, which
TFLite Micro computes in float32 only or not at all. An UpSampling1D becomes as many slices as there are steps and one join of them
all, of which TFLite Micro takes ten; as a picture one row high it is a single operator. The formulas, all of one variable:
- gelu(x) = x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), the form with tanh (Hendrycks and Gimpel 2016, arXiv:1606.08415), since
  (1 + tanh z) / 2 = sigmoid(2 z); at most 0.0005 from the one with erf, which no operator computes. With tanh itself the converter
  would recognise it and write GELU again.
- elu with factor a is leaky_relu(elu(x), a); selu is that with its own factor, times its own scale (Klambauer et al. 2017,
  arXiv:1706.02515).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import pi, sqrt
from typing import Any, TypeAlias

Formula: TypeAlias = Callable[[Any], Any]  # of a TensorFlow tensor, element by element

LINEAR = 2 * sqrt(2 / pi)
CUBIC = LINEAR * 0.044715
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@contextmanager
def spelt_out(model: Any) -> Iterator[None]:
    """Within the block the layers of a tf_keras model, however deep, compute the same in these other operators."""
    with ExitStack() as until_the_end:
        for part in model.submodules:
            for owner in (part, *getattr(part, "_quantize_activations", ())):  # TF-MOT keeps a trained layer's there
                for name in ("activation", "recurrent_activation"):
                    if formula := _formulas().get(getattr(getattr(owner, name, None), "__name__", "")):
                        until_the_end.enter_context(instead(owner, name, formula))
            if type(part).__name__ == "ELU" and float(part.alpha) != 1.0:
                until_the_end.enter_context(instead(part, "call", partial(_elu, alpha=float(part.alpha))))
            if type(part).__name__ == "UpSampling1D":
                until_the_end.enter_context(instead(part, "call", partial(_repeated, times=int(part.size))))
        yield


@contextmanager
def instead(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Within the block `owner` has this value in the attribute `name`."""
    own = name in vars(owner)
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def _formulas() -> dict[str, Formula]:
    return {"gelu": _gelu, "selu": _selu}


def _gelu(x: Any) -> Any:
    import tensorflow as tf

    return x * tf.sigmoid(x * (LINEAR + CUBIC * (x * x)))


def _elu(inputs: Any, alpha: float) -> Any:
    import tensorflow as tf

    return tf.nn.leaky_relu(tf.nn.elu(inputs), alpha)


def _selu(x: Any) -> Any:
    return SELU_SCALE * _elu(x, SELU_ALPHA)


def _repeated(inputs: Any, times: int) -> Any:
    import tensorflow as tf

    steps = inputs.shape[1] * times
    row = tf.compat.v1.image.resize_nearest_neighbor(tf.expand_dims(inputs, 1), (1, steps), half_pixel_centers=True)
    return tf.reshape(row, (-1, steps, inputs.shape[2]))
