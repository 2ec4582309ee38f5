"""CSV files as people and spreadsheets write them, and every bad cell by row and column."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepipe.errors import DataError
from edgepipe.facts import TensorPort
from edgepipe.pipeline import data


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        data.load(path.name, base=path.parent)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "a,b,label\n1,2.5,0\n-3,4e1,1\n",
        "label,a,b\n0,1,2.5\n1,-3,4e1\n",
        "a;b;label\r\n1;2,5;0\r\n-3;40,0;1\r\n",
        "a\tb\tLabel\n 1 \t2.5\t0\n\n-3\t40\t1\n\n",
        "a|b|y\r1|2.5|0\r-3|40|1",
        '\ufeffclass,"a","b"\n0,"1","2.5"\n1,"-3","40"\n',
        "a,b,what\n1,2.5,0.0\n-3,40,1.0\n",
    ],
    ids=[
        "commas",
        "label first",
        "semicolons, decimal commas, CRLF",
        "tabs, spaces, blank lines",
        "bars, CR",
        "BOM, quotes",
        "last",
    ],
)
def test_the_usual_ways_to_write_a_table_mean_the_same(tmp_path: Path, content: str) -> None:
    write(tmp_path, content)
    loaded = data.load("table.csv", base=tmp_path)
    assert loaded.inputs["x"].tolist() == [[1.0, 2.5], [-3.0, 40.0]]
    assert loaded.inputs["x"].dtype == np.float32
    assert loaded.labels is not None and loaded.labels.tolist() == [0, 1] and loaded.labels.dtype == np.int64
    assert loaded.class_names == ()


def test_words_become_class_numbers(tmp_path: Path) -> None:
    write(tmp_path, "a,label\n1,Frühling\n2,Äpfel\n3,Frühling\n4,1\n")
    loaded = data.load("table.csv", base=tmp_path)
    assert loaded.class_names == ("1", "Frühling", "Äpfel")
    assert loaded.labels is not None and loaded.labels.tolist() == [1, 2, 1, 0]


def test_fractions_stay_fractions(tmp_path: Path) -> None:
    write(tmp_path, "a,y\n1,0.5\n2,2\n")
    labels = data.load("table.csv", base=tmp_path).labels
    assert labels is not None and labels.tolist() == [0.5, 2.0]


def test_a_column_called_label_goes_before_one_called_y(tmp_path: Path) -> None:
    write(tmp_path, "x,y,label\n1,2,0\n3,4,1\n")
    assert data.load("table.csv", base=tmp_path).inputs["x"].tolist() == [[1, 2], [3, 4]]


def test_rows_take_the_models_shape_where_it_has_the_same_size(tmp_path: Path) -> None:
    write(tmp_path, "a,b,c,d,y\n1,2,3,4,0\n5,6,7,8,1\n")
    for shape, loaded_as in [((1, 2, 2, 1), (2, 2, 2, 1)), ((-1, 4), (2, 4)), ((-1, 3), (2, 4)), ((-1, -1, 2), (2, 4))]:
        ports = [TensorPort(name="x", shape=shape, dtype="float32")]
        assert data.load("table.csv", base=tmp_path, inputs=ports).inputs["x"].shape == loaded_as


def test_every_bad_cell_is_named_by_row_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b,y\n1,,0\n"two",2,0\n3,NaN,0\n1_000,1,1\n5,5\n6,6,6,6\n7,7,\n"8\n8",8,1\n9,9,1\n')
    message = refusal(path)
    for part in (
        'row 2, column "b": the value is missing',
        "row 3, column \"a\": 'two' is not a number",
        'row 4, column "b": the value is missing',
        "row 5, column \"a\": '1_000' is not a number",
        "row 6 has 2 cells, the header 3",
        "row 7 has 4 cells, the header 3",
        'row 8, column "y": the label is missing',
        "row 10, column \"a\": '8\\n8' is not a number",
    ):
        assert part in message
    assert "row 11" not in message


def test_the_first_twenty_problems_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "a,y\n" + "bad,1\n" * 50))
    assert message.count("is not a number") == 20
    assert "and 30 more like these" in message


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("1,2,3\n4,5,6\n", "no header row: the first row is all numbers"),
        (",a,y\n0,1,2\n", "column 1 has no name; pandas writes its index there"),
        ("a,a,y\n0,1,2\n", '2 columns are called "a"'),
        ("a,y\n", "no row below the header"),
        ("\n\n", "no header row"),
        ("only\nx\n", "one column only"),
        ('a,y\n"1,2\n', "not valid CSV at row"),
        ("a,y\n1," + "x" * 200_000 + "\n", "not valid CSV at row"),
        (b"a,y\n1,2\n1,\xff\xfe\n", "not UTF-8 text (row 3)"),
        ("a,y\n1,2\n".encode("utf-16"), "not UTF-8 text (row 1)"),
        ("", "is empty"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    assert complaint in refusal(write(tmp_path, content))


def test_a_class_that_train_does_not_know_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a,y\n1,cat\n2,dgo\n")
    with pytest.raises(DataError, match='Perhaps you meant "dog"'):
        data.load("table.csv", base=tmp_path, class_names=["cat", "dog"])


@given(content=st.text(alphabet='ab01.,;\t|\n\r"- \x00é', max_size=60) | st.binary(max_size=60))
def test_no_text_does_worse_than_a_data_error(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    try:
        loaded = data.load(path.name, base=path.parent)
    except DataError as exc:
        assert "table.csv" in str(exc)
    else:
        assert loaded.samples > 0 and loaded.labels is not None and len(loaded.labels) == loaded.samples


def test_a_large_file_is_read_as_it_goes(tmp_path: Path) -> None:
    """20 MB of text around 80 kB of numbers."""
    row = f"1,{' ' * 2000}2\n"
    (tmp_path / "large.csv").write_text("a,y\n" + row * 10_000)
    tracemalloc.start()
    found = data.load("large.csv", base=tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.samples == 10_000
    assert peak < 5_000_000
