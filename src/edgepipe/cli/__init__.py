"""The command line: one verb per file, each parses, calls one workflow and renders what it returns."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from edgepipe.cli.commands import COMMANDS, GROUPS
from edgepipe.errors import EdgepipeError, InternalError, Interrupted, StorageError, Terminated, UsageError

# What the system says of a path that no disk could hold, as against a disk that is full.
WRONG_PATHS = {errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL}


def build_app() -> Any:
    """Return the typer application with every verb of the table."""
    import typer

    app = typer.Typer(
        name="edgepipe",
        help="Make a Keras model small, prove it on the shipped file, and measure it where it will run.",
        epilog="First time here? Try: edgepipe demo",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, (panel, command) in COMMANDS.items():
        if callable(command):
            app.command(name, rich_help_panel=panel, help=_flowing(command))(command)
        else:
            group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
            for verb, part in command.items():
                group.command(verb, help=_flowing(part))(part)
            app.add_typer(group, name=name, help=GROUPS[name], rich_help_panel=panel)
    return app


def _flowing(command: Callable[..., Any]) -> str:
    """Return a verb's docstring with each paragraph in one line, since typer breaks lines where the source does, too."""
    import inspect

    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in (inspect.getdoc(command) or "").split("\n\n"))


def main_inner(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; raises EdgepipeError. What tests call."""
    import typer

    command: Callable[..., Any] = typer.main.get_command(build_app())
    try:  # typer carries its own click: only the exceptions that it exports can be caught
        result = command(args=list(arguments) or ["--help"], prog_name="edgepipe", standalone_mode=False)
    except typer.Abort as exc:
        raise Interrupted("stopped") from exc
    except typer.Exit as exc:
        return exc.exit_code
    except SystemExit as exc:  # click's answer to a reader that has gone
        raise BrokenPipeError from exc
    except typer.TyperException as exc:
        raise UsageError(exc.format_message(), todo=f"See {' '.join(['edgepipe', *_verbs(arguments)])} --help.") from exc
    if result == Interrupted.exit_code:  # typer's answer to Ctrl-C, without a word
        raise Interrupted("stopped by Ctrl-C")
    return result if isinstance(result, int) else 0


def _verbs(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the verb that was asked for, and which of a group's, as far as there is one."""
    words = iter(arguments)
    verb = next((word for word in words if word in COMMANDS), None)
    if verb is not None:
        _, command = COMMANDS[verb]
        yield verb
        yield from (word for word in [next(words, "")] if not callable(command) and word in command)


def main() -> NoReturn:
    """The entry point: the one place where errors become messages and exit codes."""
    _open_closed_streams()
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: Sequence[str]) -> int:
    try:
        code = main_inner(arguments)
        sys.stdout.flush()
        return code
    except EdgepipeError as exc:
        return _report(exc, arguments)
    except KeyboardInterrupt:
        return _report(Interrupted("stopped by Ctrl-C"), arguments)
    except BrokenPipeError:  # `edgepipe … | head`: whoever read us has seen enough
        _to_nowhere(sys.stdout)
        return 0
    except OSError as exc:
        return _report(_refused(exc), arguments)
    except Exception as exc:  # noqa: BLE001  the process boundary: a bug must not look like a regression
        return _report(InternalError(f"internal error: {type(exc).__name__}: {exc}", cause=_log_traceback()), arguments)


def _refused(exc: OSError) -> EdgepipeError:
    """Return what is said where the system refused something that nobody had foreseen."""
    from edgepipe.places import way_out

    what = f"the system refused: {exc}"
    if exc.errno in WRONG_PATHS:
        return UsageError(what, todo="Check the path.")
    return StorageError(what, todo=way_out(Path(str(exc.filename)), exc.errno) if exc.filename else "")


def _report(exc: EdgepipeError, arguments: Sequence[str]) -> int:
    if "--json" in arguments:
        import json

        from edgepipe.cli.output import error_as_json, json_was_shown

        if not json_was_shown():
            _say(sys.stdout, json.dumps({**error_as_json(exc), "exit_code": exc.exit_code}))
    _say(sys.stderr, f"edgepipe: {exc}")
    return exc.exit_code


def _say(stream: TextIO, line: str) -> None:
    """Write a line where somebody may read it: the exit code holds where nobody can."""
    try:
        stream.write(line + "\n")
        stream.flush()
    except OSError:
        _to_nowhere(stream)


def _to_nowhere(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_closed_streams() -> None:
    """Put the null device where stdin, stdout or stderr were closed: no other file may get their numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _log_traceback() -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="edgepipe-crash-", suffix=".log", delete=False) as log:
        traceback.print_exc(file=log)
    return f"a bug in edgepipe; its traceback is in {log.name}"


def _terminated(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated("stopped by SIGTERM")
