"""A layer that waits for one which is never reached keeps Keras busy for ever; models that can be joined are let be."""

from __future__ import annotations

from edgepipe.pipeline.inspect.keras_wiring import unreachable


def model(*layers: tuple[str, object]) -> dict[str, object]:
    made = [{"class_name": "Dense", "name": name, "config": {}, "inbound_nodes": calls} for name, calls in layers]
    return {
        "class_name": "Functional",
        "config": {"layers": [{"class_name": "InputLayer", "name": "x", "inbound_nodes": []}, *made]},
    }


def keras2(*sources: str) -> list[object]:
    return [[name, 0, 0, {}] for name in sources]


def keras3(*sources: str) -> dict[str, object]:
    return {
        "args": [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in sources],
        "kwargs": {},
    }


def test_layers_in_any_order_shared_and_with_several_inputs_are_let_be() -> None:
    for call in (keras2, keras3):
        assert [
            *unreachable(model(("d", [call("c", "a")]), ("c", [call("b"), call("a")]), ("b", [call("a")]), ("a", [call("x")])))
        ] == []


def test_a_circle_and_a_layer_never_called_are_named() -> None:
    for call in (keras2, keras3):
        (line,) = unreachable(model(("a", ""), ("b", [call("x", "a")])))
        assert line == 'layer "b": it waits for "a", which is never reached'
        assert len([*unreachable(model(("a", [call("b")]), ("b", [call("a")])))]) == 2
        assert len([*unreachable(model(("a", [call("a")])))]) == 1


def test_nested_models_are_looked_into() -> None:
    outer = model(("a", [keras2("x")]))
    outer["config"]["layers"].append({**model(("n", [keras2("n")])), "name": "inner", "inbound_nodes": [keras2("a")]})  # type: ignore[index]
    assert [*unreachable(outer)] == ['layer "n": it waits for "n", which is never reached']


def test_a_long_chain_in_the_wrong_order_takes_no_time_to_speak_of() -> None:
    names = [f"l{number}" for number in range(50_000)]
    chain = [(name, [keras2(before)]) for name, before in zip(names, ["x", *names], strict=False)]
    assert [*unreachable(model(*reversed(chain)))] == []
