"""Training as the user means it: what the model was compiled with, what the recipe says, and code of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.errors import DataError, RecipeError, UnsupportedModel
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.worker import Worker

SAMPLES = 96

CODE = """
import numpy as np
import tf_keras
from pathlib import Path

HERE = Path(__file__).parent


def fit(model, train, validation, epochs, callbacks):
    (HERE / "fit.txt").write_text(f"{epochs} epochs of {len(list(train))} batches")
    model.fit(train, validation_data=validation, epochs=epochs, callbacks=callbacks, verbose=0)


def loop(model, train, validation, epochs, callbacks):
    import tensorflow as tf

    watched = tf_keras.callbacks.CallbackList(callbacks, model=model)
    watched.on_train_begin()
    for epoch in range(epochs):
        watched.on_epoch_begin(epoch)
        for step, (x, y) in enumerate(train):
            watched.on_train_batch_begin(step)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model.loss(y, model(x, training=True)))
            model.optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            watched.on_train_batch_end(step)
        watched.on_epoch_end(epoch, {"loss": float(loss), "val_loss": float(loss)})
    watched.on_train_end()


def forgetful(model, train, validation, epochs, callbacks):
    model.fit(train, epochs=epochs, verbose=0)


def elsewhere(model, train, validation, epochs, callbacks):
    copy = tf_keras.models.clone_model(model)
    copy.compile("adam", "mse")
    copy.fit(train, epochs=epochs, callbacks=callbacks, verbose=0)


def broken(model, train, validation, epochs, callbacks):
    return model.no_such_thing


def focal(y_true, y_pred):
    import tensorflow as tf

    (HERE / "focal.txt").write_text("called")
    p = tf.gather(y_pred, tf.cast(tf.reshape(y_true, [-1]), tf.int32), batch_dims=1)
    return -((1 - p) ** 2) * tf.math.log(p + 1e-7)


def wrong_loss(y_true, y_pred):
    return undefined_name


def optimizer(learning_rate):
    (HERE / "optimizer.txt").write_text(type(learning_rate).__name__)
    return tf_keras.optimizers.SGD(learning_rate)


def slow_optimizer(learning_rate):
    import keras

    return keras.optimizers.SGD(0.1)


def stop():
    class Stop(tf_keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 0

    return Stop()


def no_callback():
    return object()


def shuffled(x, random):
    (HERE / "augment.txt").open("a").write(f"{x.shape} {random.random():.6f}\\n")
    return x + random.normal(0, 0.01, x.shape)


def cropped(x, random):
    return x[:, :2]
"""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(lambda event: None) as started:
        yield started


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A recipe's folder with the user's code in it, under a name of its own: the worker imports a name once."""
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / f"{code_of(tmp_path)}.py").write_text(CODE)
    return tmp_path / "recipe"


def code_of(folder: Path) -> str:
    return "mine_" + "".join(c if c.isalnum() else "_" for c in folder.name)


def saved(folder: Path, labels: Any, x: Any = None) -> dict[str, str]:
    given = np.random.default_rng(0).random((SAMPLES, 4), np.float32) if x is None else x
    Dataset(inputs={"x": given}, labels=labels, source="made here").save(folder / "data")
    return dict.fromkeys(("train", "validation", "calibration"), str(folder / "data"))


def thirds() -> Any:
    """Three classes that the four inputs tell apart."""
    x = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
    return np.argmax(x[:, :3], axis=1)


class Bench:
    """One model with its data, and stages on it."""

    def __init__(self, worker: Worker, base: Path, model: Path, labels: Any) -> None:
        self.worker, self.base = worker, base
        self.mine = code_of(base.parent)
        self.data = saved(base.parent, labels)
        (base.parent / "float").mkdir()
        self.loaded = worker.request(do="load", source=str(model), base="/", to=str(base.parent / "float"), data=self.data)

    def stage(self, name: str = "prune", parameters: dict[str, Any] | None = None, **train: Any) -> dict[str, Any]:
        self.to = self.base.parent / f"{name}{len(list(self.base.parent.iterdir()))}"
        self.to.mkdir()
        settings = {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, **{n: self.loaded[n] for n in ("loss", "optimizer")}}
        settings = {name: value for name, value in {**settings, **train}.items() if value is not None}
        return self.worker.request(
            do="stage",
            stage=name,
            parameters={"sparsity": 0.5} if parameters is None else parameters,
            source=str(self.base.parent / "float"),
            to=str(self.to),
            base=str(self.base),
            data=self.data,
            train=settings,
            seed=3,
            claims=[],
        )

    def weights(self) -> bytes:
        return (self.to / "model.tflite").read_bytes()

    def sparsity(self) -> list[float]:
        _, facts = read_model(self.to / "model.tflite")
        return [round(weight.sparsity, 2) for weight in facts.weights]


@pytest.fixture
def bench(worker: Worker, base: Path, zoo: Path) -> Bench:
    return Bench(worker, base, zoo / "sequential.keras", thirds())


def test_what_a_keras_3_model_was_compiled_with_is_taken_over(worker: Worker, base: Path, zoo: Path) -> None:
    loaded = Bench(worker, base, zoo / "compiled.keras", np.eye(3, dtype=np.float32)[thirds()]).loaded
    assert loaded["loss"] == {
        "name": "CategoricalCrossentropy",
        "from_logits": False,
        "label_smoothing": 0.1,
        "axis": -1,
        "reduction": "sum_over_batch_size",
    }
    assert {key: loaded["optimizer"][key] for key in ("name", "momentum", "clipnorm")} == {
        "name": "SGD",
        "momentum": 0.9,
        "clipnorm": 1.0,
    }
    assert loaded["metrics"] == ["accuracy", {"name": "TopKCategoricalAccuracy", "dtype": "float32", "k": 2}]
    assert loaded["learning_rate"] == pytest.approx(0.05), "the first of its schedule"


def test_the_models_metrics_and_losses_become_curves(worker: Worker, base: Path, zoo: Path) -> None:
    made = Bench(worker, base, zoo / "compiled.keras", np.eye(3, dtype=np.float32)[thirds()])
    (curve,) = made.stage(metrics=made.loaded["metrics"])["training"]
    assert curve["epochs"] == 2 and curve["stride"] == 1 and 1 <= curve["kept_epoch"] <= 2
    names = {"loss", "accuracy", "top_k_categorical_accuracy"}
    assert set(curve["curves"]) == names | {f"val_{name}" for name in names}
    assert all(len(values) == 2 for values in curve["curves"].values())


def test_the_same_seed_gives_the_same_weights_and_the_optimiser_matters(bench: Bench) -> None:
    bench.stage()
    first = bench.weights()
    bench.stage()
    assert bench.weights() == first
    bench.stage(optimizer={"name": "sgd", "momentum": 0.9}, schedule="constant")
    assert bench.weights() != first


def test_a_loss_optimiser_and_callback_of_the_users_own(bench: Bench) -> None:
    mine = bench.mine
    (curve,) = bench.stage(
        parameters={"sparsity": 0.5, "end_percent": 20},
        loss=f"{mine}:focal",
        optimizer=f"{mine}:optimizer",
        callbacks=[f"{mine}:stop"],
    )["training"]
    assert (bench.base / "focal.txt").exists()
    assert (bench.base / "optimizer.txt").read_text() == "CosineDecay"
    assert curve["epochs"] == 1, "the callback stopped it"


def test_a_fit_of_the_users_own_trains_with_the_stages_callbacks(bench: Bench) -> None:
    (curve,) = bench.stage(fit=f"{bench.mine}:fit")["training"]
    assert (bench.base / "fit.txt").read_text() == "2 epochs of 3 batches"
    assert curve["epochs"] == 2 and curve["kept_epoch"] is not None
    assert bench.sparsity() == [0.5, 0.47]


def test_a_loop_of_the_users_own_is_watched_like_any_other(bench: Bench) -> None:
    (curve,) = bench.stage(fit=f"{bench.mine}:loop", loss={"name": "SparseCategoricalCrossentropy"})["training"]
    assert curve["curves"].keys() == {"loss", "val_loss"}
    assert bench.sparsity() == [0.5, 0.47]


@pytest.mark.parametrize("stage", ["prune", "cluster"])
def test_a_fit_that_forgets_the_callbacks_is_told_so(bench: Bench, stage: str) -> None:
    with pytest.raises(RecipeError, match=rf"forgetful trained without the callbacks of the stage \({stage}\)") as caught:
        bench.stage(stage, {"clusters": 4} if stage == "cluster" else None, fit=f"{bench.mine}:forgetful")
    assert "callbacks=callbacks" in caught.value.todo


def test_user_code_that_goes_wrong_is_named_with_its_reason(bench: Bench) -> None:
    for key, name, words in (
        ("fit", "elsewhere", "trained another model than the one it was given"),
        ("fit", "broken", r"broken failed: AttributeError: .*no_such_thing.* \(mine_.*\.py, line \d+\)"),
        ("loss", "wrong_loss", "wrong_loss failed: NameError"),
        ("optimizer", "slow_optimizer", r"gave a keras\.src\.optimizers\.sgd\.SGD, not an optimiser of Keras 2"),
        ("callbacks", "no_callback", r"gave a builtins\.object, no callback of Keras 2"),
        ("augment", "cropped", r"it returned the shape \(32, 2\) for a batch of the shape \(32, 4\)"),
    ):
        spec = f"{bench.mine}:{name}"
        with pytest.raises(RecipeError, match=words):
            bench.stage(**{key: [spec] if key == "callbacks" else spec})


def test_a_name_that_keras_does_not_know_is_refused_with_the_nearest(bench: Bench) -> None:
    settings: tuple[tuple[str, Any, str], ...] = (
        ("loss", "spares_categorical_crossentropy", "Perhaps you meant"),
        ("optimizer", "adamm", r'has no "adamm"\. Perhaps you meant "Nadam"\?'),
        ("optimizer", {"name": "SGD", "momentun": 0.9}, "SGD cannot be made"),
        ("metrics", ["acuracy"], 'has no "acuracy"'),
    )
    for key, value, words in settings:
        with pytest.raises(RecipeError, match=words):
            bench.stage(**{key: value})


def test_augmentation_sees_each_training_batch_once_with_a_seeded_generator(bench: Bench) -> None:
    bench.stage(augment=f"{bench.mine}:shuffled")
    seen = (bench.base / "augment.txt").read_text().splitlines()
    assert len(seen) == 2 * 3, "validation is left alone"
    assert len(set(seen)) == len(seen)
    first = bench.weights()
    bench.stage(augment=f"{bench.mine}:shuffled")
    assert (bench.base / "augment.txt").read_text().splitlines()[len(seen) :] == seen
    assert bench.weights() == first


def test_class_weights_count_and_refuse_labels_that_are_no_classes(bench: Bench, worker: Worker, base: Path, zoo: Path) -> None:
    bench.stage()
    plain = bench.weights()
    bench.stage(class_weights={"0": 5.0})
    assert bench.weights() != plain
    with pytest.raises(DataError, match="classes without samples: 7"):
        bench.stage(class_weights={"7": 5.0})


def test_mixed_precision_computes_in_bfloat16_and_leaves_float32(bench: Bench) -> None:
    bench.stage()
    plain = bench.weights()
    for stage, parameters in (("prune", {"sparsity": 0.5}), ("cluster", {"clusters": 4})):
        bench.stage(stage, parameters, mixed_precision=True)
        assert bench.weights() != plain
        assert b"bfloat16" not in (bench.to / "model.keras").read_bytes()
        _, facts = read_model(bench.to / "model.tflite")
        assert {weight.dtype for weight in facts.weights} == {"float32"}
        if stage == "cluster":
            assert max(weight.clusters for weight in facts.weights) <= 4
        else:
            assert bench.sparsity() == [0.5, 0.47]
    with pytest.raises(UnsupportedModel, match="quantize cannot train in mixed precision"):
        bench.stage("quantize", {"mode": "qat"}, mixed_precision=True)


def test_a_model_without_a_loss_gets_the_one_its_labels_ask_for(worker: Worker, base: Path, zoo: Path) -> None:
    guesses = {
        "several": (np.random.default_rng(1).integers(0, 2, (SAMPLES, 3)), "BinaryCrossentropy"),
        "one-hot": (np.eye(3, dtype=np.int64)[thirds()], "CategoricalCrossentropy"),
        "classes": (thirds(), "SparseCategoricalCrossentropy"),
    }
    for name, (labels, loss) in guesses.items():
        (base / name / "recipe").mkdir(parents=True)
        loaded = Bench(worker, base / name / "recipe", zoo / "not_compiled.keras", labels).loaded
        assert loaded["loss"] == {"name": loss, "from_logits": name == "several"}
