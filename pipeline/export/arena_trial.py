"""The child process that loads a model in TFLite Micro: `python -m edgepipe.pipeline.export.arena_trial record|search …`.

It may crash: TFLite Micro checks most of what it does with an arena that is too small, not all. Each trial is therefore announced
on standard output before it begins; its parent knows from the last line what the child died of.
"""

from __future__ import annotations

import sys
from pathlib import Path

STEP = 16


class Model:
    """A model that is loaded and run once per arena size."""

    def __init__(self, path: Path, inputs: int) -> None:
        from tflite_micro.python.tflite_micro import runtime

        self._content = path.read_bytes()
        self._inputs = inputs
        self._load = runtime.Interpreter.from_bytes

    def invokes(self, arena_bytes: int, *, record: bool = False) -> bool:
        """Load the model into an arena of this size, run it on zeros, and say whether both worked."""
        import numpy as np

        sys.stdout.write(f"try {arena_bytes}\n")
        sys.stdout.flush()
        try:
            interpreter = self._load(self._content, arena_size=arena_bytes)
            for index in range(self._inputs):
                details = interpreter.get_input_details(index)
                interpreter.set_input(np.zeros(details["shape"], details["dtype"]), index)
            interpreter.invoke()
        except (RuntimeError, ValueError) as exc:
            _say(f"no {arena_bytes} {type(exc).__name__}")
            return False
        if record:
            interpreter.print_allocations()
        _say(f"ok {arena_bytes}")
        return True


def search(model: Model, low: int, high: int, probe: int) -> None:
    """Narrow (low, high] down to one step, from `probe` with growing strides; `low` does not invoke, `high` does."""
    stride, worked, failed = STEP, False, False
    while high - low > STEP:
        if model.invokes(probe):
            high, worked = probe, True
        else:
            low, failed = probe, True
        if worked and failed:
            probe = low + (high - low) // (2 * STEP) * STEP
        else:
            probe = max(high - stride, low + STEP) if worked else min(low + stride, high - STEP)
            stride *= 2


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """record MODEL INPUTS ARENA, or search MODEL INPUTS LOW HIGH PROBE."""
    mode, path, inputs, *sizes = arguments
    model = Model(Path(path), int(inputs))
    if mode == "record":
        model.invokes(int(sizes[0]), record=True)
    else:
        search(model, int(sizes[0]), int(sizes[1]), int(sizes[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
