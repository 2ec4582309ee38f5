"""The oracle: TFLite Micro's own interpreter, in a child process that is started anew where a model ends it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, and rows of inputs: one list of arrays for each run."""

    model: bytes
    rows: tuple[tuple[Array, ...], ...]


def answers(cases: Sequence[Case]) -> list[list[list[bytes]] | None]:
    """Return for each case the outputs' bytes of every row; None where TFLite Micro refuses the model or ends the process."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-tflm-") as place:
        folder = Path(place)
        for number, case in enumerate(cases):
            (folder / f"{number}.tflite").write_bytes(case.model)
            arrays = {f"{row}.{index}": array for row, run in enumerate(case.rows) for index, array in enumerate(run)}
            np.savez(folder / f"{number}.npz", **arrays)  # type: ignore[arg-type]
        start = 0
        while start < len(cases):
            command = [sys.executable, str(Path(__file__).resolve()), place, str(start), str(len(cases))]
            subprocess.run(command, capture_output=True, check=False)
            while start < len(cases) and (folder / f"{start}.json").exists():
                start += 1
            if start < len(cases):
                (folder / f"{start}.json").write_text("null")
                start += 1
        found = [json.loads((folder / f"{number}.json").read_text()) for number in range(len(cases))]
    return [rows and [[bytes.fromhex(output) for output in row] for row in rows] for rows in found]


def _answer(model: bytes, inputs: dict[str, Array]) -> list[list[str]] | None:
    from tflite_micro.python.tflite_micro import runtime

    rows = sorted({int(name.partition(".")[0]) for name in inputs})
    graph = runtime.schema_fb.Model.GetRootAsModel(model, 0).Subgraphs(0)
    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 22)
        found = []
        for row in rows:
            for index in range(graph.InputsLength()):
                interpreter.set_input(inputs[f"{row}.{index}"], index)
            interpreter.invoke()
            found.append([np.asarray(interpreter.get_output(index)).tobytes().hex() for index in range(graph.OutputsLength())])
    except (RuntimeError, ValueError):
        return None
    return found


def main(place: str, first: str, end: str) -> None:
    """Answer the cases of a folder, one file each."""
    folder = Path(place)
    for number in range(int(first), int(end)):
        with np.load(folder / f"{number}.npz") as archive:
            found = _answer((folder / f"{number}.tflite").read_bytes(), dict(archive))
        partial = folder / f"{number}.partial"
        partial.write_text(json.dumps(found))
        partial.rename(folder / f"{number}.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
