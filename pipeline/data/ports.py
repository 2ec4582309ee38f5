"""Which array goes into which input of the model: by name, never by position."""

from __future__ import annotations

from collections.abc import Sequence

from edgepipe.documents import suggestion
from edgepipe.errors import DataError
from edgepipe.facts import TensorPort
from edgepipe.pipeline.data.dataset import Array, Dataset


def ordered(dataset: Dataset, ports: Sequence[TensorPort]) -> tuple[Array, ...]:
    """Return the dataset's arrays in the order of the model's inputs. Raises DataError where the names do not tell."""
    matched, problems = match(dataset, ports)
    if problems:
        raise DataError(f"{dataset.source} does not fit the model's inputs", problems=problems)
    return tuple(dataset.inputs[matched[port.name]] for port in ports)


def match(dataset: Dataset, ports: Sequence[TensorPort]) -> tuple[dict[str, str], list[str]]:
    """Return (the array's name by the port's name, problems). A model with one input takes one array of any name."""
    if len(ports) == 1 and len(dataset.inputs) == 1:
        return {ports[0].name: next(iter(dataset.inputs))}, []
    plain = {plain_name(name): name for name in dataset.inputs}
    matched = {port.name: plain[plain_name(port.name)] for port in ports if plain_name(port.name) in plain}
    missing = [plain_name(port.name) for port in ports if port.name not in matched]
    surplus = [name for name in dataset.inputs if name not in matched.values()]
    problems = [f'the model\'s input "{name}" is missing from the data' for name in missing]
    problems += [
        f'"{name}" is no input of the model.{suggestion(name, missing or [plain_name(port.name) for port in ports])}'
        for name in surplus
    ]
    return matched, problems


def shape_problem(array: Array, port: TensorPort) -> str:
    """Return what is wrong with the shape of `array` for `port`, with the way out, or "". The batch may be any."""
    if not port.shape:
        return ""
    wanted, given = port.shape[1:], array.shape[1:]
    if len(wanted) == len(given) and all(w in (-1, None, g) for w, g in zip(wanted, given, strict=True)):
        return ""
    message = f"a sample has the shape {_shown(given)}, the model takes {_shown(wanted)}"
    if all(w not in (-1, None) for w in wanted):
        if wanted == (*given, 1):
            return f"{message}: add the channel axis, x[..., None]"
        if sorted(wanted) == sorted(given):
            return f"{message}: the axes are in another order"
        if _size(wanted) == _size(given):
            return f"{message}: as many values, x.reshape{(-1, *map(int, wanted))}"
    return message


def plain_name(name: str) -> str:
    """Return a port's name without what exporters add: serving_default_audio:0 is audio."""
    return name.removeprefix("serving_default_").removesuffix(":0")


def _size(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _shown(shape: Sequence[int]) -> str:
    return " x ".join(str(length) if length not in (-1, None) else "any" for length in shape) or "one number"
