"""Which source a spec means, and the bundled digits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgepipe.errors import DataError
from edgepipe.pipeline import data


def test_the_digits_are_1797_real_images_from_0_to_1(tmp_path: Path) -> None:
    digits = data.load("digits", base=tmp_path)
    assert digits.inputs["x"].shape == (1797, 8, 8, 1)
    assert digits.inputs["x"].dtype == np.float32
    assert (digits.inputs["x"].min(), digits.inputs["x"].max()) == (0, 1)
    assert digits.labels is not None and np.bincount(digits.labels).min() > 170
    assert digits.sha256 == "093e3d090a436e85ad64395510b78ca811a41748686659e9aea5a52feec8287d"


def test_without_scikit_learn_the_digits_say_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sklearn.py").write_text("raise ImportError('not here')")
    code = (
        "import sys; sys.path.insert(0, '.'); from pathlib import Path; from edgepipe.errors import MissingExtra\n"
        "from edgepipe.pipeline import data\n"
        "try: data.load('digits', base=Path())\n"
        "except MissingExtra as exc: print(exc)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "edgepipe[demo]" in result.stdout


def test_a_folder_called_digits_is_written_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        data.load("./digits", base=tmp_path)


def test_paths_are_relative_to_the_base_or_absolute(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 1)))
    assert data.load("a.npz", base=tmp_path).samples == 2
    assert data.load(str(tmp_path / "a.npz"), base=Path("/nowhere")).samples == 2


@pytest.mark.parametrize("spec", ["train.parquet", "", "mydata.load", "https://example.org/x.npy", "a b:c"])
def test_an_unknown_spec_says_what_is_read(tmp_path: Path, spec: str) -> None:
    (tmp_path / "train.npy").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        data.load(spec, base=tmp_path / "train.npy" if not spec else tmp_path)
    assert len(caught.value.problems) == len(data.SOURCES)


@given(
    spec=st.text(max_size=30) | st.sampled_from(["~nobody-of-that-name/x.npz", "\0", "a" * 5000, "a" * 5000 + ".npz", "..", "/"])
)
def test_no_spec_does_worse_than_a_data_error(tmp_path_factory: pytest.TempPathFactory, spec: str) -> None:
    assume(spec != "digits")
    with pytest.raises(DataError):
        data.load(spec, base=tmp_path_factory.getbasetemp())


def test_a_missing_path_suggests_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match='Perhaps you meant "images"'):
        data.load("imags", base=tmp_path)


def test_loading_imports_no_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgepipe.pipeline import data\n"
        "data.load('digits', base=Path())\nprint([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras')])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
