"""A .npz is read without trusting a byte of it."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepipe.errors import DataError
from edgepipe.pipeline import data


def refusal(path: Path, **options: int) -> str:
    with pytest.raises(DataError) as caught:
        data.load(path.name, base=path.parent, **options)  # type: ignore[arg-type]
    return str(caught.value)


def npy_header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_arrays_are_inputs_by_name_and_y_is_the_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", audio=np.ones((4, 3), np.float32), image=np.zeros((4, 2, 2)), y=np.array([0, 1, 2, 1]))
    loaded = data.load("train.npz", base=tmp_path)
    assert {name: array.shape for name, array in loaded.inputs.items()} == {"audio": (4, 3), "image": (4, 2, 2)}
    assert loaded.labels is not None and loaded.labels.tolist() == [0, 1, 2, 1]


def test_labels_of_words_are_numbered_in_the_order_that_train_settled(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", x=np.zeros((3, 1)), labels=np.array(["no", "yes", "maybe"]))
    np.savez_compressed(tmp_path / "test.npz", x=np.zeros((2, 1)), labels=np.array(["yes", "no"], dtype="S3"))
    train = data.load("train.npz", base=tmp_path)
    test = data.load("test.npz", base=tmp_path, class_names=train.class_names)
    assert train.class_names == test.class_names == ("maybe", "no", "yes")
    assert test.labels is not None and test.labels.tolist() == [2, 1]


def test_a_class_that_train_does_not_know_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "test.npz", x=np.zeros((2, 1)), y=np.array(["yes", "noo"]))
    with pytest.raises(DataError, match=r'class "noo" \(first at index 1\). Perhaps you meant "no"'):
        data.load("test.npz", base=tmp_path, class_names=["no", "yes"])


def test_a_column_of_labels_becomes_flat_and_foreign_byte_order_ours(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((2, 2), dtype=">f4"), y=np.array([[1], [0]], dtype=">i2"))
    loaded = data.load("a.npz", base=tmp_path)
    assert loaded.inputs["x"].dtype == np.float32
    assert loaded.labels is not None and loaded.labels.tolist() == [1, 0] and loaded.labels.dtype == np.int64


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.savez(tmp_path / "bomb.npz", x=np.array([Bomb(), Bomb()], dtype=object), allow_pickle=True)
    assert '"x" holds pickled Python objects' in refusal(tmp_path / "bomb.npz")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [("(1000000000000,)", "4,000,000,000,000 bytes) but brings"), ("(-4, 5)", "claims the shape (-4, 5)"), ("(3,)", "(12 bytes)")],
)
def test_a_header_that_claims_more_than_the_file_brings_is_refused_before_allocation(
    tmp_path: Path, shape: str, complaint: str
) -> None:
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("x.npy", npy_header(shape) + bytes(40))
    assert complaint in refusal(tmp_path / "liar.npz")


def test_a_zip_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((17 << 20,), np.float32), y=np.zeros(17 << 20, np.int8))
    message = refusal(tmp_path / "bomb.npz")
    assert '"x" is compressed over 200:1' in message
    assert '"y"' not in message


def test_arrays_that_are_too_large_together_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "big.npz", a=np.zeros(1000), b=np.zeros(1000))
    assert "claim 16,000 bytes in all; at most 15,999 are read" in refusal(tmp_path / "big.npz", largest_bytes=15_999)
    assert data.load("big.npz", base=tmp_path, largest_bytes=16_000).samples == 1000


def test_every_problem_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
        archive.writestr("x.npy", npy_header("(2,)", "|O") + bytes(8))
        archive.writestr("z.npy", npy_header("(9,)") + bytes(8))
    message = refusal(tmp_path / "odd.npz")
    assert all(part in message for part in ('"readme.txt" is not a NumPy array', '"x" holds pickled', '"z" claims'))


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"y": np.zeros(3)}, "holds no input, only labels"),
        ({"x": np.zeros(3), "y": np.zeros(3), "labels": np.zeros(3)}, 'both "y" and "labels"'),
        ({"x": np.array(3.0)}, '"x" is a single value'),
        ({"x_train": np.zeros(3), "x_test": np.zeros(3)}, "several splits in one file (x_train, x_test)"),
    ],
)
def test_arrays_that_are_no_dataset_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], complaint: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    assert complaint in refusal(tmp_path / "a.npz")


def test_missing_empty_and_special_files_are_told_apart(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", x=np.zeros(3))
    assert 'Perhaps you meant "train.npz"?' in refusal(tmp_path / "trian.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    assert "is empty" in refusal(tmp_path / "empty.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    assert "is not a file" in refusal(tmp_path / "pipe.npz")
    (tmp_path / "text.npz").write_text("x,y\n1,2\n")
    assert "not a complete .npz" in refusal(tmp_path / "text.npz")


def whole_file() -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, x=np.arange(60.0).reshape(12, 5), y=np.arange(12) % 3)
    return content.getvalue()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_one_clear_error(tmp_path: Path, share: float) -> None:
    (tmp_path / "cut.npz").write_bytes(whole_file()[: int(share * len(whole_file()))])
    assert "not a complete .npz" in refusal(tmp_path / "cut.npz")


@settings(max_examples=300)
@given(flips=st.lists(st.tuples(st.integers(0, len(whole_file()) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_damaged_bytes_never_do_worse_than_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    content = bytearray(whole_file())
    for position, mask in flips:
        content[position] ^= mask
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    try:
        loaded = data.load(path.name, base=path.parent)
    except DataError as exc:
        assert "damaged.npz" in str(exc)
    else:  # what carries no checksum, such as time stamps and names
        assert sum(array.size for array in loaded.inputs.values()) >= 12


@settings(max_examples=300)
@given(header=st.binary(max_size=80) | st.text(alphabet="{}()[]'\",:0123456789 descrfortan_shpeFalsTu<f4\\\n", max_size=80))
def test_an_invented_header_never_does_worse_than_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, header: bytes | str
) -> None:
    text = header if isinstance(header, bytes) else header.encode()
    path = tmp_path_factory.getbasetemp() / "invented.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(DataError):
        data.load(path.name, base=path.parent)
