"""Whether the layers of a configuration can be joined at all: Keras tries forever to join a layer to one that is never reached."""

from __future__ import annotations

from collections.abc import Iterator


def unreachable(config: object) -> Iterator[str]:
    """Yield a line for each layer of a functional model, nested ones too, that waits for a layer which is never reached."""
    pending = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            settings = node.get("config")
            if isinstance(settings, dict) and isinstance(settings.get("layers"), list):
                yield from _waiting([layer for layer in settings["layers"] if isinstance(layer, dict)])
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _waiting(layers: list[dict[str, object]]) -> Iterator[str]:
    """Join layers as Keras does: a call is made once every layer it takes a tensor from was called."""
    made = {str(layer.get("name")): _calls(layer.get("inbound_nodes")) for layer in layers if "inbound_nodes" in layer}
    calls = [(name, sources & made.keys()) for name, each in made.items() for sources in each]
    takers: dict[str, list[int]] = {name: [] for name in made}
    for number, (_, sources) in enumerate(calls):
        for source in sources:
            takers[source].append(number)
    missing = [len(sources) for _, sources in calls]
    reached: set[str] = set()
    pending = [str(layer.get("name")) for layer in layers if layer.get("class_name") == "InputLayer"]
    pending += [name for name, sources in calls if not sources]
    while pending:
        name = pending.pop()
        if name in reached:
            continue
        reached.add(name)
        for number in takers.get(name, ()):
            missing[number] -= 1
            if not missing[number]:
                pending.append(calls[number][0])
    for number, (name, sources) in enumerate(calls):
        if missing[number]:
            yield f'layer "{name:.80}": it waits for "{min(sources - reached):.80}", which is never reached'


def _calls(nodes: object) -> list[set[str]]:
    """Return, for each call of a layer, the names of the layers whose tensors it takes."""
    return [set(_sources(node)) for node in nodes] if isinstance(nodes, list) else []


def _sources(node: object) -> Iterator[str]:
    """Yield the layers named in a call: [name, call, tensor, …] in Keras 2, a `keras_history` of the same in Keras 3."""
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, list) and len(part) >= 3 and isinstance(part[0], str) and all(isinstance(at, int) for at in part[1:3]):
            yield part[0]
        if isinstance(part, dict):
            pending += part.values()
        elif isinstance(part, list):
            pending += part
