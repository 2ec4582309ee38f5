"""Training as the user means it: what the model was compiled with, what the recipe says, and code of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_configurations import CANARY, COMPILED, compiled_with, function, thing
from stage_bench import SAMPLES, Bench, thirds

from edgepipe.errors import DataError, EdgepipeError, RecipeError, UnsupportedModel
from edgepipe.events import Note
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.worker import Worker

OWN_LOSS = """
from pathlib import Path
import tensorflow as tf
import tf_keras

class Sharp(tf_keras.losses.Loss):
    def __init__(self, power=1.0, **more):
        super().__init__(**more)
        self.power = power

    def call(self, y_true, y_pred):
        (Path(__file__).parent / "sharp.txt").write_text(str(self.power))
        return (1 - tf.gather(y_pred, tf.cast(tf.reshape(y_true, [-1]), tf.int32), batch_dims=1)) ** self.power

    def get_config(self):
        return {**super().get_config(), "power": self.power}

def missed(y_true, y_pred):
    return 1 - tf.reduce_max(y_pred, axis=-1)
"""


@pytest.fixture(scope="module")
def notes() -> list[str]:
    """What the worker has warned of, and told."""
    return []


@pytest.fixture(scope="module")
def worker(notes: list[str]) -> Iterator[Worker]:
    with Worker(lambda event: notes.append(event.text) if isinstance(event, Note) else None) as started:
        yield started


@pytest.fixture(scope="module")
def bench(worker: Worker, zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(worker, tmp_path_factory.mktemp("bench"), zoo / "not_compiled.keras", thirds())


@pytest.fixture(scope="module")
def plain(bench: Bench) -> bytes:
    """The file after pruning with nothing asked of the training."""
    bench.stage()
    return bench.weights()


@pytest.fixture(scope="module")
def compiled(worker: Worker, zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(worker, tmp_path_factory.mktemp("compiled"), zoo / "compiled.keras", np.eye(3, dtype=np.float32)[thirds()])


def test_what_a_keras_3_model_was_compiled_with_is_taken_over(compiled: Bench) -> None:
    loaded = compiled.loaded
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


def test_the_models_metrics_and_losses_become_curves_and_go_on_with_the_file(compiled: Bench, notes: list[str]) -> None:
    (curve,) = compiled.stage(metrics=compiled.loaded["metrics"], epochs=2)["training"]
    assert curve["epochs"] == 2 and curve["stride"] == 1 and 1 <= curve["kept_epoch"] <= 2
    names = {"loss", "accuracy", "top_k_categorical_accuracy"}
    assert set(curve["curves"]) == names | {f"val_{name}" for name in names}
    assert all(len(values) == 2 for values in curve["curves"].values())

    # The file of a stage says what it was trained with, for the next command that is given it.
    notes.clear()
    again = compiled.load(compiled.to / "model.keras")
    assert {key: again[key] for key in ("loss", "metrics", "optimizer")} == {
        key: compiled.loaded[key] for key in ("loss", "metrics", "optimizer")
    }
    assert again["learning_rate"] == pytest.approx(0.01), "the stage's"
    assert notes == []


def test_code_that_a_model_was_compiled_with_is_left_out_and_named(
    worker: Worker, bench: Bench, zoo: Path, tmp_path: Path, notes: list[str]
) -> None:
    """All kinds at once, in files of both Keras, in the model and inside of it; the canary is where Python would find it."""
    (tmp_path / f"{CANARY}.py").write_text("from pathlib import Path\n(Path(__file__).parent / 'sung').touch()\n")
    worker.request(do="allow", modules=[], base=str(tmp_path))
    training = {
        "loss": COMPILED["a loss of somebody's"]["loss"],
        "metrics": [each[part] for each in COMPILED.values() for part in ("loss", "metrics") if part in each],
        "optimizer": COMPILED["a schedule of somebody's"]["optimizer"],
    }
    for name in ("not_compiled", "keras2"):
        notes.clear()
        path = compiled_with(zoo / f"{name}.keras", tmp_path / f"{name}.keras", training, inside=True)
        loaded = worker.request(do="load", source=str(path), base="/", to=str(tmp_path), data={})
        assert loaded["loss"] == "mean_squared_error", "a guess, and never the loss of the file"
        assert loaded["metrics"] == [] and loaded["optimizer"]["name"] == "Adam"
        told = next(note for note in notes if note.startswith("the model was compiled with"))
        assert f'loss "Focal" of {CANARY}' in told and f"train: {{loss: {CANARY}:Focal" in told
        assert f"--allow-module {CANARY}" in told
    assert not (tmp_path / "sung").exists()

    # Keras itself does import it: else its silence proves nothing.
    (tmp_path / "singing.py").write_text(f"import tf_keras\ndef model(): return tf_keras.models.load_model({str(path)!r})\n")
    with pytest.raises(EdgepipeError):
        worker.request(do="load", source="singing:model", base=str(tmp_path), to=str(tmp_path), data={})
    assert (tmp_path / "sung").exists()


def test_nonsense_that_a_model_was_compiled_with_is_left_out(worker: Worker, zoo: Path, tmp_path: Path) -> None:
    senseless = {**COMPILED["parameters of no sense"], **COMPILED["parameters that take all memory"]}
    for training in (senseless, COMPILED["no map"]):
        path = compiled_with(zoo / "not_compiled.keras", tmp_path / "m.keras", training)
        loaded = worker.request(do="load", source=str(path), base="/", to=str(tmp_path), data={})
        assert (loaded["metrics"], loaded["optimizer"]) == ([], None)


def test_a_loss_of_a_module_that_the_user_allows_is_trained_with(
    worker: Worker, zoo: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("allowed")
    (folder / "own_losses.py").write_text(OWN_LOSS)
    worker.request(do="allow", modules=["own_losses"], base=str(folder))
    training = {
        "loss": thing("own_losses", "Sharp", "Sharp", name="sharp", reduction="auto", power=3.0),
        "metrics": [function("missed"), function("elsewhere")],
        "optimizer": "sgd",
    }
    path = compiled_with(zoo / "not_compiled.keras", folder / "m.keras", training)
    made = Bench(worker, tmp_path_factory.mktemp("own"), path, thirds(), modules=("own_losses",))
    assert made.loaded["loss"] == {"name": "own_losses:Sharp", "reduction": "sum_over_batch_size", "power": 3.0}
    assert made.loaded["metrics"] == ["own_losses:missed"]
    assert made.loaded["optimizer"] == "sgd"

    (curve,) = made.stage(metrics=made.loaded["metrics"])["training"]
    assert {"loss", "missed"} <= set(curve["curves"])
    assert (folder / "sharp.txt").read_text() == "3.0"
    assert made.load(made.to / "model.keras", "own_losses")["loss"] == made.loaded["loss"]


def test_the_optimiser_of_the_recipe_is_trained_with(bench: Bench, plain: bytes) -> None:
    bench.stage(optimizer={"name": "sgd", "momentum": 0.9}, schedule="constant")
    assert bench.weights() != plain


def test_a_loss_optimiser_and_callback_of_the_users_own(bench: Bench) -> None:
    mine = bench.mine
    (curve,) = bench.stage(
        parameters={"sparsity": 0.5, "end_percent": 20},
        loss=f"{mine}:focal",
        optimizer=f"{mine}:optimizer",
        callbacks=[f"{mine}:stop"],
        epochs=2,
    )["training"]
    assert (bench.base / "focal.txt").exists()
    assert (bench.base / "optimizer.txt").read_text() == "CosineDecay"
    assert curve["epochs"] == 1, "the callback stopped it"


def test_a_fit_of_the_users_own_trains_with_the_stages_callbacks(bench: Bench) -> None:
    (curve,) = bench.stage(fit=f"{bench.mine}:fit", epochs=2)["training"]
    assert (bench.base / "fit.txt").read_text() == "2 epochs of 3 batches"
    assert curve["epochs"] == 2 and curve["kept_epoch"] is not None
    assert bench.sparsity() == [0.5]


def test_a_loop_of_the_users_own_is_watched_like_any_other(bench: Bench) -> None:
    (curve,) = bench.stage(fit=f"{bench.mine}:loop", loss={"name": "SparseCategoricalCrossentropy"})["training"]
    assert curve["curves"].keys() == {"loss", "val_loss"}
    assert bench.sparsity() == [0.5]


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


def test_augmentation_sees_each_training_batch_once_and_the_same_seed_gives_the_same_weights(bench: Bench) -> None:
    bench.stage(augment=f"{bench.mine}:shuffled")
    seen = (bench.base / "augment.txt").read_text().splitlines()
    assert len(seen) == 3, "validation is left alone"
    assert len(set(seen)) == len(seen)
    first = bench.weights()
    bench.stage(augment=f"{bench.mine}:shuffled")
    assert (bench.base / "augment.txt").read_text().splitlines()[len(seen) :] == seen
    assert bench.weights() == first


def test_class_weights_count_and_refuse_labels_that_are_no_classes(bench: Bench, plain: bytes) -> None:
    bench.stage(class_weights={"0": 5.0})
    assert bench.weights() != plain
    with pytest.raises(DataError, match="classes without samples: 7"):
        bench.stage(class_weights={"7": 5.0})


def test_mixed_precision_computes_in_bfloat16_and_leaves_float32(worker: Worker, zoo: Path, tmp_path: Path) -> None:
    bench = Bench(worker, tmp_path, zoo / "sequential.keras", thirds())  # of two layers: the last one always computes in float32
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


def test_a_model_without_a_loss_gets_the_one_its_labels_ask_for(worker: Worker, zoo: Path, tmp_path: Path) -> None:
    guesses = {
        "several": (np.random.default_rng(1).integers(0, 2, (SAMPLES, 3)), "BinaryCrossentropy"),
        "one-hot": (np.eye(3, dtype=np.int64)[thirds()], "CategoricalCrossentropy"),
        "classes": (thirds(), "SparseCategoricalCrossentropy"),
    }
    for name, (labels, loss) in guesses.items():
        (tmp_path / name).mkdir()
        loaded = Bench(worker, tmp_path / name, zoo / "not_compiled.keras", labels).loaded
        assert loaded["loss"] == {"name": loss, "from_logits": name == "several"}
