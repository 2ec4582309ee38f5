"""Does the data have the scale that the model was trained on? Asked of the model itself, in the worker."""

from __future__ import annotations

from typing import Any

from edgepipe.errors import DataError

SAMPLES = 256
CLEARLY = 0.2


def check_scale(model: Any, inputs: Any, labels: Any) -> None:
    """Raise DataError where the model answers much better to the data in another scale: 0..255 fed to a 0..1 model, or the reverse.

    At most SAMPLES samples with whole-number labels are asked; a share of right answers better by CLEARLY is taken for a sign.
    """
    import numpy as np

    arrays = [np.asarray(values[:SAMPLES]) for values in inputs.values()]
    largest = max(float(np.max(np.abs(values))) for values in arrays)
    if labels is None or len(model.output_shape) != 2 or model.output_shape[-1] < 2 or not largest > 0:
        return
    truth = np.asarray(labels[:SAMPLES])
    given = _share_right(model, arrays, truth)
    factor, words = (1 / 255, "divided by 255") if largest > 2 else (255.0, "times 255")
    better = _share_right(model, [values * factor for values in arrays], truth)
    if better > given + CLEARLY:
        raise DataError(
            f"the data has another scale than the model was trained on: {given:.0%} right as it is, {better:.0%} {words}",
            cause="pictures as 0..255 for a model that takes 0..1, or the reverse",
            todo="Scale the data as in training; for image folders: data: {scale: 255}.",
        )


def _share_right(model: Any, arrays: list[Any], truth: Any) -> float:
    import numpy as np

    answers = np.asarray(model(arrays[0] if len(arrays) == 1 else arrays, training=False))
    return float(np.mean(np.argmax(answers, axis=-1) == truth.reshape(-1)))
