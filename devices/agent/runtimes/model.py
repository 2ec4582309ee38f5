"""A loaded model, the same for every runtime."""

from typing import Any, List, Tuple

Port = Tuple[Tuple[int, ...], str]  # shape, dtype name


class Model:
    """`inputs` are the model's, in its own order; `invoke()` runs it once and is the runtime's own, with nothing around it."""

    def __init__(self, invoke: Any, inputs: List[Port]) -> None:
        self.invoke = invoke
        self.inputs = inputs

    def feed(self, arrays: List[Any]) -> None:
        """Set every input; numpy arrays of the shapes and dtypes of `inputs`."""
        raise NotImplementedError

    def answers(self) -> List[bytes]:
        """Return every output's bytes."""
        raise NotImplementedError

    def forget(self) -> None:
        """Clear what a model with memory (LSTM) keeps from one invocation to the next."""
        raise NotImplementedError


def port(detail: Any) -> Port:
    """Return the port that an interpreter's detail dictionary describes."""
    return tuple(int(size) for size in detail["shape"]), detail["dtype"]().dtype.name
