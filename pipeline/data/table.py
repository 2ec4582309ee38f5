"""CSV for tabular models: a header row, numbers, and one column of labels.

Commas, semicolons, tabs and bars are told apart by the header row; with semicolons, 1,5 is one and a half. The label column is
called label, class or y (the first of these that is there), else it is the last. Row numbers are the file's own lines.
"""

from __future__ import annotations

import csv
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgepipe.errors import DataError
from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.labels import encode
from edgepipe.pipeline.data.request import Request, first_problems

FORM = "a .csv file with a header row"
LABEL_COLUMNS = ("label", "class", "y")
DELIMITERS = ",;\t|"
LONGEST_HEADER = 1 << 20  # bytes looked at for the delimiter
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})


@dataclass(kw_only=True)
class _Columns:
    """What has been read so far: the numbers row after row, the labels as written, and every problem."""

    header: list[str]
    label: int
    decimal_comma: bool
    values: array[float] = field(default_factory=lambda: array("d"))
    words: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, line: int, cells: list[str]) -> None:
        """Take one row, or note what is wrong with it."""
        if len(cells) != len(self.header):
            self.problems.append(f"row {line} has {len(cells)} cells, the header {len(self.header)}")
            return
        if cells[self.label].strip().lower() in _MISSING:
            self.problems.append(f'row {line}, column "{self.header[self.label]}": the label is missing')
        self.words.append(cells[self.label].strip())
        self.values.extend([self._number(line, column, cell) for column, cell in enumerate(cells) if column != self.label])

    def _number(self, line: int, column: int, cell: str) -> float:
        text = cell.replace(",", ".") if self.decimal_comma and "." not in cell else cell
        try:
            value = float(text)
            if "_" not in text and not math.isnan(value):
                return value
        except ValueError:
            pass
        what = "the value is missing" if cell.strip().lower() in _MISSING else f"{cell.strip()!r:.40} is not a number"
        self.problems.append(f'row {line}, column "{self.header[column]}": {what}')
        return math.nan


def matches(request: Request) -> bool:
    """Whether the name ends in .csv."""
    return request.spec.lower().endswith(".csv")


def read(request: Request) -> Dataset:
    """Return float32 rows (samples, columns) and labels; a model that takes another shape of the same size gets that.

    Raises DataError with every row and column that cannot be read.
    """
    path = _file(request)
    delimiter = _delimiter(path)
    rows = _rows(path, delimiter)
    _, header = next(rows, (1, []))
    header = [name.strip() for name in header]
    columns = _Columns(header=header, label=_label_column(header), decimal_comma=delimiter == ";")
    columns.problems += _header_problems(header)
    if not columns.problems:
        for line, cells in rows:
            columns.add(line, cells)
    if not columns.problems and not columns.words:
        columns.problems.append("there is no row below the header")
    if columns.problems:
        raise DataError(f"{request.path} cannot be used", problems=first_problems(columns.problems))
    labels, names = _labels(columns.words, request)
    x = np.frombuffer(columns.values, dtype=np.float64).reshape(len(labels), -1)
    with np.errstate(over="ignore"):  # becomes infinite, which the checks report with its index
        values = x.astype(np.float32)
    return Dataset(inputs={"x": _shaped(values, request)}, labels=labels, source=request.spec, class_names=names)


def _file(request: Request) -> Path:
    path = request.file()
    if path.stat().st_size > request.largest_bytes:
        raise DataError(f"{path} has {path.stat().st_size:,} bytes; at most {request.largest_bytes:,} are read")
    return path


def _delimiter(path: Path) -> str:
    with path.open("rb") as file:
        header = file.readline(LONGEST_HEADER)
    return max(DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of every row that is not blank; the file is read as it goes, never whole."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
        except csv.Error as exc:
            raise DataError(f"{path} is not valid CSV at row {reader.line_num}: {exc}") from exc
        except UnicodeDecodeError as exc:
            raise DataError(f"{path} is not UTF-8 text (row {_undecodable(path)})", todo="Save it as CSV UTF-8.") from exc


def _undecodable(path: Path) -> int:
    """Return the first line that is no UTF-8: Python decodes ahead of the rows that it gives, and names no line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _label_column(header: Sequence[str]) -> int:
    lower = [name.lower() for name in header]
    return next((lower.index(name) for name in LABEL_COLUMNS if name in lower), len(header) - 1)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _header_problems(header: Sequence[str]) -> list[str]:
    if not header:
        return ["it has no header row"]
    if all(_is_number(name) for name in header):
        return ["it has no header row: the first row is all numbers"]
    problems = [
        f"column {k} has no name; pandas writes its index there unless to_csv has index=False"
        for k, name in enumerate(header, 1)
        if not name
    ]
    problems += [f'{count} columns are called "{name}"' for name, count in Counter(header).items() if name and count > 1]
    if len(header) < 2:
        problems.append(f"it has one column only ({header[0]!r:.40}); columns are told apart by comma, semicolon, tab or bar")
    return problems


def _labels(words: list[str], request: Request) -> tuple[Array, tuple[str, ...]]:
    """Return whole numbers as they are, other numbers as float32, words numbered in alphabetical order."""
    if not request.class_names and all(_is_number(word) and "_" not in word for word in words):
        numbers = np.array([float(word) for word in words])
        whole = bool(np.all(np.isfinite(numbers))) and bool(np.all(numbers == np.rint(numbers)))
        return numbers.astype(np.int64 if whole else np.float32), ()
    return encode(words, request.class_names, source=request.spec)


def _shaped(values: Array, request: Request) -> Array:
    shape = request.sample_shape
    if shape and -1 not in shape and math.prod(shape) == values.shape[1]:
        return values.reshape(len(values), *shape)
    return values
