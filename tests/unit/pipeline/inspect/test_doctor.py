"""The doctor finds each thing that it has a code for, in the smallest model that has it, and nothing in a healthy one."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.diagnosis import TECHNIQUES, Examination, Severity, Verdict
from edgepipe.errors import ModelFileError, UsageError
from edgepipe.pipeline.hardware import BOARDS
from edgepipe.pipeline.inspect.doctor import CODES, examine, explain
from edgepipe.pipeline.inspect.doctor.network import read_network
from edgepipe.pipeline.targets import TARGETS

WINDOW = {"strides": [1, 1], "padding": "same", "dilation_rate": [1, 1], "data_format": "channels_last", "groups": 1}


def layer(kind: str, *takes: str, name: str = "", module: str = "keras.layers", **settings: Any) -> dict[str, Any]:
    """A layer as Keras 3 writes it; `takes` names the layers that it takes tensors from."""
    label = name or kind.lower()
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"shape": [], "dtype": "float32", "keras_history": [t, 0, 0]}} for t in takes
    ]
    given = tensors if len(tensors) < 2 else [tensors]
    nodes = [{"args": given, "kwargs": {}}] if takes else []
    return {"module": module, "class_name": kind, "name": label, "config": {"name": label, **settings}, "inbound_nodes": nodes}


def entry(*shape: int | None, name: str = "x", dtype: str = "float32") -> dict[str, Any]:
    return layer("InputLayer", name=name, batch_shape=[None, *shape], dtype=dtype)


def conv(*takes: str, name: str = "conv", filters: int = 4, activation: str = "linear", **more: Any) -> dict[str, Any]:
    settings = {**WINDOW, "filters": filters, "kernel_size": [3, 3], "use_bias": True, "activation": activation, **more}
    return layer("Conv2D", *takes, name=name, **settings)


def dense(*takes: str, name: str = "dense", units: int = 4, activation: str = "linear", **more: Any) -> dict[str, Any]:
    return layer("Dense", *takes, name=name, units=units, use_bias=True, activation=activation, **more)


def functional(*layers: dict[str, Any], outputs: tuple[str, ...] = ()) -> dict[str, Any]:
    inputs = [[each["name"], 0, 0] for each in layers if each["class_name"] == "InputLayer"]
    last = [[name, 0, 0] for name in outputs or (layers[-1]["name"],)]
    settings = {"name": "m", "layers": list(layers), "input_layers": inputs, "output_layers": last}
    return {"module": "keras", "class_name": "Functional", "config": settings, "registered_name": None}


def chain(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": list(layers)}, "registered_name": None}


def saved(path: Path, config: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"weights are not read")
    return path


Examine = Callable[..., Examination]


@pytest.fixture
def examined(tmp_path: Path) -> Examine:
    def run(config: dict[str, Any], target: str = "mcu", board: str | None = None) -> Examination:
        return examine(saved(tmp_path / "m.keras", config), target=target, board=board)

    return run


NORM = {"axis": -1, "center": True, "scale": True}
LSTM = {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "unroll": False}
POOL = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": "channels_last"}
MIXED = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}, "registered_name": None}
NORM_AFTER_ADD = functional(
    entry(8, 8, 2), conv("x", name="a"), conv("x", name="b"), layer("Add", "a", "b"), layer("BatchNormalization", "add", **NORM)
)

# code -> the smallest model that has it, the layer that it is found at, and more for the examination
SICK: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "EP101": (chain(entry(4), layer("Lambda", name="twice"), dense()), "twice", {}),
    "EP102": ({"module": "mine", "class_name": "Net", "config": {}, "registered_name": "mine>Net"}, "", {}),
    "EP103": (chain(entry(None, None, 2), conv()), "x", {}),
    "EP104": (chain(entry(2, 8, 8), conv(data_format="channels_first")), "conv", {}),
    "EP105": (chain(entry(4), dense(dtype=MIXED)), "dense", {}),
    "EP106": (functional(entry(4), dense("x", name="a"), dense("x", name="b"), outputs=("a", "b")), "", {}),
    "EP107": (functional(entry(4), layer("TopK", "x", module="keras.src.ops.nn", k=2), dense("topk")), "topk", {}),
    "EP201": (
        chain(entry(4, 4, 4, 2), layer("MaxPooling3D", **POOL | {"pool_size": [2] * 3, "strides": [2] * 3})),
        "maxpooling3d",
        {},
    ),
    "EP202": (chain(entry(4), layer("RepeatVector", n=3)), "repeatvector", {}),
    "EP203": (chain(entry(4), dense(activation="softplus")), "dense", {}),
    "EP204": (chain(entry(4), dense(name="d"), layer("ReLU", threshold=0.5)), "relu", {}),
    "EP205": (chain(entry(200, 4), layer("GRU", **LSTM, reset_after=True), dense()), "gru", {}),
    "EP206": (chain(entry(16, 4), layer("GRU", **LSTM, reset_after=True), dense()), "gru", {}),
    "EP301": (chain(entry(8, 8, 2), conv(), layer("PReLU")), "prelu", {}),
    "EP302": (chain(entry(4), dense(activation="softsign")), "dense", {}),
    "EP303": (NORM_AFTER_ADD, "batchnormalization", {}),
    "EP304": (chain(entry(8, 8, 2), layer("GlobalAveragePooling2D", data_format="channels_last", keepdims=False)), "", {}),
    "EP305": (
        chain(entry(8, 8, 2), conv(activation="relu"), layer("BatchNormalization", **NORM), conv(name="c")),
        "batchnormalization",
        {},
    ),
    "EP401": (chain(entry(2048), dense(units=1200)), "", {"board": "nucleo-l4r5zi"}),
    "EP402": (chain(entry(96, 96, 2), conv(filters=64)), "", {"board": "arduino-nano-33-ble"}),
    "EP403": (chain(entry(64, 64, 2), conv(filters=62, activation="swish")), "", {"board": "rp2040-pico"}),
    "EP404": (chain(entry(24, 24, 2), layer("Flatten"), dense(units=200)), "dense", {}),
    "EP501": (chain(entry(32, 32, 3), conv()), "x", {}),
    "EP502": (chain(entry(32, 32, 3), layer("Rescaling", scale=1 / 255, offset=0.0), conv()), "x", {}),
    "EP504": (chain(entry(6), layer("Embedding", input_dim=500, output_dim=4), layer("Flatten"), dense()), "x", {}),
}
ELSEWHERE = {"EP503", "EP601", "EP602", "EP701", "EP702", "EP703"}  # they need data, a .tflite or a real conversion


@pytest.mark.parametrize("code", SICK)
def test_each_thing_is_found_where_it_is(examined: Examine, code: str) -> None:
    config, where, more = SICK[code]
    found = [each for each in examined(config, **more).findings if each.code == code]
    assert [each.layer for each in found] == [where]
    assert found[0].what and found[0].why and found[0].fix


def test_a_setting_that_only_keras_3_has_is_told_before_the_bridge_finds_it(examined: Examine) -> None:
    sharp = {"height": 4, "width": 4, "interpolation": "bilinear", "data_format": "channels_last"}
    found = examined(chain(entry(8, 8, 2), layer("Resizing", **sharp, antialias=True), conv())).findings
    assert [(each.layer, each.what) for each in found if each.code == "EP107"] == [
        ("resizing", "Resizing has no antialias in Keras 2")
    ]
    plain = examined(chain(entry(8, 8, 2), layer("Resizing", **sharp, antialias=False), conv()))
    assert "EP107" not in {each.code for each in plain.findings}


def test_mixed_precision_is_no_hindrance(examined: Examine) -> None:
    assert [each.severity for each in examined(SICK["EP105"][0]).findings if each.code == "EP105"] == [Severity.NOTE]


def test_an_input_is_not_counted_as_a_layer(examined: Examine) -> None:
    (found,) = (each for each in examined(SICK["EP301"][0]).findings if each.code == "EP301")
    assert found.what.startswith("1 of 2 layers")


def test_every_code_has_a_model_that_has_it() -> None:
    assert SICK.keys() | ELSEWHERE == CODES.keys()


HEALTHY = {
    "a convolutional network": chain(
        entry(28, 28, 2),
        conv(activation="relu"),
        layer("MaxPooling2D", **POOL),
        layer("Flatten"),
        dense(activation="softmax"),
    ),
    "with a normalisation where it folds": chain(
        entry(8, 8, 2), conv(), layer("BatchNormalization", **NORM), layer("ReLU", max_value=6.0), layer("Flatten"), dense()
    ),
    "with a residual": functional(
        entry(8, 8, 2),
        conv("x", name="a"),
        conv("a", name="b", activation="relu"),
        layer("Add", "a", "b"),
        layer("Flatten", "add"),
        dense("flatten"),
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_of_a_healthy_model_nothing_is_said(examined: Examine, name: str) -> None:
    found = examined(HEALTHY[name], board="nucleo-l4r5zi")
    assert found.findings == ()
    assert found.fits


def test_every_code_is_explained() -> None:
    for code, row in CODES.items():
        assert re.fullmatch(r"EP\d{3}", code)
        assert row.code == code
        assert row.title and row.text and row.example and row.fix
        assert explain(code.lower()) is row


def test_an_unknown_code_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="EP999") as caught:
        explain("EP999")
    assert len(caught.value.problems) == len(CODES)


def test_all_problems_are_told_at_once(examined: Examine) -> None:
    found = examined(
        chain(
            entry(None, 8, 2),
            layer("Lambda", name="odd"),
            conv(activation="gelu"),
            layer("ReLU", threshold=0.5),
            layer("Flatten"),
            dense(),
        )
    )
    assert {"EP101", "EP103"} <= {each.code for each in found.findings}
    severities = [each.severity for each in found.findings]
    assert severities == sorted(severities, key=[*Severity].index)


def test_every_layer_has_a_verdict_and_a_reason_for_each_technique(examined: Examine) -> None:
    (row, *_), _ = examined(SICK["EP301"][0]).layers[1:], None
    assert tuple(row.treatments) == TECHNIQUES
    assert row.treatments["qat"].verdict is Verdict.SKIPPED
    assert "PReLU" in row.treatments["qat"].reason


def test_what_a_microcontroller_cannot_run_a_pi_can(examined: Examine) -> None:
    config = SICK["EP204"][0]
    assert not examined(config).fits
    on_pi = examined(config, target="pi")
    assert on_pi.fits
    assert [each.severity for each in on_pi.findings if each.code == "EP204"] == [Severity.WARNING]


def test_shapes_operators_and_costs_follow_from_the_settings(examined: Examine) -> None:
    rows = {row.layer: row for row in examined(HEALTHY["a convolutional network"]).layers}
    assert rows["conv"].shape == (28, 28, 4)
    assert rows["conv"].macs == 28 * 28 * 4 * 3 * 3 * 2
    assert rows["conv"].weights_bytes == 3 * 3 * 2 * 4 + 4 * 4
    assert rows["maxpooling2d"].shape == (14, 14, 4)
    assert rows["dense"].macs == 14 * 14 * 4 * 4
    assert rows["dense"].ops == ("FULLY_CONNECTED", "SOFTMAX")


def test_a_nested_model_is_opened_and_a_shared_layer_counted_once(examined: Examine) -> None:
    inner = {**chain(entry(8, 8, 2, name="in"), conv(name="c")), "name": "inner"}
    inner["config"]["name"] = "inner"
    inner["inbound_nodes"] = [layer("x", "x")["inbound_nodes"][0], layer("x", "y")["inbound_nodes"][0]]
    join = layer("Concatenate", "inner", "inner", axis=-1)
    join["inbound_nodes"][0]["args"][0][1]["config"]["keras_history"][1] = 1
    found = examined(functional(entry(8, 8, 2), entry(8, 8, 2, name="y"), inner, join))
    assert [row.layer for row in found.layers] == ["inner/c", "concatenate"]
    assert found.layers[1].shape == (8, 8, 8)
    assert found.layers[0].treatments["prune"].verdict is Verdict.REWRITTEN


def test_both_ends_of_padding_and_cropping_count(examined: Examine) -> None:
    found = examined(chain(entry(10, 2), layer("ZeroPadding1D", padding=[1, 2]), layer("Cropping1D", cropping=[3, 0])))
    assert [row.shape for row in found.layers] == [(13, 2), (10, 2)]


def test_a_configuration_that_cannot_be_joined_is_refused() -> None:
    for layers in ([{"class_name": "Dense"}], [7], []):
        with pytest.raises(ModelFileError):
            read_network(
                {
                    "class_name": "Functional",
                    "config": {"layers": [*layers, {"name": "a", "inbound_nodes": [[["b", 0, 0]]], "config": {}}]},
                }
            )


def test_nested_models_that_multiply_are_refused() -> None:
    """Eight levels of ten calls each would be a hundred million layers."""
    node: dict[str, Any] = chain(entry(4, name="in"), *(dense(name=f"d{number}") for number in range(10)))
    for level in range(8):
        parts = [
            {**node, "name": f"n{level}_{number}", "config": {**node["config"], "name": f"n{level}_{number}"}}
            for number in range(10)
        ]
        node = chain(entry(4, name="in"), *parts)
    with pytest.raises(ModelFileError, match="20000"):
        read_network(node)


def test_damaged_settings_are_unknown_and_not_a_crash(examined: Examine) -> None:
    for settings in ({"units": "ten"}, {"units": -3}, {"units": 10**40}, {"units": None}, {}):
        found = examined(chain(entry(4), layer("Dense", activation="linear", **settings)))
        assert [each.code for each in found.findings if each.severity is Severity.WARNING] == ["EP104"]


def test_a_float_tflite_does_not_fit_a_microcontroller(tmp_path: Path, tiny: Any) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny.dense(np.ones((3, 4), np.float32), "float32"))
    found = examine(path, target="mcu")
    assert {each.code for each in found.findings} == {"EP601"}
    assert not found.fits
    assert examine(path, target="host").findings == ()


def test_an_int8_tflite_that_its_kernels_refuse_does_not_fit(tmp_path: Path, tiny: Any) -> None:
    made = tiny()
    x, y = (made.tensor(name, (1, 4), scale=0.1) for name in "xy")
    made.op("EXP", [x], [y])
    made.ports([x], [y])
    (tmp_path / "m.tflite").write_bytes(made.build())
    (found,) = examine(tmp_path / "m.tflite", target="mcu").findings
    assert (found.code, found.severity) == ("EP203", Severity.ERROR)


def test_a_tflite_with_an_open_batch_is_warned_of(tmp_path: Path, tiny: Any) -> None:
    made = tiny()
    x, y = (made.tensor(name, (1, 4), scale=0.1, signature=(-1, 4)) for name in "xy")
    made.op("TANH", [x], [y])
    made.ports([x], [y])
    (tmp_path / "m.tflite").write_bytes(made.build())
    found = examine(tmp_path / "m.tflite", target="mcu")
    assert [each.code for each in found.findings] == ["EP602"]
    assert found.fits


def test_the_arena_of_the_keyword_network_lies_between_its_estimates(kws: Path) -> None:
    """22,868 bytes on a Cortex-M4, 24,272 in the wheel: FACTS and `edgepipe.pipeline.export.arena`."""
    budget = examine(kws, target="mcu", board="nucleo-l4r5zi").budget
    assert budget.arena_low_bytes is not None and budget.arena_high_bytes is not None
    assert budget.arena_low_bytes <= 22_868 <= 24_272 <= budget.arena_high_bytes < 2 * 24_272


def test_every_board_is_of_a_target_and_says_where_its_figures_stand() -> None:
    assert len(BOARDS) >= 12
    for name, board in BOARDS.items():
        assert board.name == name
        assert board.target in TARGETS
        assert board.ram_bytes > 0 and board.source
        assert (board.flash_bytes is not None) == TARGETS[board.target].in_arena


def test_a_board_of_another_kind_is_the_users_mistake(examined: Examine) -> None:
    with pytest.raises(UsageError, match="rpi5"):
        examined(SICK["EP204"][0], target="mcu", board="rpi5")
    with pytest.raises(UsageError, match="unknown board"):
        examined(SICK["EP204"][0], board="toaster")
