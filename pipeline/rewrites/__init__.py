"""A model as the stages can take it: the same answers, written otherwise, each change proved. Runs in the worker only.

Nested models become one graph, since TF-MOT refuses a model within a model. A BatchNormalization behind an activation, which TF-MOT
cannot fold, becomes part of the next layer or a depthwise convolution. What cannot be proved on random inputs is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from edgepipe.events import Emit, Note
from edgepipe.pipeline.keras_rebuild import TOLERANCE, largest_difference
from edgepipe.pipeline.rewrites.nested import flattened
from edgepipe.pipeline.rewrites.norms import without_late_norms

Rewrite: TypeAlias = Callable[[Any], tuple[Any, tuple[str, ...]]]  # the model itself and no lines where there is nothing to do

REWRITES: tuple[Rewrite, ...] = (flattened, without_late_norms)


def rewritten(model: Any, emit: Emit) -> tuple[Any, tuple[str, ...]]:
    """Return (a tf_keras model that computes the same, one line for each thing rewritten); the model itself where there is none."""
    lines: list[str] = []
    for rewrite in REWRITES:
        new, done = rewrite(model)
        if not done:
            continue
        difference = largest_difference(model, new)
        if difference is None or not difference <= TOLERANCE:
            why = "gives one answer to all probes" if difference is None else f"would differ by {difference:.1g}"
            emit(Note(warning=True, text=f"left as it is, since the model {why}: {'; '.join(done)}"))
            continue
        for line in done:
            emit(Note(text=f"rewritten: {line}"))
        lines += done
        model = new
    return model, tuple(lines)
