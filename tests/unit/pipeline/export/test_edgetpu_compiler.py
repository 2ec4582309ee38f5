"""The wrapper around Google's compiler, which is not at hand here: a program of the same name stands in for it.

The texts below are SAMPLES OF THE FORMAT, written for these tests after published runs; no compiler made them. What the stand-in
"compiles" is a small network of which two operators stay outside.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgepipe.errors import EdgepipeError, InfrastructureError, MissingExtra, ModelRejected, UsageError
from edgepipe.events import Event, Note
from edgepipe.pipeline.export.edgetpu_compiler import Compilation, compile_model
from edgepipe.pipeline.export.edgetpu_log import COMPILED_OP, failure, read_report

HEAD = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 96 ms.

Input model: model.tflite
Input size: 7.02MiB
Output model: model_edgetpu.tflite
Output size: 7.14MiB
On-chip memory used for caching model parameters: 80.00KiB
On-chip memory remaining for caching model parameters: 6.04MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 3
Operation log: model_edgetpu.log
"""
PARTIAL = f"""{HEAD}
Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 1
Number of operations that will run on CPU: 2
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!
"""
TABLE = """\
Edge TPU Compiler version 16.0.384591198
Input: model.tflite
Output: model_edgetpu.tflite

Operator                       Count      Status

FULLY_CONNECTED                1          Mapped to Edge TPU
FULLY_CONNECTED                1          More than one subgraph is not supported
LEAKY_RELU                     1          Operation not supported
"""
OLDER = """\
Edge TPU Compiler version 14.1.317412892

Model compiled successfully in 577 ms.

On-chip memory used for caching model parameters: 7.14MiB
On-chip memory remaining for caching model parameters: 1.75KiB
Off-chip memory used for streaming uncached model parameters: 6.63MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 141

Operator                       Count      Status

RESHAPE                        12         Tensor has unsupported rank (up to 3 innermost dimensions mapped)
CONV_2D                        128        Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation
"""
INTERNAL = "Edge TPU Compiler version 15.0.340273435\n\nInternal compiler error. Aborting! \n"
TOO_LARGE = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.
ERROR: Restored original execution plan after delegate application failure.
Compilation failed: Compilation failed due to large activation tensors in model.
Compilation child process completed within timeout period.
Compilation failed!
"""
TOO_NEW = """\
Edge TPU Compiler version 16.0.384591198
ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'. An older version of this builtin might be supported.

ERROR: Registration failed.

Invalid model: model.tflite
Model could not be parsed
"""


@dataclass
class StandIn:
    """A folder with a program called edgetpu_compiler that says and does what a test tells it."""

    folder: Path
    model: Path
    result: Path

    def does(self, *steps: str) -> None:
        """Write the program: step k is what its k-th run does, the last one also what follows; "$5" is where it writes to."""
        cases = "".join(f"{number}) {step} ;;\n" for number, step in enumerate(steps, 1))
        counter = self.folder / "runs"
        counter.unlink(missing_ok=True)
        text = f"""#!/bin/sh
echo "$@" >> {counter}
case $(wc -l < {counter}) in
{cases}*) {steps[-1]} ;;
esac
"""
        program = self.folder / "edgetpu_compiler"
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def says(self, text: str, table: str = "", code: int = 0, writes: bool = True) -> str:
        """Return a step that prints `text`, and writes the compiled file and its log into the folder after -o."""
        said, log = self.folder / f"{abs(hash(text))}.txt", self.folder / f"{abs(hash(table))}.log"
        said.write_text(text)
        log.write_text(table)
        copy = (
            f'while [ "$1" != -o ]; do shift; done; cp {self.result} "$2/model_edgetpu.tflite"; cp {log} "$2/model_edgetpu.log"; '
        )
        return f"{copy if writes else ''}cat {said}; exit {code}"

    @property
    def runs(self) -> list[list[str]]:
        """The arguments of each run."""
        return [line.split() for line in (self.folder / "runs").read_text().splitlines()]


@pytest.fixture
def stand_in(tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    def network(first: str, custom: str | None = None) -> bytes:
        model = tiny()
        x, a, b, y = (model.tensor(name, (1, 4), scale=0.1) for name in "xaby")
        weights = model.tensor("w", (4, 4), data=bytes(16), scale=0.1)
        model.op(first, [x] if custom else [x, weights, -1], [a], custom=custom)
        model.op("LEAKY_RELU", [a], [b])
        model.op("FULLY_CONNECTED", [b, weights, -1], [y])
        model.ports([x], [y])
        return bytes(model.build())

    programs = tmp_path / "programs"
    programs.mkdir()
    model, result = tmp_path / "-d model; touch x.tflite", programs / "compiled.tflite"
    model.write_bytes(network("FULLY_CONNECTED"))
    result.write_bytes(network("CUSTOM", COMPILED_OP))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return StandIn(programs, model, result)


def compiled(stand_in: StandIn, events: list[Event] | None = None, **limits: Any) -> Compilation:
    emit = [].append if events is None else events.append
    return compile_model(stand_in.model, to=stand_in.folder / "out", emit=emit, **limits)


def failed(stand_in: StandIn, **limits: Any) -> EdgepipeError:
    with pytest.raises(EdgepipeError) as caught:
        compiled(stand_in, **limits)
    assert not (stand_in.folder / "out").exists(), "nothing half-made is left"
    return caught.value


def test_without_the_compiler_one_is_told_how_to_get_it(kws: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra) as caught:
        compile_model(kws, to=tmp_path)
    assert "not on the PATH" in str(caught.value)
    assert "apt-get install edgetpu-compiler" in str(caught.value)
    assert "x86-64" in str(caught.value)


def test_shares_are_read_back_from_the_compiled_file(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(PARTIAL, TABLE))
    done = compiled(stand_in)

    assert (done.op_share, done.mac_share) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert (done.attempts, done.searched) == (1, False)
    assert done.path.read_bytes() == stand_in.result.read_bytes()
    assert done.path.name.endswith("touch x_edgetpu.tflite")
    assert "Compilation succeeded!" in done.path.with_suffix(".log").read_text()
    report = done.report
    assert (report.compiler, report.subgraphs, report.ops_on_tpu, report.ops_on_cpu) == ("16.0.384591198", 1, 1, 2)
    assert (report.on_chip_used_bytes, report.on_chip_remaining_bytes, report.off_chip_bytes) == (
        80 << 10,
        round(6.04 * (1 << 20)),
        0,
    )
    assert [(each.op, each.count, each.meaning) for each in report.statuses if not each.mapped] == [
        ("FULLY_CONNECTED", 1, "it stands behind one that was not mapped"),
        ("LEAKY_RELU", 1, "the Edge TPU does not have it"),
    ]


def test_it_is_run_without_a_shell_with_a_timeout_and_a_name_of_our_own(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(PARTIAL, TABLE))
    compiled(stand_in, timeout_s=77)

    ((show, timeout, seconds, out, folder, model),) = stand_in.runs
    assert (show, timeout, seconds, out) == ("-s", "-t", "77", "-o")
    assert model == f"{folder}/model.tflite"
    assert not (stand_in.model.parent / "x.tflite").exists()


def test_a_failure_that_passes_is_tried_once_more(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(INTERNAL, code=255, writes=False), stand_in.says(PARTIAL, TABLE))
    events: list[Event] = []
    done = compiled(stand_in, events)

    assert (done.attempts, done.searched) == (2, False)
    assert [event.text for event in events if isinstance(event, Note)] == [
        "edgetpu_compiler Internal compiler error. Aborting!; once more, which helps at times"
    ]


def test_then_the_largest_part_that_compiles_is_searched(stand_in: StandIn) -> None:
    fails = stand_in.says(TOO_LARGE, code=1, writes=False)
    stand_in.does(fails, fails, stand_in.says(PARTIAL, TABLE))
    done = compiled(stand_in)

    assert (done.attempts, done.searched) == (3, True)
    assert ["-d" in run for run in stand_in.runs] == [False, False, True]


def test_what_never_works_is_refused_with_the_compilers_own_reason(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(TOO_LARGE, code=1, writes=False))
    error = failed(stand_in)

    assert isinstance(error, ModelRejected)
    assert "large activation tensors" in error.what
    assert "3 attempts" in error.what


def test_a_file_that_the_compiler_cannot_read_is_not_tried_again(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(TOO_NEW, code=1, writes=False))
    error = failed(stand_in)

    assert isinstance(error, ModelRejected)
    assert "one attempt" in error.what
    assert "2021" in error.cause
    assert len(stand_in.runs) == 1


def test_success_without_a_file_is_a_failure(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(PARTIAL, writes=False))
    assert "wrote no file" in failed(stand_in).what


def test_one_that_is_killed_is_no_verdict_on_the_model(stand_in: StandIn) -> None:
    stand_in.does("kill -9 $$")
    error = failed(stand_in)
    assert isinstance(error, InfrastructureError)
    assert "SIGKILL" in error.what


def test_one_that_hangs_ends_with_all_that_it_started(stand_in: StandIn) -> None:
    pids = stand_in.folder / "pids"
    stand_in.does(f"sleep 300 & echo $! >> {pids}; wait")
    began = time.monotonic()
    error = failed(stand_in, timeout_s=1, grace_s=0.2, searches=1)

    assert isinstance(error, ModelRejected)
    assert "did not end in time (2 attempts)" in error.what, "the same command once more would hang once more"
    assert time.monotonic() - began < 60
    started = [int(line) for line in pids.read_text().split()]
    assert len(started) == 2
    for _ in range(100):
        if not any(alive(pid) for pid in started):
            return
        time.sleep(0.05)
    pytest.fail("a child of the compiler lives on")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_compiled_file_is_not_compiled_again(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(PARTIAL))
    with pytest.raises(UsageError, match="compiled already"):
        compile_model(stand_in.result, to=stand_in.folder)
    assert not (stand_in.folder / "runs").exists()


def test_a_compiler_that_contradicts_its_file_is_told_on(stand_in: StandIn) -> None:
    stand_in.does(stand_in.says(PARTIAL.replace("CPU: 2", "CPU: 0"), TABLE))
    events: list[Event] = []
    compiled(stand_in, events)
    assert any(isinstance(event, Note) and "its file holds 2" in event.text for event in events)


def test_older_reports_are_read_too() -> None:
    report = read_report(OLDER)
    assert (report.compiler, report.operations, report.ops_on_tpu, report.ops_on_cpu) == ("14.1.317412892", 141, 128, 13)
    assert (report.on_chip_remaining_bytes, report.off_chip_bytes) == (1792, round(6.63 * (1 << 20)))
    assert [each.meaning for each in report.statuses if each.op == "RESHAPE"] == [
        "more than its three innermost dimensions are used"
    ]


def test_what_is_not_said_is_not_zero() -> None:
    report = read_report("Edge TPU Compiler version 17\nall is well\n")
    assert (report.subgraphs, report.ops_on_tpu, report.ops_on_cpu, report.on_chip_used_bytes) == (None, None, None, None)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (INTERNAL, "Internal compiler error. Aborting!"),
        (TOO_LARGE, "Compilation failed due to large activation tensors in model."),
        (TOO_NEW, "Invalid model: model.tflite"),
        ("Compilation timeout. This is usually caused by large activations.\nCompilation failed!", "Compilation timeout."),
        ("", ""),
    ],
)
def test_the_line_that_says_why(output: str, reason: str) -> None:
    assert failure(output).startswith(reason)
    assert bool(failure(output)) == bool(reason)
