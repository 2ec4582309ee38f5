"""Google's `edgetpu_compiler`, run so that neither its hangs nor its crashes are ours, and its result read back from the file.

Known of it (https://coral.ai/docs/edgetpu/compiler/; issues 211, 217, 270, 671 of https://github.com/google-coral/edgetpu): it
never ends on some models, and `-t` stops only the child it starts; the same command fails and then succeeds; `-d` finds the largest
part that compiles where the whole does not. So: once more, then `-d`, which comes next after a hang; a deadline of our own over
each run, with which its whole process group ends.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from edgepipe.errors import InfrastructureError, MissingExtra, ModelRejected, UsageError
from edgepipe.events import Emit, Note, silent, step
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.export.edgetpu_log import COMPILED_OP, CompilerReport, failure, read_report
from edgepipe.pipeline.inspect.flatbuffer import read_facts, read_model
from edgepipe.places import write_whole

PROGRAM = "edgetpu_compiler"
TIMEOUT_S = 180  # the compiler's own default
GRACE_S = 20  # beyond -t, to write the file and to say so
SEARCHES = 10  # the search tries one part after another, each with -t of its own
SEARCH = "-d"
MOST_OUTPUT = 1 << 20  # bytes read of what it prints
INSTALL = (
    "On x86-64 Debian or Ubuntu: add `deb https://packages.cloud.google.com/apt coral-edgetpu-stable main` to apt's sources with "
    "Google's key (https://coral.ai/docs/edgetpu/compiler/#download), then `apt-get install edgetpu-compiler`. "
    "Without it, `edgepipe edgetpu MODEL` still foretells the mapping from the published rules."
)


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """A compiled file and what the compiler said of it.

    `mac_share` and `op_share` are read back from the files: what the compiled one still computes outside the Edge TPU, held against
    the original; None for a model that multiplies nothing. `searched`: only a part compiled, found with `-d`.
    """

    path: Path
    facts: ModelFacts
    report: CompilerReport
    op_share: float
    mac_share: float | None
    attempts: int
    searched: bool
    seconds: float


def find_compiler() -> Path:
    """Return where the compiler is. Raises MissingExtra that says how to get it."""
    found = shutil.which(PROGRAM)
    if found is None:
        cause = "it is no Python package: Google offers it for x86-64 Linux only, and the last version is 16.0 of 2021"
        raise MissingExtra(f"{PROGRAM} is not on the PATH", cause=cause, todo=INSTALL)
    return Path(found)


def compile_model(
    model: Path, *, to: Path, timeout_s: int = TIMEOUT_S, grace_s: float = GRACE_S, searches: int = SEARCHES, emit: Emit = silent
) -> Compilation:
    """Compile a `.tflite` for the Edge TPU; write `<name>_edgetpu.tflite` and the compiler's `.log` into the folder `to`.

    One run may take `timeout_s` and `grace_s` more to write and say so; the search for the largest part `searches` times as long.
    Raises MissingExtra without the compiler; ModelFileError; UsageError for a file that is compiled already; ModelRejected where
    the compiler refuses the model, gives up or does not end; InfrastructureError where something else killed it.
    """
    program = find_compiler()
    content, facts = read_model(model)
    if COMPILED_OP in facts.custom_ops:
        raise UsageError(f"{model} is compiled already", todo="Give the .tflite that it was compiled from.")
    began = monotonic()
    with step(emit, f"edgetpu_compiler {model.name}"), tempfile.TemporaryDirectory(prefix="edgepipe-edgetpu-") as name:
        # A name of our own: the user's might begin with a dash.
        folder = Path(name)
        (folder / "model.tflite").write_bytes(content)
        compiler = _Compiler(program=program, folder=folder, timeout_s=timeout_s, grace_s=grace_s, searches=searches)
        run, attempts = _until_it_works(compiler, model.name, emit)
        compiled = (folder / "model_edgetpu.tflite").read_bytes()
        table = _text(folder / "model_edgetpu.log")
    after = read_facts(compiled)
    report = read_report(run.output, table)
    outside = sum(op.op != COMPILED_OP for op in after.ops)
    if report.ops_on_cpu is not None and report.ops_on_cpu != outside:
        text = f"the compiler says that {report.ops_on_cpu} operators run on the CPU; its file holds {outside}"
        emit(Note(warning=True, text=text))
    path = to / f"{model.stem}_edgetpu.tflite"
    write_whole(path, compiled)
    write_whole(path.with_suffix(".log"), run.output + table)
    return Compilation(
        path=path,
        facts=after,
        report=report,
        op_share=max(1 - outside / len(facts.ops), 0.0) if facts.ops else 0.0,
        mac_share=max(1 - after.macs / facts.macs, 0.0) if facts.macs else None,
        attempts=attempts,
        searched=SEARCH in run.options,
        seconds=monotonic() - began,
    )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run of the compiler; `code` is None where it did not end in time."""

    options: tuple[str, ...]
    code: int | None
    output: str
    wrote: bool

    @property
    def works(self) -> bool:
        return self.code == 0 and self.wrote

    @property
    def final(self) -> bool:
        """Whether another attempt would say the same: the file cannot be read by this compiler."""
        return "Model could not be parsed" in self.output or "Invalid model" in self.output

    @property
    def hung(self) -> bool:
        """Whether it was still at it when its time was up, by our clock or by its own."""
        return self.code is None or "Compilation timeout" in self.output

    @property
    def reason(self) -> str:
        if self.code is None:
            return "did not end in time"
        if self.code < 0:
            return f"was killed by {signal.Signals(-self.code).name}"
        return failure(self.output) or (f"ended with exit code {self.code}" if self.code else "wrote no file")


@dataclass(frozen=True, kw_only=True)
class _Compiler:
    """The program, the folder where `model.tflite` lies, and how long a run may take."""

    program: Path
    folder: Path
    timeout_s: int
    grace_s: float
    searches: int

    def run(self, *options: str) -> _Run:
        """Run the compiler once, in a process group of its own that ends with it."""
        said, made = self.folder / "output", self.folder / "model_edgetpu.tflite"
        made.unlink(missing_ok=True)
        model = str(self.folder / "model.tflite")
        command = [str(self.program), "-s", *options, "-t", str(self.timeout_s), "-o", str(self.folder), model]
        with said.open("wb") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_limit,
            )
            try:
                code: int | None = child.wait(self.timeout_s * (self.searches if SEARCH in options else 1) + self.grace_s)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end_group(child)
        return _Run(options=options, code=code, output=_text(said), wrote=made.is_file())


def _until_it_works(compiler: _Compiler, name: str, emit: Emit) -> tuple[_Run, int]:
    run, attempts = compiler.run(), 1
    if not run.works and not run.final and not run.hung:
        emit(Note(warning=True, text=f"edgetpu_compiler {run.reason}; once more, which helps at times"))
        run, attempts = compiler.run(), 2
    if not run.works and not run.final:
        emit(Note(warning=True, text=f"edgetpu_compiler {run.reason}; searching the largest part that compiles"))
        run, attempts = compiler.run(SEARCH), attempts + 1
    if not run.works:
        raise _error(run, name, attempts, compiler.timeout_s)
    return run, attempts


def _end_group(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # also of one that has ended: its own child may live on
    child.wait()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MOST_OUTPUT).decode("utf-8", errors="replace")


def _error(run: _Run, name: str, attempts: int, timeout_s: int) -> ModelRejected | InfrastructureError:
    lines = [line.strip()[:300] for line in run.output.splitlines() if line.strip()][-5:]
    times = "one attempt" if attempts == 1 else f"{attempts} attempts"
    what = f"{name} was not compiled for the Edge TPU: edgetpu_compiler {run.reason} ({times})"
    if run.code is not None and run.code < 0:
        return InfrastructureError(
            what, problems=lines, cause="no memory left, or somebody ended it", todo="Try again with more memory."
        )
    if run.hung:
        todo = f"Give it longer than {timeout_s} s with --timeout; large activations in the first layers are the usual cause."
        return ModelRejected(what, problems=lines, todo=todo)
    if run.final:
        cause = "the converter is newer than the compiler, which reads files with the TensorFlow Lite of 2021"
        return ModelRejected(what, problems=lines, cause=cause, todo="`edgepipe edgetpu MODEL` names the operators known for it.")
    cause = "large activations, shapes that are not fixed, or a limit that the compiler does not name"
    return ModelRejected(what, problems=lines, cause=cause, todo="`edgepipe edgetpu MODEL` lists what breaks the published rules.")
