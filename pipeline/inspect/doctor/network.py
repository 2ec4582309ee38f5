"""A Keras configuration as a flat list of calls: nested models opened, shared layers once a call, in the order of computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from edgepipe.errors import ModelFileError

MOST_CALLS = 20_000  # of layers, nested ones opened; the largest models of keras.applications have under 1,000
OPERATIONS = ("keras.src.ops", "keras.ops")  # modules of what arithmetic on Keras 3 tensors turns into
OPERATION_LAYERS = ("TFOpLambda", "SlicingOpLambda")  # the same in Keras 2

Source: TypeAlias = tuple[int, int]  # a tensor: the number of the call that gives it, and which of its outputs
Name: TypeAlias = tuple[str, int, int]  # a tensor in a configuration: layer, its call, which output


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of one layer. `path` is its name, with those of the models around it; `kind` its class, an operation's as "op:Add".

    `takes` are the tensors it is given, in order; `constants` the plain numbers among its arguments, `keywords` those by name.
    """

    path: str
    kind: str
    settings: Mapping[str, Any]
    takes: tuple[Source, ...] = ()
    constants: tuple[Any, ...] = ()
    keywords: Mapping[str, Any]
    nested: bool = False
    first: bool = True
    """False where an earlier call of the same layer has its weights."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """All calls, each after those it takes tensors from, and the tensors that come out."""

    calls: tuple[Call, ...]
    outputs: tuple[Source, ...]

    def takers(self) -> dict[int, list[int]]:
        """Return, for each call, the calls that take a tensor from it; an output of the network is taken by call -1."""
        found: dict[int, list[int]] = {number: [] for number in range(len(self.calls))}
        for number, call in enumerate(self.calls):
            for source, _ in call.takes:
                found[source].append(number)
        for source, _ in self.outputs:
            found[source].append(-1)
        return found


def read_network(config: Mapping[str, Any]) -> Network:
    """Return the calls of a functional or Sequential model of either Keras.

    Raises ModelFileError where the configuration does not say how its layers are joined, or has more than MOST_CALLS.
    """
    reader = _Reader()
    try:
        outputs = reader.model(config, "", None)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as exc:
        raise ModelFileError(f"the model's configuration is damaged: its layers cannot be joined ({type(exc).__name__})") from exc
    return Network(calls=tuple(reader.calls), outputs=tuple(outputs))


class _Reader:
    """Writes calls down as it walks; a nested model is walked once for each call of it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._seen: set[str] = set()

    def model(self, node: Mapping[str, Any], path: str, given: Sequence[Source] | None) -> list[Source]:
        """Walk one model; `given` are the tensors for its inputs, None for the outermost. Return its outputs."""
        layers = [layer for layer in node["config"]["layers"] if isinstance(layer, dict)]
        if any(layer.get("inbound_nodes") for layer in layers):
            return self._functional(node, layers, path, given)
        return self._sequential(node, layers, path, given)

    def _sequential(
        self, node: Mapping[str, Any], layers: list[dict[str, Any]], path: str, given: Sequence[Source] | None
    ) -> list[Source]:
        current = list(given or [])
        if layers and layers[0].get("class_name") == "InputLayer":
            current = current or [self._input(layers[0], path)]
            layers = layers[1:]
        elif not current:
            current = [self._input(_implied_input(node, layers), path)]
        for layer in layers:
            current = self._call(layer, path, current[:1], (), {})
        return current[:1]

    def _functional(
        self, node: Mapping[str, Any], layers: list[dict[str, Any]], path: str, given: Sequence[Source] | None
    ) -> list[Source]:
        settings = node["config"]
        inputs = [name for name, _, _ in _names(settings["input_layers"])]
        known: dict[tuple[str, int], list[Source]] = {}
        by_name = {str(layer.get("name") or layer["config"]["name"]): layer for layer in layers}
        for place, name in enumerate(inputs):
            known[name, 0] = [given[place]] if given is not None else [self._input(by_name[name], path)]
        wanted = [(name, number) for name, layer in by_name.items() for number in range(len(layer.get("inbound_nodes") or []))]
        for start in wanted:
            self._reach(start, by_name, known, path)
        return [known[self._place(by_name[name], name, call)][index] for name, call, index in _names(settings["output_layers"])]

    def _reach(
        self, start: tuple[str, int], layers: Mapping[str, dict[str, Any]], known: dict[tuple[str, int], list[Source]], path: str
    ) -> None:
        """Write down a call after all that it waits for, without recursion: networks are thousands of layers deep."""
        pending = [start]
        while pending:
            name, number = key = pending[-1]
            if key in known:
                pending.pop()
                continue
            arguments, keywords = _arguments(layers[name]["inbound_nodes"][number], layers)
            tensors = [each for each in (*_flat(arguments), *_flat(list(keywords.values()))) if isinstance(each, _Tensor)]
            places = [self._place(layers[tensor.name], tensor.name, tensor.call) for tensor in tensors]
            if missing := [place for place in places if place not in known]:
                if len(pending) > len(layers) + MOST_CALLS:
                    raise ValueError("layers wait for each other")
                pending += missing
                continue
            takes = [known[place][tensor.index] for place, tensor in zip(places, tensors, strict=True)]
            constants = tuple(each for each in arguments if not _has_tensor(each))
            plain = {key: value for key, value in keywords.items() if not _has_tensor(value)}
            known[key] = self._call(layers[name], path, takes, constants, plain)
            pending.pop()

    def _place(self, layer: Mapping[str, Any], name: str, call: int) -> tuple[str, int]:
        """Return the key of a call: some models count their own inside as call 0, so that their first call is 1."""
        calls = len(layer.get("inbound_nodes") or [])
        starts_at_1 = isinstance(layer["config"].get("layers"), list) and (layer["class_name"] != "Sequential" or _keras_2(layer))
        return name, min(call - 1 if starts_at_1 and call else call, max(calls - 1, 0))

    def _input(self, layer: Mapping[str, Any], path: str) -> Source:
        return self._add(Call(path=path + str(layer["config"]["name"]), kind="InputLayer", settings=layer["config"], keywords={}))

    def _call(
        self,
        layer: Mapping[str, Any],
        path: str,
        takes: Sequence[Source],
        constants: tuple[Any, ...],
        keywords: Mapping[str, Any],
    ) -> list[Source]:
        settings = layer["config"]
        name = path + str(layer.get("name") or settings.get("name"))
        if isinstance(settings.get("layers"), list):
            return self.model(layer, f"{name}/", takes)
        call = Call(
            path=name,
            kind=_kind(layer),
            settings=settings,
            takes=tuple(takes),
            constants=constants,
            keywords=keywords,
            nested="/" in name and bool(path),
        )
        number, _ = self._add(call)
        return [(number, index) for index in range(8)]  # no layer of Keras gives more

    def _add(self, call: Call) -> Source:
        if len(self.calls) >= MOST_CALLS:
            raise ModelFileError(f"the model calls more than {MOST_CALLS} layers", cause="nested models that are called many times")
        self.calls.append(replace(call, first=call.path not in self._seen))
        self._seen.add(call.path)
        return len(self.calls) - 1, 0


@dataclass(frozen=True)
class _Tensor:
    """A tensor as a configuration names it."""

    name: str
    call: int
    index: int


def _implied_input(node: Mapping[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the Input layer of a Sequential model that was built without one, from the shape that it was built for."""
    shape = node["config"].get("build_input_shape") or (node.get("build_config") or {}).get("input_shape")
    if shape is None and layers:
        settings = layers[0]["config"]
        shape = settings.get("batch_input_shape") or settings.get("batch_shape") or layers[0]["build_config"]["input_shape"]
    return {"class_name": "InputLayer", "config": {"name": "input", "batch_shape": shape}}


def _keras_2(layer: Mapping[str, Any]) -> bool:
    nodes = layer.get("inbound_nodes") or [[]]
    return isinstance(nodes[0], list)


def _kind(layer: Mapping[str, Any]) -> str:
    kind, settings = str(layer.get("class_name")), layer["config"]
    if str(layer.get("module") or "").startswith(OPERATIONS):
        return f"op:{kind}"
    if kind == "TFOpLambda":
        return f"op:{str(settings.get('function', '')).rsplit('.', 1)[-1].lower()}"
    return "op:GetItem" if kind == "SlicingOpLambda" else kind


def _arguments(node: Any, layers: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of one call with its tensors as _Tensor."""
    if isinstance(node, dict):  # Keras 3
        return [_keras_3(each) for each in node.get("args", [])], {
            key: _keras_3(value) for key, value in (node.get("kwargs") or {}).items()
        }
    parts = [node] if node and isinstance(node[0], str) else node
    arguments = [part[2] if part[0] == "_CONSTANT_VALUE" else _Tensor(str(part[0]), part[1], part[2]) for part in parts]
    keywords: dict[str, Any] = next((part[3] for part in parts if len(part) > 3 and part[3]), {})
    return arguments, {key: _named(value, layers) for key, value in keywords.items()}


def _keras_3(value: Any) -> Any:
    if isinstance(value, list):
        return [_keras_3(each) for each in value]
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        name, call, index = value["config"]["keras_history"]
        return _Tensor(str(name), call, index)
    if isinstance(value, dict) and value.get("class_name") == "__slice__":
        settings = value["config"]
        return slice(settings.get("start"), settings.get("stop"), settings.get("step"))
    return value


def _named(value: Any, layers: Mapping[str, Any]) -> Any:
    """Return a Keras 2 keyword with [layer, call, output] as a tensor."""
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and value[0] in layers:
        return _Tensor(value[0], value[1], value[2])
    return [_named(each, layers) for each in value] if isinstance(value, list) else value


def _names(entry: Any) -> list[Name]:
    """Return the tensors in `input_layers` or `output_layers`: ["x", 0, 0], [["x", 0, 0], …] or a map of these."""
    if isinstance(entry, dict):
        return [name for value in entry.values() for name in _names(value)]
    if entry and isinstance(entry[0], str):
        return [(entry[0], entry[1], entry[2])]
    return [name for value in entry for name in _names(value)]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def _has_tensor(value: Any) -> bool:
    return any(isinstance(each, _Tensor) for each in _flat(value))
