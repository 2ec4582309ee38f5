"""Every error owns a slug and a documented exit code."""

import pytest

from edgepipe import errors

ALL = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.EdgepipeError)]


def test_slugs_are_unique() -> None:
    slugs = [cls.slug for cls in ALL if cls is not errors.EdgepipeError and cls is not errors.InternalError]
    assert len(slugs) == len(set(slugs))


@pytest.mark.parametrize("cls", ALL)
def test_every_class_is_drawn_in_the_tree_with_its_exit_code(cls: type[errors.EdgepipeError]) -> None:
    assert cls.exit_code in errors.PRECEDENCE
    if cls is not errors.EdgepipeError:
        line = next(line for line in (errors.__doc__ or "").splitlines() if f" {cls.__name__} " in line)
        assert f" {cls.exit_code}" in line


def test_a_message_says_what_happened_why_and_what_to_do() -> None:
    text = str(errors.DataError("x is wrong", cause="a typo", todo="mend it", problems=["row 1", "row 2"]))
    assert text.splitlines() == ["x is wrong", "  - row 1", "  - row 2", "Usual cause: a typo", "What to do: mend it"]


@pytest.mark.parametrize(
    ("codes", "worst"), [([0, 0], 0), ([], 0), ([0, 3], 3), ([3, 4, 5, 1], 1), ([1, 2, 6], 2), ([70, 2], 70), ([143, 130, 70], 130)]
)
def test_the_worst_exit_code_wins(codes: list[int], worst: int) -> None:
    assert errors.worst_exit_code(codes) == worst


def test_an_error_is_found_again_by_its_slug() -> None:
    assert errors.error_for("claim-not-reached") is errors.ClaimNotReached
    assert errors.error_for("no such thing") is errors.InternalError
