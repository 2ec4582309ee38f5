"""Integer files: a float graph, the ranges that data gives its tensors, TensorFlow's quantiser on both. Runs in the worker only.

TensorFlow's converter does all three in one go and cannot be told which layers to leave in float. Here its middle step is taken
out: the calibrated float graph is kept, so that a model is calibrated once on the same data, whatever is made of it afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgepipe.documents import parse_json
from edgepipe.errors import DataError, UnsupportedModel
from edgepipe.events import Emit, silent, step
from edgepipe.facts import CalibrationFacts
from edgepipe.pipeline.cache import Cache, key_of
from edgepipe.pipeline.calibration import judge, observe, samples_in_order, warn
from edgepipe.pipeline.data.ports import plain_name
from edgepipe.pipeline.export.converter import finished, prepared
from edgepipe.pipeline.export.disguise import disguised, revealed
from edgepipe.pipeline.export.islands import without_islands
from edgepipe.pipeline.export.lstm_scale import with_state_scale
from edgepipe.pipeline.export.spelling import spelt_out
from edgepipe.pipeline.export.unroll import unrolled
from edgepipe.pipeline.inspect.graph import read_graph
from edgepipe.pipeline.inspect.layers import name_layers
from edgepipe.records import as_json

if TYPE_CHECKING:
    from edgepipe.pipeline.data import Dataset

INTEGERS = ("int8", "int16x8")
GRAPH, FACTS = "calibrated.tflite", "calibration.json"


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """An integer file, and what the data did to its ranges."""

    content: bytes
    calibration: CalibrationFacts


def quantised(
    model: Any,
    dtype: str,
    calibration: Dataset | None,
    *,
    layers: Sequence[str] = (),
    float_layers: Sequence[str] = (),
    per_channel: bool = True,
    cache: Cache | None = None,
    emit: Emit = silent,
) -> Quantised:
    """Return the flatbuffer of a tf_keras model in `int8` or `int16x8`, inputs and outputs too.

    `layers` are the model's names in their order, `float_layers` those whose operators stay in float32 (int8 only); `per_channel`
    False gives every weight tensor a single scale. What was calibrated before is taken from `cache`. Raises DataError where data
    is missing, UnsupportedModel where the converter cannot, or where a layer has no operator that could stay in float.
    """
    if calibration is None:
        raise DataError(f"{dtype} needs calibration data", todo="Name data in the recipe (data: {train: …}), or pass --data.")
    with unrolled(model), spelt_out(model):
        converter = prepared(model, _converter_class())
    facts: list[CalibrationFacts] = []

    def quantise(graph: bytes, accept: Any, give: Any) -> bytes:
        ranged, found = calibrated(graph, calibration, layers, cache, emit)
        facts.append(found)
        if dtype == "int16x8":
            return _int16x8(ranged, accept, give, per_channel)
        nodes = nodes_of(ranged, layers, float_layers)
        whole = with_state_scale(revealed(_int8(disguised(ranged), accept, give, per_channel, nodes)))
        return whole if nodes else without_islands(whole)

    converter.quantise = quantise
    _ask_for(converter, dtype)
    content = finished(converter, dtype)
    return Quantised(content=content, calibration=facts[0])


def calibrated(
    graph: bytes, data: Dataset, layers: Sequence[str], cache: Cache | None, emit: Emit
) -> tuple[bytes, CalibrationFacts]:
    """Return the float graph with the range of every tensor written into it, and what the samples did to these ranges."""
    key = key_of(what="calibration", graph=hashlib.sha256(graph).hexdigest(), data=data.sha256, layers=list(layers))
    folder = cache.find("calibrations", key) if cache else None
    if folder is None:
        ranged, facts = _calibrate(graph, data, layers, emit)
        if cache:
            with cache.fill("calibrations", key) as part:
                (part / GRAPH).write_bytes(ranged)
                (part / FACTS).write_text(json.dumps(as_json(facts)))
    else:
        ranged = (folder / GRAPH).read_bytes()
        facts = parse_json(CalibrationFacts, (folder / FACTS).read_bytes(), source=str(folder / FACTS))
    warn(facts, emit)
    return ranged, facts


def nodes_of(graph: bytes, layers: Sequence[str], chosen: Sequence[str]) -> set[str]:
    """Return the names by which the quantiser knows the operators of the chosen layers: those of their outputs.

    Raises UnsupportedModel for layers without an operator of their own, when none of the chosen has any.
    """
    graphs = read_graph(graph)
    named = name_layers(graphs, layers)
    wanted = set(chosen)
    nodes = {
        main.tensors[output].name
        for number, main in enumerate(graphs[:1])
        for index, op in enumerate(main.ops)
        if named[number, index] in wanted
        for output in op.outputs
    }
    if wanted and not nodes:
        raise UnsupportedModel(
            f"float_layers: {', '.join(chosen)}: no operator of the file is theirs alone",
            cause="they were merged into the layer before them, as a normalisation or an activation is",
            todo="Name that layer; `edgepipe inspect` of the float .tflite shows which operators there are.",
        )
    return nodes


def _converter_class() -> Any:
    import tensorflow as tf

    class InSteps(tf.lite.TFLiteConverter):  # type: ignore[misc]
        """The converter with its quantising step in our hands: `quantise(float graph, input dtype, output dtype)`."""

        quantise: Any = None

        def _quantize(self, result: bytes, input_type: Any, output_type: Any, *settings: Any) -> bytes:
            return bytes(self.quantise(result, input_type, output_type))

    return InSteps


def _ask_for(converter: Any, dtype: str) -> None:
    import tensorflow as tf

    whole = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
    wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(())  # that there is one decides what the converter does; ours is used above
    converter.target_spec.supported_ops = [whole if dtype == "int8" else wide]
    converter.inference_input_type = converter.inference_output_type = tf.int8 if dtype == "int8" else tf.int16


def _calibrate(graph: bytes, data: Dataset, layers: Sequence[str], emit: Emit) -> tuple[bytes, CalibrationFacts]:
    from tensorflow.lite.python.optimize import calibrator

    whole = calibrator.add_intermediate_tensors(graph)  # an LSTM's inner ranges
    main = read_graph(whole)[0]
    order = {main.tensors[index].name: main.tensors[index].dtype for index in main.inputs}
    _require_names([*order], data)
    with step(emit, "calibrate"):
        ranged = bytes(calibrator.Calibrator(whole).calibrate(lambda: samples_in_order(order, data)))
    return ranged, judge(observe(graph, data, layers, emit), data)


def _require_names(order: Sequence[str], data: Dataset) -> None:
    given = [plain_name(name) for name in order]
    if len(given) > 1 and (missing := [name for name in given if name not in data.inputs]):
        raise UnsupportedModel(
            f"the converter knows the model's inputs as {given}, the data has {sorted(data.inputs)}",
            cause=f"no data is called {', '.join(missing)}",
            todo="Give the Input layers plain names, and the data the same.",
        )


def _int8(ranged: bytes, accept: Any, give: Any, per_channel: bool, nodes: set[str]) -> bytes:
    from tensorflow.lite.python.convert import mlir_quantize

    return bytes(
        mlir_quantize(
            ranged,
            disable_per_channel=not per_channel,
            disable_per_channel_for_dense_layers=not per_channel,
            input_data_type=accept,
            output_data_type=give,
            denylisted_nodes=nodes or None,
        )
    )


def _int16x8(ranged: bytes, accept: Any, give: Any, per_channel: bool) -> bytes:
    """The older quantiser, which alone knows 16-bit activations; it takes the ranges that stand in the graph already."""
    import tensorflow as tf
    from tensorflow.lite.python.optimize import calibrator

    quantiser = calibrator.Calibrator(ranged)
    return bytes(
        quantiser.calibrate_and_quantize(
            lambda: iter(()), accept, give, False, tf.int16, tf.int64, disable_per_channel=not per_channel
        )
    )
