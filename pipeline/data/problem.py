"""One thing wrong with the data, and the error that lists all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgepipe.errors import DataError
from edgepipe.pipeline.data.request import first_problems

Severity = Literal["error", "warning"]
Finding = tuple[Severity, int | None, str]  # what a check of one input says: severity, index, message


@dataclass(frozen=True, kw_only=True)
class DataProblem:
    """One thing wrong: in which split, in which input ("" for all or the labels), at which sample (None for the whole)."""

    severity: Severity
    split: str
    input: str
    index: int | None
    message: str

    def __str__(self) -> str:
        where = self.split + (f"/{self.input}" if self.input else "") + (f"[{self.index}]" if self.index is not None else "")
        return "".join(c if c.isprintable() else "?" for c in f"{where}: {self.message}")


def raise_errors(problems: Sequence[DataProblem]) -> None:
    """Raise one DataError that lists every error among `problems`; warnings alone raise nothing."""
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        count = "one problem" if len(errors) == 1 else f"{len(errors)} problems"
        raise DataError(f"the data have {count}", problems=first_problems(errors))
