"""Two counts of the two MLPerf Tiny networks, made by different programs: operators, multiply-accumulates, bytes.

`python -m benchmarks.second_count`

The first is what `edgepipe inspect` reads with the schema's Python accessors and its own formulas. The second asks LiteRT's C++
interpreter, which parses the file by itself and plans its own tensors, and counts by hand. They share no code and no reader.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import result
from edgepipe.facts import TensorRole
from edgepipe.pipeline.inspect.flatbuffer import inspect_model

MODELS = Path(__file__).parents[1].parent / "shared" / "data" / "models"
NETWORKS = ("kws_ref_model.tflite", "ad01_int8.tflite")


class Count:
    """What the interpreter says of a file: its operators, and its tensors by their shapes and dtypes."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        interpreter = Interpreter(
            model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        interpreter.allocate_tensors()
        self.tensors: dict[int, Any] = {details["index"]: details for details in interpreter.get_tensor_details()}
        self.ops: list[dict[str, Any]] = interpreter._get_ops_details()
        self.fed = {details["index"] for details in interpreter.get_input_details()}

    def shape(self, index: int) -> list[int]:
        """Return a tensor's dimensions."""
        return [int(size) for size in self.tensors[index]["shape"]]

    def macs(self) -> Iterator[int]:
        """Yield each operator's multiply-accumulates, for the three that multiply."""
        for op in self.ops:
            out = math.prod(self.shape(op["outputs"][0]))
            if op["op_name"] == "CONV_2D":
                _, height, width, channels = self.shape(op["inputs"][1])
                yield out * height * width * channels
            elif op["op_name"] == "DEPTHWISE_CONV_2D":
                _, height, width, _ = self.shape(op["inputs"][1])
                yield out * height * width
            elif op["op_name"] == "FULLY_CONNECTED":
                yield math.prod(self.shape(op["inputs"][1])) * self.shape(op["inputs"][0])[0]
            else:
                yield 0

    def constant_bytes(self) -> dict[int, int]:
        """Return the bytes of every tensor that an operator reads and nobody writes or feeds."""
        import numpy as np

        read = {int(index) for op in self.ops for index in op["inputs"] if index >= 0}
        written = {int(index) for op in self.ops for index in op["outputs"]}
        return {
            index: math.prod(self.shape(index)) * np.dtype(self.tensors[index]["dtype"]).itemsize
            for index in read - written - self.fed
        }


def first(path: Path) -> dict[str, Any]:
    """Return the totals as edgepipe counts them."""
    found = inspect_model(path)
    used = (tensor for tensor in found.tensors if tensor.sha256 and tensor.role is not TensorRole.UNUSED)
    return {
        "operators": dict(sorted(Counter(op.op for op in found.facts.ops).items())),
        "macs": found.facts.macs,
        "macs_of_each": [op.macs for op in found.facts.ops],
        "constant_bytes": sum(tensor.size_bytes or 0 for tensor in used),
    }


def second(path: Path) -> dict[str, Any]:
    """Return the same totals as counted from LiteRT's interpreter."""
    count = Count(path)
    macs = [*count.macs()]
    return {
        "operators": dict(sorted(Counter(op["op_name"] for op in count.ops).items())),
        "macs": sum(macs),
        "macs_of_each": macs,
        "constant_bytes": sum(count.constant_bytes().values()),
    }


def main() -> None:
    """Count twice and write benchmarks/results/second_count.json; exit code 1 where the counts differ."""
    figures: dict[str, Any] = {}
    for name in NETWORKS:
        path = MODELS / name
        if not path.exists():
            raise SystemExit(f"no {path}")
        edgepipe, litert = first(path), second(path)
        figures[name] = {"file_bytes": path.stat().st_size, "edgepipe": edgepipe, "litert": litert, "equal": edgepipe == litert}
    print(json.dumps(figures, indent=2))
    print(result.write("second_count", "python -m benchmarks.second_count", figures))
    sys.exit(not all(network["equal"] for network in figures.values()))


if __name__ == "__main__":
    main()
