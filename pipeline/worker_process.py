"""The inside of the TensorFlow process: one JSON request a line on stdin, events and one result a request on a pipe of its own."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgepipe.errors import EdgepipeError, StorageError, UnsupportedModel
from edgepipe.events import Emit, Event, to_json
from edgepipe.pipeline.describe import convert_int8, describe
from edgepipe.places import way_out

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(answers: int, memory_bytes: int) -> None:
    """Serve requests until stdin ends. `memory_bytes` 0 is no limit."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # never outlive the command, even one that was killed
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))

    channel = os.fdopen(answers, "w", encoding="ascii")

    def say(answer: dict[str, Any]) -> None:
        channel.write(json.dumps(answer) + "\n")
        channel.flush()

    def emit(event: Event) -> None:
        say(to_json(event))

    try:
        _import_tensorflow()
    except ImportError as exc:
        say(
            {
                "error": "missing-extra",
                "what": f"TensorFlow is not ready to use: {exc}",
                "cause": "edgepipe was installed without [compress]",
            }
        )
        return
    say({"result": {}})
    for line in sys.stdin:
        say(_answer(json.loads(line), emit))


def _answer(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    do = HANDLERS[request.pop("do")]
    try:
        return {"result": do(emit=emit, **request)}
    except EdgepipeError as exc:
        return _error(exc)
    except OSError as exc:
        todo = way_out(Path(str(exc.filename)), exc.errno) if exc.filename else ""
        return _error(StorageError(f"the system refused while working: {exc}", todo=todo))
    except MemoryError:
        return _error(StorageError("not enough memory for this step", todo="Raise --memory, or make train.batch_size smaller."))
    except Exception as exc:  # noqa: BLE001  the process boundary: TensorFlow raises whatever it likes over a model
        traceback.print_exc()  # into the log, which the command names
        first = next((line.strip() for line in str(exc).splitlines() if line.strip()), "no reason given")
        return {
            **_error(UnsupportedModel(f"TensorFlow failed with this model: {type(exc).__name__}: {first[:300]}")),
            "cause": "layers, loss and labels that do not go together",
            "todo": "",
        }


def _error(exc: EdgepipeError) -> dict[str, Any]:
    return {"error": exc.slug, "what": exc.what, "cause": exc.cause, "todo": exc.todo, "problems": list(exc.problems)}


def _import_tensorflow() -> None:
    """Import TensorFlow with Keras 2 semantics for TF-MOT; the order matters, since TF-MOT flips tf.keras on import."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow as tf
    import tensorflow_model_optimization  # noqa: F401  what matters is that it is imported here, after TensorFlow
    import tf_keras

    tf.config.experimental.enable_op_determinism()
    tf_keras.utils.set_random_seed(0)


def _load(
    *, emit: Emit, source: str, base: str, to: str, data: dict[str, str], trusted: bool = False, modules: Sequence[str] = ()
) -> dict[str, Any]:
    """Load any Keras model, prove that its rebuilt copy is the same, write it and its float file."""
    from edgepipe.events import step
    from edgepipe.pipeline.compiled import not_taken_over
    from edgepipe.pipeline.compiling import compile_for_saving, make_loss
    from edgepipe.pipeline.export.tflite import convert
    from edgepipe.pipeline.keras_bridge import load_model
    from edgepipe.pipeline.rewrites import rewritten
    from edgepipe.pipeline.scale import check_scale
    from edgepipe.pipeline.training import loss_for

    with step(emit, "load the model"):
        loaded = load_model(source, Path(base), emit, trusted=trusted, modules=frozenset(modules))
    model, own = loaded.model, loaded.compiled
    splits = _open(data)
    probe = splits.get("validation") or splits.get("train")
    if probe is not None and probe.labels is not None and len(model.outputs) > 1:
        raise UnsupportedModel(
            f"the model has {len(model.outputs)} outputs, and the data labels for one",
            todo="Give a model with the one output that matters; with data that has no labels this one can be quantised.",
        )
    if own.lost:
        emit(not_taken_over(own.lost))
    loss = loss_for(model, probe, own.loss, emit)
    if probe is not None:
        check_scale(model, probe.inputs, probe.labels, make_loss(loss, Path(base)))
    model, rewrites = rewritten(model, emit)
    if own.loss is not None or probe is not None:  # without labels the usual loss is no more than a guess
        compile_for_saving(model, loss, own.metrics, own.optimizer or "Adam", own.learning_rate or 1e-3, Path(base))
    with step(emit, "convert to float32"):
        _write(Path(to), convert(model, "float32"), model)
    return {
        "loss": loss,
        "metrics": own.metrics,
        "optimizer": own.optimizer,
        "learning_rate": own.learning_rate,
        "layers": _layer_names(model),
        "rewrites": list(rewrites),
    }


def _allow(*, emit: Emit, modules: Sequence[str], base: str) -> dict[str, Any]:
    """Import the user's own modules, which lie beside the recipe or are installed, so that their layers can be loaded."""
    import tf_keras

    from edgepipe.pipeline.inspect.keras_modules import defined_in

    sys.path.append(base)  # behind everything else, and for good: every later stage loads the model again
    for name in modules:
        try:
            # Keras 2 looks for layers among these only, whatever module a file names.
            tf_keras.utils.get_custom_objects().update(defined_in(name))
        except Exception as exc:  # the user's own code may raise anything when it is imported
            raise UnsupportedModel(f"the module {name} cannot be imported: {type(exc).__name__}: {exc}") from exc
    return {}


def _stage(
    *,
    emit: Emit,
    stage: str,
    parameters: dict[str, Any],
    source: str,
    to: str,
    data: dict[str, str],
    train: dict[str, Any],
    base: str,
    seed: int,
    claims: list[dict[str, Any]],
    cache: str | None = None,
) -> dict[str, Any]:
    """Run one stage on the model in the folder `source`; write the new one into the folder `to`."""
    import tf_keras

    from edgepipe.documents import parse
    from edgepipe.facts import Claim
    from edgepipe.pipeline.cache import Cache
    from edgepipe.pipeline.recipe import TrainSpec
    from edgepipe.pipeline.stages import STAGES
    from edgepipe.pipeline.training import Workbench
    from edgepipe.records import as_json

    tf_keras.utils.set_random_seed(seed)
    model = tf_keras.models.load_model(Path(source) / "model.keras", compile=False)
    bench = Workbench(
        splits=_open(data),
        train=parse(TrainSpec, train, source="train"),
        seed=seed,
        claims=tuple(parse(Claim, claim, source="claim") for claim in claims),
        emit=emit,
        base=Path(base),
        layers=tuple(_layer_names(model)),
        cache=Cache(Path(cache)) if cache else None,
    )
    product = parse(STAGES[stage], parameters, source=stage).apply(model, bench)
    if product.model is not None:
        bench.keep_settings(product.model)
    _write(Path(to), product.tflite, product.model)
    return {
        "claims": [as_json(claim) for claim in product.claims],
        "skipped_layers": list(product.skipped_layers),
        "training": [as_json(curve) for curve in bench.histories],
        "calibration": as_json(product.calibration) if product.calibration else None,
    }


def _demo(*, emit: Emit, to: str, data: dict[str, str], seed: int) -> dict[str, Any]:
    """Train the demo's network."""
    from edgepipe.pipeline.demo_network import train

    train(Path(to), _open(data), seed=seed, emit=emit)
    return {}


def _write(folder: Path, tflite: bytes, model: Any) -> None:
    (folder / "model.tflite").write_bytes(tflite)
    if model is not None:
        model.save(folder / "model.keras")


def _open(data: dict[str, str]) -> dict[str, Any]:
    from edgepipe.pipeline.data import Dataset

    return {name: Dataset.open(Path(folder)) for name, folder in data.items()}


def _layer_names(model: Any) -> list[str]:
    names = []
    for layer in model.layers:
        names.append(layer.name)
        names += _layer_names(layer) if hasattr(layer, "layers") else []
    return names


HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {
    "allow": _allow,
    "load": _load,
    "stage": _stage,
    "demo": _demo,
    "describe": describe,
    "convert_int8": convert_int8,
}

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
