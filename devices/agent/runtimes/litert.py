"""LiteRT (formerly TensorFlow Lite), as `ai-edge-litert`."""

from typing import Any, List, Optional

from .. import edgetpu
from .model import Model, port

PACKAGE = "ai-edge-litert"
MODULE = "ai_edge_litert"
IMPORTS = "ai_edge_litert.interpreter"
# none: the built-in kernels without a delegate; ref: the slow reference kernels; edgetpu: the rest runs as with xnnpack
DELEGATES = ("xnnpack", "none", "ref", edgetpu.NAME)
THREADED = True


def load(path: str, delegate: str, threads: int, attached: Optional[Any] = None) -> Model:
    """Load a model and allocate its tensors. Raises what the interpreter raises for a model that it refuses."""
    from ai_edge_litert import interpreter

    return load_with(interpreter, path, delegate, threads, attached)


def load_with(module: Any, path: str, delegate: str, threads: int, attached: Optional[Any]) -> Model:
    """Load a model with the interpreter of a package, the names in which are the same in all of them, and a delegate of its own."""
    resolvers = {
        "xnnpack": module.OpResolverType.AUTO,
        "none": module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "ref": module.OpResolverType.BUILTIN_REF,
        edgetpu.NAME: module.OpResolverType.AUTO,
    }
    interpreter = module.Interpreter(
        model_path=path,
        num_threads=threads,
        experimental_op_resolver_type=resolvers[delegate],
        experimental_delegates=[attached] if attached else None,
    )
    interpreter.allocate_tensors()
    return LitertModel(interpreter)


class LitertModel(Model):
    """A model in a LiteRT interpreter."""

    def __init__(self, interpreter: Any) -> None:
        details = interpreter.get_input_details()
        super().__init__(interpreter.invoke, [port(detail) for detail in details])
        self._interpreter = interpreter
        self._inputs = [detail["index"] for detail in details]
        self._outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def feed(self, arrays: List[Any]) -> None:
        for index, array in zip(self._inputs, arrays):
            self._interpreter.set_tensor(index, array)

    def answers(self) -> List[bytes]:
        return [self._interpreter.get_tensor(index).tobytes() for index in self._outputs]

    def forget(self) -> None:
        self._interpreter.reset_all_variables()
