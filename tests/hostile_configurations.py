"""What the configuration of a `.keras` file may hold that would do harm, or seems to: each kind by name, each small."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def thing(module: str | None, kind: str, registered: str | None = None, **config: Any) -> dict[str, Any]:
    """One object of a Keras configuration."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": registered}


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """One layer of Keras."""
    return thing("keras.layers", kind, name=name, **config)


def model(*layers: object, **top: Any) -> dict[str, Any]:
    """A Sequential of an input of 4 numbers and the layers given."""
    inputs = layer("InputLayer", "x", batch_shape=[None, 4], dtype="float32")
    return {**thing("keras", "Sequential", name="m", layers=[inputs, *layers]), **top}


def function(name: str, module: str = "builtins") -> dict[str, Any]:
    """A function as Keras writes it."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def _dense(**config: Any) -> dict[str, Any]:
    return model(layer("Dense", "d", **{"units": 3, **config}))


def _nested(depth: int) -> object:
    found: object = "mse"
    for _ in range(depth):
        found = [found]
    return found


CODE = {"module": "builtins", "class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}}
OPEN = thing("keras.src.utils.io_utils", "print_msg")

# What stands in config.json, and what the message must say of it.
CONFIGURATIONS: dict[str, tuple[object, str]] = {
    "a Lambda layer": (model(layer("Lambda", "code", function=CODE)), "a Lambda holds Python code"),
    "a Lambda of tf_keras": (model(thing("tf_keras.layers", "Lambda", name="code")), "a Lambda holds Python code"),
    "a Lambda without its module": (model({"class_name": "Lambda", "config": {"name": "code"}}), "a Lambda holds Python code"),
    "a Lambda by its private module": (
        model(thing("keras.src.layers.core.lambda_layer", "Lambda", name="code")),
        "holds Python code",
    ),
    "a Lambda in a nested model": (model(model(layer("Lambda", "deep"))), "a Lambda holds Python code"),
    "a Lambda in a wrapper": (model(layer("TimeDistributed", "t", layer=layer("Lambda", "inner"))), '"inner"'),
    "a Lambda in a cell": (model(layer("RNN", "r", cell=layer("Lambda", "cell"))), '"cell"'),
    "a Lambda among an input's arguments": (
        model({**layer("Dense", "d"), "inbound_nodes": [{"args": [layer("Lambda", "arg")], "kwargs": {}}]}),
        '"arg"',
    ),
    "a Lambda in the build settings": (model({**layer("Dense", "d"), "build_config": {"x": layer("Lambda", "b")}}), '"b"'),
    "a lambda as an activation": (_dense(activation=CODE), "a Lambda holds Python code"),
    "a lambda as a loss": ({**_dense(), "compile_config": {"loss": CODE}}, "a Lambda holds Python code"),
    "a lambda as a metric": ({**_dense(), "compile_config": {"metrics": [[CODE]]}}, "a Lambda holds Python code"),
    "a lambda as an initialiser": (_dense(kernel_initializer=CODE), "a Lambda holds Python code"),
    "a TFSMLayer": (model(layer("TFSMLayer", "t", filepath="/tmp/x")), "foreign graph"),
    "a TorchModuleWrapper": (model(layer("TorchModuleWrapper", "t", pickled="gAR9")), "unpickles"),
    "a JaxLayer": (model(layer("JaxLayer", "j")), "holds Python code"),
    "a lookup that reads a file": (model(layer("StringLookup", "s", vocabulary="/etc/passwd")), "read a file"),
    "a TextVectorization that reads a file": (model(layer("TextVectorization", "s", vocabulary="/etc/passwd")), "read a file"),
    "a TensorFlow layer that writes a file": (
        model(thing("tf_keras.src.layers.core.tf_op_layer", "TFOpLambda", "TFOpLambda", name="w", function="io.write_file")),
        "'io.write_file'",
    ),
    "a TensorFlow layer that runs Python": (
        model(thing("tf_keras.src.layers.core.tf_op_layer", "TFOpLambda", "TFOpLambda", name="w", function="py_function")),
        "'py_function'",
    ),
    "an old TensorFlow layer with any operation": (
        model(thing("keras.layers", "TensorFlowOpLayer", name="w", node_def="{}")),
        "any TensorFlow operation",
    ),
    "a residual cell with code": (
        model(layer("RNN", "r", cell=thing("tf_keras.src.layers.rnn.cell_wrappers", "ResidualWrapper", name="c"))),
        "ResidualWrapper is not part of a plain model",
    ),
    "os.system as a layer": (model(thing("os", "system", name="evil")), "module 'os'"),
    "os.system as an activation": (_dense(activation=function("system", "os")), "module 'os'"),
    "subprocess as an initialiser": (_dense(kernel_initializer=thing("subprocess", "Popen", args="id")), "module 'subprocess'"),
    "os.system as a loss": ({**_dense(), "compile_config": {"loss": function("system", "os")}}, "module 'os'"),
    "a metric that fetches a file": (
        {**_dense(), "compile_config": {"metrics": [thing("keras.utils", "get_file", origin="http://x/y")]}},
        "keras.utils.get_file",
    ),
    "Python code in a loss's parameters": (
        {**_dense(), "compile_config": {"loss": thing("mine", "Focal", weight=["4wEAAAAAAAAAAAAA", None, None])}},
        "compiled Python code",
    ),
    "a lambda as the loss of a layer": (
        model({**layer("Dense", "d", units=3), "compile_config": {"loss": CODE}}),
        "a Lambda holds Python code",
    ),
    "a loss of lists in lists": ({**_dense(), "compile_config": {"loss": _nested(120)}}, "nested more than"),
    "shutil in the optimiser": ({**_dense(), "compile_config": {"optimizer": thing("shutil", "rmtree")}}, "module 'shutil'"),
    "builtins.eval": (_dense(activation=thing("builtins", "eval", name="x")), "module 'builtins'"),
    "builtins.exec as a function": (_dense(activation=function("exec")), "'exec'"),
    "a function of keras.utils": (_dense(activation=function("get_file", "keras.utils")), "'keras.utils'"),
    "a class of keras.utils": (model(thing("keras.utils", "get_file", origin="http://x/y")), "keras.utils.get_file"),
    "keras.saving.load_model": (model(thing("keras.saving", "load_model", filepath="x")), "keras.saving.load_model"),
    "keras.config.enable_unsafe_deserialization": (
        model(thing("keras.config", "enable_unsafe_deserialization")),
        "enable_unsafe_deserialization",
    ),
    "a private module of Keras": (model(OPEN), "keras.src.utils.io_utils.print_msg"),
    "what a module of Keras imports": (model(thing("keras.src.layers.layer", "np.load", name="x")), "np.load"),
    "a module that only looks like Keras": (model(thing("keras_evil.layers", "Dense", name="x")), "module 'keras_evil.layers'"),
    "a registered class of one's own": (model(thing("keras.layers", "Dense", "mine>Dense", name="x")), "class of your own"),
    "a subclassed model": ({**_dense(), "module": None, "class_name": "Mine", "registered_name": "Mine"}, "class of your own"),
    "an activation that is no activation": (_dense(activation="deserialize"), "'deserialize'"),
    "a loop of Keras 3 over a function": (model(thing("keras.src.ops.core", "WhileLoop", "WhileLoop", name="l")), "WhileLoop"),
    "a type specification": (_dense(spec={"class_name": "__typespec__", "config": [], "spec_name": "io"}), "__typespec__"),
    "a class that is no name": (_dense(activation={"module": "keras.layers", "class_name": ["Lambda"]}), "not names"),
    "a module that is no name": (_dense(activation={"module": ["os"], "class_name": "system"}), "not names"),
}

CANARY = "canary_losses"  # a module that tells when it is imported
# What a model may have been compiled with: code of somebody's, which does no harm as long as it is only read.
COMPILED: dict[str, dict[str, Any]] = {
    "a loss of somebody's": {"loss": thing(CANARY, "Focal", "Focal", gamma=2.0)},
    "a loss of somebody's with a name of Keras's": {"loss": thing(CANARY, "Huber", None)},
    "a function of somebody's": {"loss": function("focal", CANARY)},
    "a function that nobody told the place of": {"loss": function("focal")},
    "a loss that is no loss": {"loss": {"d": ["deserialize"]}},
    "a class of Keras that is no loss": {"loss": thing("keras.losses", "deserialize", name="x")},
    "a registered metric": {"metrics": [thing(CANARY, "Count", "mine>Count", name="count")]},
    "a metric around a function": {"metrics": [thing("keras.metrics", "MeanMetricWrapper", fn=function("focal", CANARY))]},
    "an optimiser of somebody's": {"optimizer": thing(CANARY, "Slow", "Slow", learning_rate=0.1)},
    "a schedule of somebody's": {"optimizer": thing("keras.optimizers", "Adam", learning_rate=thing(CANARY, "Slow", "Slow"))},
    "an optimiser around another": {
        "optimizer": thing("keras.mixed_precision", "LossScaleOptimizer", inner_optimizer=thing(CANARY, "Slow", "Slow"))
    },
    "parameters that are objects": {"loss": thing("keras.losses", "Huber", delta=thing(CANARY, "Focal", "Focal"))},
    "parameters that take all memory": {"metrics": [thing("keras.metrics", "MeanIoU", num_classes=10**9)]},
    "parameters of no sense": {
        "loss": thing("keras.losses", "Huber", reduction="by hand"),
        "optimizer": thing("keras.optimizers", "Slow"),
    },
    "no map": {"loss": 5, "metrics": 7, "optimizer": [1, 2]},
}


def compiled_with(trained: Path, path: Path, training: object, *, inside: bool = False) -> Path:
    """Copy a `.keras` file with another compile_config; `inside` puts it into every layer's part too, where Keras builds it."""
    with zipfile.ZipFile(trained) as given, zipfile.ZipFile(path, "w") as made:
        config = json.loads(given.read("config.json"))
        for part in (config, *(config["config"]["layers"] if inside else ())):
            part["compile_config"] = training
        for name in MEMBERS:
            made.writestr(name, json.dumps(config) if name == "config.json" else given.read(name))
    return path


def _joined(*layers: tuple[str, object]) -> dict[str, Any]:
    """A functional model of Keras 2: each layer with the calls that join it to others."""
    inputs = {**layer("InputLayer", "x", batch_shape=[None, 4], dtype="float32"), "name": "x", "inbound_nodes": []}
    made = [{**layer("Dense", name, units=3), "name": name, "inbound_nodes": calls} for name, calls in layers]
    return thing("keras", "Functional", name="m", layers=[inputs, *made], input_layers=[["x", 0, 0]], output_layers=[["b", 0, 0]])


CONFIGURATIONS["a layer that waits for ever"] = (
    _joined(("a", ""), ("b", [[["a", 0, 0, {}]]])),
    'layer "b": it waits for "a", which is never reached',
)
CONFIGURATIONS["layers in a circle"] = (_joined(("a", [[["b", 0, 0, {}]]]), ("b", [[["a", 0, 0, {}]]])), "never reached")

# What the text of config.json is, and what the message must say of it.
TEXTS: dict[str, tuple[bytes, str]] = {
    "a configuration nested deep": (b'{"config":' * 150 + b"{}" + b"}" * 150, "nested"),
    "a configuration nested very deep": (b'{"config":' * 50_000 + b"{}" + b"}" * 50_000, "damaged"),
    "a configuration too large": (b'{"config": {"x": "' + b"y" * (17 << 20) + b'"}}', "config.json is larger than"),
    "a configuration that is no JSON": (b"import os", "damaged"),
    "a configuration that is no model": (b"[1, 2]", "not that of a Keras model"),
    "a number of a million digits": (b'{"config": {"x": ' + b"9" * 1_000_000 + b"}}", "damaged"),
}
