"""A recipe's data as splits: what is wrong with it is told in the user's own terms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgepipe.errors import DataError
from edgepipe.events import silent
from edgepipe.pipeline.recipe import DataSpec
from edgepipe.pipeline.splits import prepare


@pytest.mark.parametrize("bad", [0, 5, 39])
def test_a_bad_sample_has_the_number_that_it_has_in_the_file(tmp_path: Path, bad: int) -> None:
    x = np.random.default_rng(0).random((40, 4), np.float32)
    np.savez(tmp_path / "test.npz", x=x[::-1] + 1, y=np.arange(40) % 2)
    x[bad, 2] = np.nan
    np.savez(tmp_path / "train.npz", x=x, y=np.arange(40) % 2)
    with pytest.raises(DataError) as refused:
        prepare(DataSpec(train="train.npz", test="test.npz"), tmp_path, (), seed=0, rescales=None, emit=silent)
    (problem,) = refused.value.problems
    assert problem.startswith(f"train/x[{bad}]: one value is NaN")
