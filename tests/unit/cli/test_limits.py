"""The limits of the TensorFlow process are numbers that mean something."""

from __future__ import annotations

import pytest

from edgepipe.cli import main_inner
from edgepipe.errors import UsageError


@pytest.mark.parametrize("limit", ["--memory=nan", "--memory=-4", "--memory=inf", "--timeout=-1", "--timeout=nan", "--timeout=inf"])
def test_others_are_refused_before_any_work(limit: str) -> None:
    with pytest.raises(UsageError, match=limit.split("=", maxsplit=1)[0]):
        main_inner(["convert", "none.keras", limit])
