"""The command line explains itself, quickly."""

import subprocess
import sys

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from edgepipe.cli import build_app, main_inner
from edgepipe.cli.commands import COMMANDS
from edgepipe.errors import UsageError

GROUP = typer.main.get_command(build_app())
# What takes long to import and is not needed to explain anything. (To show a verb's options typer itself takes pydantic.)
HEAVY = {
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_model_optimization",
    "ai_edge_litert",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
}
HEAVY |= {"PIL", "sqlalchemy", "jinja2"}


# Every verb as it is typed, those in groups too.
VERBS = [f"{name} {part}".strip() for name, (_, verbs) in COMMANDS.items() for part in ([""] if callable(verbs) else verbs)]


def command(verb: str) -> TyperCommand:
    found = GROUP
    for word in verb.split():
        assert isinstance(found, TyperGroup)
        found = found.commands[word]
    assert isinstance(found, TyperCommand)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_short_first_line_and_an_example(verb: str) -> None:
    text = command(verb).help or ""
    first = text.strip().splitlines()[0]
    assert 10 <= len(first) <= 120
    assert first.endswith(".")
    assert f"edgepipe {verb}" in text
    assert all("\n" not in paragraph for paragraph in text.split("\n\n")), "a paragraph breaks where its source does"


@pytest.mark.parametrize(("verb", "name"), [(verb, str(param.name)) for verb in VERBS for param in command(verb).params])
def test_every_argument_and_option_is_explained(verb: str, name: str) -> None:
    param = next(param for param in command(verb).params if param.name == name)
    assert len((getattr(param, "help", None) or "").strip()) >= 10


@pytest.mark.parametrize("arguments", [["--help"], *([*verb.split(), "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from edgepipe.cli import main_inner\n"
        f"code = main_inner({arguments!r})\n"
        "sys.stderr.write(' '.join(sorted({name.split('.')[0] for name in sys.modules})))\n"
        "sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "Usage:" in ran.stdout
    imported = set(ran.stderr.split())
    assert imported & (HEAVY | {"pydantic"} if arguments == ["--help"] else HEAVY) == set()
    assert "typer" in imported


def test_no_arguments_show_the_help() -> None:
    ran = subprocess.run([sys.executable, "-c", "from edgepipe.cli import main; main()"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Usage:" in ran.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_a_usage_error(verb: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from edgepipe.cli import main; main()", *verb.split(), "--no-such-option"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert "--no-such-option" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["farm", "status"], "edgepipe farm status"),
        (["farm", "stauts"], "edgepipe farm"),
        (["bench"], "edgepipe bench"),
        (["bnch"], "edgepipe"),
    ],
)
def test_a_wrong_call_names_the_help_that_fits(arguments: list[str], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        main_inner(arguments)
    assert caught.value.todo == f"See {named} --help."
