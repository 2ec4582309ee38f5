"""TFLite Micro's own interpreter on a PC, as `tflite-micro`: its answers are those of a microcontroller, its times are not."""

from typing import Any, List, Optional

from .model import Model, port

PACKAGE = "tflite-micro"
MODULE = "tflite_micro"
IMPORTS = "tflite_micro.python.tflite_micro.runtime"
DELEGATES = ("none",)
THREADED = False


def load(path: str, delegate: str, threads: int, attached: Optional[Any] = None) -> Model:
    """Load a model with an arena of ten times its size. Raises what the interpreter raises for a model that it refuses."""
    from tflite_micro.python.tflite_micro import runtime

    with open(path, "rb") as file:
        content = file.read()
    graph = runtime.schema_fb.Model.GetRootAsModel(content, 0).Subgraphs(0)
    return TflmModel(runtime.Interpreter.from_bytes(content), graph.InputsLength(), graph.OutputsLength())


class TflmModel(Model):
    """A model in a TFLite Micro interpreter."""

    def __init__(self, interpreter: Any, inputs: int, outputs: int) -> None:
        super().__init__(interpreter.invoke, [port(interpreter.get_input_details(index)) for index in range(inputs)])
        self._interpreter = interpreter
        self._outputs = range(outputs)

    def feed(self, arrays: List[Any]) -> None:
        for index, array in enumerate(arrays):
            self._interpreter.set_input(array, index)

    def answers(self) -> List[bytes]:
        return [self._interpreter.get_output(index).tobytes() for index in self._outputs]

    def forget(self) -> None:
        self._interpreter.reset()
