"""A loaded model, the same for every runtime."""

from abc import ABC, abstractmethod
from typing import Any, List, Tuple

Port = Tuple[Tuple[int, ...], str]  # shape, dtype name


class Model(ABC):
    """`inputs` are the model's, in its own order; `invoke()` runs it once and is the runtime's own, with nothing around it."""

    def __init__(self, invoke: Any, inputs: List[Port]) -> None:
        self.invoke = invoke
        self.inputs = inputs

    @abstractmethod
    def feed(self, arrays: List[Any]) -> None:
        """Set every input; numpy arrays of the shapes and dtypes of `inputs`."""

    @abstractmethod
    def answers(self) -> List[bytes]:
        """Return every output's bytes."""

    @abstractmethod
    def forget(self) -> None:
        """Clear what a model with memory (LSTM) keeps from one invocation to the next."""


def port(detail: Any) -> Port:
    """Return the port that an interpreter's detail dictionary describes."""
    return tuple(int(size) for size in detail["shape"]), detail["dtype"]().dtype.name
