"""Does the data have the scale that the model was trained on? Asked of the model itself, in the worker."""

from __future__ import annotations

from typing import Any

from edgepipe.errors import DataError

SAMPLES = 256
CLEARLY = 4.0  # times lower loss in the other scale
SMALLEST_LOSS = 0.1  # nats; below it the data fits, whatever another scale would give


def check_scale(model: Any, inputs: dict[str, Any], labels: Any, loss: Any) -> None:
    """Raise DataError where the model fits the data far better in another scale: 0..255 fed to a 0..1 model, or the reverse.

    Asked with at most SAMPLES samples and a cross-entropy, which punishes the over-confidence of a wrong scale; accuracy does not,
    since a ReLU network with small biases decides nearly the same at any scale. Other losses are not asked, nor is a model whose
    classes are not those of the labels.
    """
    import numpy as np

    if labels is None or "entropy" not in _name(loss) or _beyond(model, labels):
        return
    arrays = [np.asarray(values[:SAMPLES], dtype="float32") for values in inputs.values()]
    largest = max(float(np.max(np.abs(values))) for values in arrays)
    factor, words = (1 / 255, "divided by 255") if largest > 2 else (255.0, "times 255")
    truth = np.asarray(labels[:SAMPLES])
    given, other = (_mean_loss(model, [values * by for values in arrays], truth, loss) for by in (1.0, factor))
    if given > SMALLEST_LOSS and other * CLEARLY < given:
        raise DataError(
            f"the data has another scale than the model was trained on: its loss is {given:.3g} as it is, {other:.3g} {words}",
            cause="pictures as 0..255 for a model that takes 0..1, or the reverse",
            todo="Scale the data as in training; for image folders: data: {scale: 255}.",
        )


def _beyond(model: Any, labels: Any) -> bool:
    """Whether labels name classes that the model does not have: what is wrong then is told by `check`, for every split."""
    import numpy as np

    classes = model.outputs[0].shape[-1]
    numbers = np.asarray(labels)
    return classes > 1 and numbers.size == len(numbers) > 0 and not (numbers.min() >= 0 and numbers.max() < classes)


def _name(loss: Any) -> str:
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", "")).lower()


def _mean_loss(model: Any, arrays: list[Any], truth: Any, measure: Any) -> float:
    import numpy as np

    answers = model(arrays[0] if len(arrays) == 1 else arrays, training=False)
    if answers.shape[-1] == 1 and truth.ndim == len(answers.shape) - 1:
        truth = truth[..., np.newaxis]  # as Keras's own training does
    return float(np.mean(measure(truth, answers)))
