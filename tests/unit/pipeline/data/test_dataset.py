"""A dataset has a content hash that stays, and goes to disk whole or not at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepipe.errors import DataError, StorageError
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.data.dataset import chunks


def dataset(**inputs: np.ndarray) -> Dataset:
    return Dataset(inputs=inputs, labels=np.arange(3), source="here", class_names=("a", "b", "c"))


def test_the_hash_is_the_same_in_another_process() -> None:
    here = dataset(x=np.arange(6.0).reshape(3, 2), z=np.ones((3, 1), dtype=np.int8)).sha256
    code = (
        "import numpy as np; from edgepipe.pipeline.data import Dataset;"
        "print(Dataset(inputs={'z': np.ones((3, 1), dtype=np.int8), 'x': np.arange(6.0).reshape(3, 2)},"
        " labels=np.arange(3), source='there').sha256)"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert here == there == "a066be71fe9497fa712490fc98c069f6a2668df3e4db92931df149049143ecc7"


@pytest.mark.parametrize(
    "other",
    [
        dataset(x=np.arange(6.0).reshape(3, 2) + 1e-9),
        dataset(y=np.arange(6.0).reshape(3, 2)),
        dataset(x=np.arange(6.0).reshape(3, 1, 2)),
        dataset(x=np.arange(6.0, dtype=np.float32).reshape(3, 2)),
        Dataset(inputs={"x": np.arange(6.0).reshape(3, 2)}, labels=None, source="here"),
        Dataset(inputs={"x": np.arange(6.0).reshape(3, 2)}, labels=np.array([0, 2, 1]), source="here"),
    ],
)
def test_the_hash_tells_values_names_shapes_dtypes_and_labels_apart(other: Dataset) -> None:
    assert other.sha256 != dataset(x=np.arange(6.0).reshape(3, 2)).sha256


def test_the_hash_does_not_depend_on_memory_layout_or_byte_order() -> None:
    x = np.arange(12.0).reshape(3, 4)
    assert dataset(x=x).sha256 == dataset(x=np.asfortranarray(x)).sha256 == dataset(x=x.astype(">f8")).sha256


def test_objects_have_no_hash() -> None:
    with pytest.raises(DataError, match="Python objects"):
        _ = dataset(x=np.array([{}, {}, {}])).sha256


def test_take_keeps_the_order_asked_for() -> None:
    taken = dataset(x=np.arange(6.0).reshape(3, 2)).take([2, 0])
    assert taken.samples == 2
    assert taken.inputs["x"].tolist() == [[4, 5], [0, 1]]
    assert taken.labels is not None and taken.labels.tolist() == [2, 0]
    assert taken.class_names == ("a", "b", "c")


@given(
    x=hnp.arrays(
        dtype=hnp.integer_dtypes() | hnp.floating_dtypes() | hnp.boolean_dtypes(),
        shape=hnp.array_shapes(max_dims=4, min_side=0, max_side=5),
    ),
    name=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()),
)
def test_what_is_saved_is_opened_again(tmp_path_factory: pytest.TempPathFactory, x: np.ndarray, name: str) -> None:
    folder = tmp_path_factory.mktemp("saved") / "set"
    before = Dataset(inputs={name: x}, labels=None, source="made up", class_names=("é", "b"))
    before.save(folder)
    after = Dataset.open(folder)
    assert after.sha256 == before.sha256
    assert list(after.inputs) == [name]
    assert (after.labels, after.source, after.class_names) == (None, "made up", ("é", "b"))


def test_opening_maps_the_file_instead_of_reading_it(tmp_path: Path) -> None:
    dataset(x=np.zeros((3, 2))).save(tmp_path / "set")
    opened = Dataset.open(tmp_path / "set").inputs["x"]
    assert isinstance(opened.base, np.memmap)
    assert not opened.flags.writeable


def test_saving_replaces_an_older_dataset_and_leaves_nothing_else(tmp_path: Path) -> None:
    dataset(x=np.zeros((3, 2))).save(tmp_path / "set")
    dataset(x=np.ones((3, 2))).save(tmp_path / "set")
    assert Dataset.open(tmp_path / "set").inputs["x"].sum() == 6
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_failed_save_leaves_the_older_dataset(tmp_path: Path) -> None:
    dataset(x=np.zeros((3, 2))).save(tmp_path / "set")
    with pytest.raises(DataError, match="Python objects"):
        dataset(x=np.zeros((3, 2)), z=np.array([{}, {}, {}])).save(tmp_path / "set")
    assert Dataset.open(tmp_path / "set").samples == 3
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="not a dataset"):
        dataset(x=np.zeros((3, 2))).save(tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        dataset(x=np.zeros((3, 2))).save(tmp_path / "file" / "set")


@pytest.mark.parametrize("victim", ["dataset.json", "input_0.npy", "labels.npy"])
def test_a_damaged_dataset_is_one_clear_error(tmp_path: Path, victim: str) -> None:
    dataset(x=np.zeros((3, 2))).save(tmp_path / "set")
    path = tmp_path / "set" / victim
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError):
        Dataset.open(tmp_path / "set")
    path.unlink()
    with pytest.raises(DataError, match="not a complete dataset"):
        Dataset.open(tmp_path / "set")


def test_chunks_cover_every_row_once() -> None:
    x = np.arange(1000).reshape(100, 10)
    parts = list(chunks(x, size_bytes=3 * 80))
    assert [start for start, _ in parts] == list(range(0, 100, 3))
    assert np.array_equal(np.concatenate([part for _, part in parts]), x)


def test_a_disk_that_refuses_is_a_storage_error_and_the_older_dataset_stays(tmp_path: Path) -> None:
    dataset(x=np.zeros((3, 2))).save(tmp_path / "set")
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from edgepipe.errors import StorageError; from edgepipe.pipeline.data import Dataset\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: Dataset(inputs={'x': np.ones(1_000_000)}, labels=None, source='big').save(Path('set'))\n"
        "except StorageError as exc: print(exc)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "could not write set" in result.stdout
    assert Dataset.open(tmp_path / "set").samples == 3
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
