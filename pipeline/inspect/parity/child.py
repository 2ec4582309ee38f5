"""The process that runs a model in one runtime and may crash: python -m … RUNTIME MODEL INPUTS OUTPUTS ARENA.

With --ops N it runs the first N operators only, with --every all results are outputs. INPUTS is a .npy of bytes, a row a sample,
every input's values one after another; OUTPUTS becomes the same of its outputs. On standard output a line for each sample answered,
then one of JSON with the outputs' tensors, shapes and dtypes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edgepipe.parity import Runtime

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

Array = NDArray[np.generic]
Port = tuple[tuple[int, ...], str]  # shape, dtype
REFUSED = 3  # exit status of a model that the runtime does not take


class Loaded(Protocol):
    """A model in a runtime."""

    inputs: list[Port]

    def answer(self, arrays: Sequence[Array]) -> list[Array]:
        """Run the model from a fresh state and return its outputs."""


class Litert:
    """A model in LiteRT."""

    def __init__(self, content: bytes, runtime: Runtime) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolvers = {
            Runtime.XNNPACK: OpResolverType.AUTO,
            Runtime.BUILTIN: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            Runtime.REFERENCE: OpResolverType.BUILTIN_REF,
        }
        self._interpreter: Interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=resolvers[runtime], num_threads=1
        )
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()
        self._places = [detail["index"] for detail in details]
        self.inputs = [_port(detail) for detail in details]

    def answer(self, arrays: Sequence[Array]) -> list[Array]:
        """Run the model from a fresh state and return its outputs."""
        for place, array in zip(self._places, arrays, strict=True):
            self._interpreter.set_tensor(place, array)
        self._interpreter.reset_all_variables()
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._interpreter.get_output_details()]


class Tflm:
    """A model in TFLite Micro."""

    def __init__(self, content: bytes, arena_bytes: int) -> None:
        from tflite_micro.python.tflite_micro import runtime

        graph = runtime.schema_fb.Model.GetRootAsModel(content, 0).Subgraphs(0)
        self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)
        self.inputs = [_port(self._interpreter.get_input_details(index)) for index in range(graph.InputsLength())]
        self._outputs = range(graph.OutputsLength())

    def answer(self, arrays: Sequence[Array]) -> list[Array]:
        """Run the model from a fresh state and return its outputs."""
        self._interpreter.reset()
        for index, array in enumerate(arrays):
            self._interpreter.set_input(array, index)
        self._interpreter.invoke()
        return [self._interpreter.get_output(index) for index in self._outputs]


def _port(detail: dict[str, object]) -> Port:
    shape, dtype = detail["shape"], detail["dtype"]
    return tuple(int(size) for size in np.asarray(shape)), np.dtype(dtype).name  # type: ignore[call-overload]


def _arrays(row: Array, ports: Sequence[Port]) -> Iterator[Array]:
    """Yield the inputs that a row of bytes holds. Raises ValueError where it is too long or too short."""
    start = 0
    for shape, dtype in ports:
        end = start + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        yield row[start:end].view(dtype).reshape(shape)
        start = end
    if start != row.size:
        raise ValueError(f"a sample has {row.size} bytes, the runtime takes {start}")


def main(arguments: Sequence[str]) -> int:
    """Answer every sample; return 0, or REFUSED with the reason on standard error."""
    parser = argparse.ArgumentParser()
    for name in ("runtime", "model", "inputs", "outputs"):
        parser.add_argument(name)
    parser.add_argument("arena", type=int)
    parser.add_argument("--ops", type=int)
    parser.add_argument("--every", action="store_true")
    given = parser.parse_args(arguments)
    content = Path(given.model).read_bytes()
    tensors: tuple[int, ...] = ()
    samples = np.load(given.inputs, allow_pickle=False)
    try:
        if given.ops is not None or given.every:
            from edgepipe.pipeline.inspect.parity.cut import cut

            content, tensors = cut(content, given.ops, every=given.every)
        runtime = Runtime(given.runtime)
        model: Loaded = Tflm(content, given.arena) if runtime is Runtime.TFLM else Litert(content, runtime)
        rows, outputs = [], []
        for row in samples:
            outputs = model.answer(list(_arrays(row, model.inputs)))
            rows.append(np.frombuffer(b"".join(output.tobytes() for output in outputs), np.uint8))
            _say("answered")
        table = np.stack(rows)
    except (RuntimeError, ValueError, TypeError) as exc:  # how both interpreters say that they do not take a model
        sys.stderr.write(f"{exc}\n")
        return REFUSED
    np.save(given.outputs, table, allow_pickle=False)
    _say(json.dumps({"tensors": tensors, "ports": [[list(output.shape), output.dtype.name] for output in outputs]}))
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
