"""Pictures are changed at random, and by nothing but the generator that is handed in."""

from __future__ import annotations

import numpy as np
import pytest

from edgepipe.pipeline.augment import Augmentation


def pictures() -> np.ndarray:
    return np.random.default_rng(1).random((64, 6, 4, 2), np.float32)


def test_the_same_generator_gives_the_same_pictures_and_the_originals_stay() -> None:
    augmentation, before = Augmentation(flip="both", shift=0.5, noise=0.1), pictures()
    given = before.copy()
    first, second = (augmentation(given, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second) and np.array_equal(given, before)
    assert not np.array_equal(first, augmentation(given, np.random.default_rng(4)))
    assert first.shape == before.shape and first.dtype == before.dtype


@pytest.mark.parametrize(("flip", "axis"), [("vertical", 1), ("horizontal", 2)])
def test_about_half_are_mirrored_along_the_axis_that_was_named(flip: str, axis: int) -> None:
    before = pictures()
    after = Augmentation(flip=flip)(before, np.random.default_rng(0))  # type: ignore[arg-type]
    mirrored = [bool(np.array_equal(new, np.flip(old, axis - 1))) for new, old in zip(after, before, strict=True)]
    same = [bool(np.array_equal(new, old)) for new, old in zip(after, before, strict=True)]
    assert all(one != other for one, other in zip(mirrored, same, strict=True)) and 16 < sum(mirrored) < 48


def test_a_shift_moves_whole_pixels_and_repeats_the_edge() -> None:
    row = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    seen = {tuple(Augmentation(shift=0.25)(row, np.random.default_rng(seed)).ravel()) for seed in range(50)}
    assert seen == {(0, 1, 2, 3), (0, 0, 1, 2), (1, 2, 3, 3)}


def test_noise_has_the_spread_that_was_asked_for_and_leaves_whole_numbers_alone() -> None:
    flat = np.zeros((100, 100), np.float32)
    assert np.std(Augmentation(noise=0.3)(flat, np.random.default_rng(0))) == pytest.approx(0.3, rel=0.05)
    whole = np.zeros((4, 4), np.uint8)
    assert np.array_equal(Augmentation(noise=3.0)(whole, np.random.default_rng(0)), whole)


def test_what_is_no_picture_is_not_mirrored() -> None:
    with pytest.raises(ValueError, match="flip and shift take pictures"):
        Augmentation(flip="horizontal")(np.zeros((4, 3), np.float32), np.random.default_rng(0))


def test_noise_on_pictures_as_bytes_stays_within_them() -> None:
    before = np.random.default_rng(0).choice([0, 128, 255], (64, 6, 4, 2)).astype(np.uint8)
    after = Augmentation(noise=5.0)(before, np.random.default_rng(0))
    assert after.dtype == np.uint8
    assert np.std(after[before == 128].astype(float)) == pytest.approx(5.0, rel=0.1)
    assert np.max(np.abs(after.astype(int) - before)) < 30
