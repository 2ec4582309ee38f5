"""`--layer name=number` is read or refused with an example."""

from __future__ import annotations

import pytest

from edgepipe.cli.layer_options import numbers_by_layer
from edgepipe.errors import UsageError


def test_names_globs_and_names_with_an_equals_sign_get_their_numbers() -> None:
    assert numbers_by_layer(["conv*=0.9", "head=0", "a=b=16"]) == {"conv*": 0.9, "head": 0, "a=b": 16}
    assert isinstance((numbers_by_layer(["head=16"]) or {})["head"], int)


def test_nothing_is_nothing() -> None:
    assert numbers_by_layer([]) is None and numbers_by_layer(None) is None


@pytest.mark.parametrize("entry", ["conv", "=0.5", "conv=", "conv=high", "0.9"])
def test_anything_else_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="NAME=NUMBER"):
        numbers_by_layer([entry])
