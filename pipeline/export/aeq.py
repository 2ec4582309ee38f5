"""Google's AI Edge Quantizer on the float `.tflite`: integers, dynamic range, and weights of 4 bits. Runs in the worker only.

It needs no TensorFlow itself and is an extra: `pip install 'edgepipe[aeq]'`. Its ranges are moving averages over the calibration
samples, where TensorFlow takes the smallest and largest value: less room for loud samples, more clipping of rare ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgepipe.errors import DataError, EdgepipeError, MissingExtra, UnsupportedModel
from edgepipe.events import Emit, silent, step
from edgepipe.facts import CalibrationFacts
from edgepipe.pipeline.cache import Cache, key_of
from edgepipe.pipeline.calibration import judge, observe, warn
from edgepipe.pipeline.export.integers import nodes_of

if TYPE_CHECKING:
    from edgepipe.pipeline.data import Dataset

STATIC = {"int8": 8, "int16x8": 16}  # bits of the activations, which need calibration
DYNAMIC = {"dynamic": 8, "int4": 4}  # bits of the weights; the activations stay in float
MODES = (*STATIC, *DYNAMIC)
PACKAGE, MODULE = "ai-edge-quantizer", "ai_edge_quantizer"


def require_installed(module: str = MODULE) -> None:
    """Raise MissingExtra where the quantiser is not installed, without importing it."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtra(
            f"backend: aeq needs {PACKAGE}, which is not installed",
            cause="edgepipe was installed without [aeq]",
            todo="pip install 'edgepipe[aeq]', or leave out `backend`, which takes TensorFlow's own quantiser.",
        )


def quantised_by_aeq(
    content: bytes,
    dtype: str,
    calibration: Dataset | None,
    *,
    layers: Sequence[str] = (),
    float_layers: Sequence[str] = (),
    per_channel: bool = True,
    cache: Cache | None = None,
    emit: Emit = silent,
) -> tuple[bytes, CalibrationFacts | None]:
    """Return a float `.tflite` in one of MODES, and for those of STATIC what the data did to its ranges.

    `layers`, `float_layers`, `per_channel` and `cache` are those of `quantised`. Raises MissingExtra, DataError where a static mode
    has no data, UnsupportedModel where the quantiser cannot.
    """
    require_installed()
    if calibration is None and dtype in STATIC:
        raise DataError(f"{dtype} needs calibration data", todo="Name data in the recipe (data: {train: …}), or pass --data.")
    quantiser = _quantiser(content, dtype, nodes_of(content, layers, float_layers), per_channel)
    facts = qsvs = None
    try:
        if calibration is not None and dtype in STATIC:
            facts, qsvs = _calibrated(quantiser, content, calibration, layers, cache, emit)
            warn(facts, emit)
        with step(emit, f"quantise to {dtype} with AI Edge Quantizer"):
            made = quantiser.quantize(qsvs, enable_progress_bar=False, enable_progress_report=False).quantized_model
    except EdgepipeError:
        raise
    except Exception as exc:  # it raises ValueError, RuntimeError, KeyError and more, over whatever a model has
        raise UnsupportedModel(
            f"AI Edge Quantizer could not make {dtype} of the model",
            cause=f"{type(exc).__name__}: {(str(exc).splitlines() or [''])[0][:300]}",
            todo="Leave out `backend: aeq`, which takes TensorFlow's own quantiser.",
        ) from exc
    return bytes(made), facts


def _quantiser(content: bytes, dtype: str, nodes: set[str], per_channel: bool) -> Any:
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    every = qtyping.TFLOperationName.ALL_SUPPORTED
    scales = qtyping.QuantGranularity.CHANNELWISE if per_channel else qtyping.QuantGranularity.TENSORWISE
    made = quantizer.Quantizer(bytearray(content))

    def ask(names: str, operators: Any) -> None:
        if dtype in STATIC:
            made.add_static_config(names, operators, STATIC[dtype], 8, scales)
        else:
            made.add_dynamic_config(names, operators, DYNAMIC[dtype], scales)

    ask(".*", every)
    for node in sorted(nodes):
        # Operators are looked up by the names of their outputs, each followed by ";"; later rules overrule earlier ones.
        names = f"(^|;){re.escape(node)};"
        made.update_quantization_recipe(names, every, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)
        if dtype in STATIC:
            ask(names, qtyping.TFLOperationName.OUTPUT)  # the model's output itself bears the same name
    return made


def _calibrated(
    quantiser: Any, content: bytes, data: Dataset, layers: Sequence[str], cache: Cache | None, emit: Emit
) -> tuple[CalibrationFacts, dict[str, Any]]:
    """Return what the data did to the ranges, and the quantiser's own record of each tensor; from the cache where it is there."""
    import numpy as np

    from edgepipe.documents import parse
    from edgepipe.records import as_json

    recipe = quantiser.get_quantization_recipe()
    key = key_of(
        what="aeq",
        graph=hashlib.sha256(content).hexdigest(),
        data=data.sha256,
        layers=list(layers),
        recipe=json.dumps(recipe, default=str),
    )
    known = cache.value(key) if cache else None
    if known is None:
        with step(emit, "calibrate"):
            found = quantiser.calibrate({_signature(content): _samples(content, data)}, num_threads=1)
        facts = judge(observe(content, data, layers, emit), data)
        stored = {name: {part: np.asarray(value).tolist() for part, value in each.items()} for name, each in found.items()}
        known = {"facts": as_json(facts), "qsvs": stored}
        if cache:
            cache.keep(key, known)
    qsvs = {
        name: {part: np.asarray(value, dtype=np.float32) for part, value in each.items()} for name, each in known["qsvs"].items()
    }
    return parse(CalibrationFacts, known["facts"], source="cached calibration"), qsvs


def _signature(content: bytes) -> str:
    from ai_edge_litert.interpreter import Interpreter

    return str(next(iter(Interpreter(model_content=content).get_signature_list())))


def _samples(content: bytes, data: Dataset) -> list[dict[str, Any]]:
    """Return the samples as the file's signature names its inputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    ((_, signature),) = interpreter.get_signature_list().items()
    names = signature["inputs"]
    columns = data.inputs if len(names) > 1 else dict(zip(names, data.inputs.values(), strict=True))
    types = {name: detail["dtype"] for name, detail in interpreter.get_signature_runner().get_input_details().items()}
    return [{name: columns[name][row : row + 1].astype(types[name]) for name in names} for row in range(data.samples)]
