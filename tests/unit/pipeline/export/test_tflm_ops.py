"""The table of operators against the TFLite Micro interpreter itself, and against the compiler."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edgepipe.pipeline.export.tflm_ops import TFLM_CUSTOM_OPS, TFLM_OPS, resolver_method
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.graph import builtin_ops

needs_tflm = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'"
)

# Loads the files named on the command line, announcing each on stderr, where TFLite Micro says what it does not find.
LOAD = """
import sys
from tflite_micro.python.tflite_micro import runtime
for path in sys.argv[1:]:
    print("model", path, file=sys.stderr, flush=True)
    try:
        runtime.Interpreter.from_bytes(open(path, "rb").read(), arena_size=65536)
    except RuntimeError:
        pass
"""


def unknown_to_tflm(paths: list[Path]) -> set[str]:
    """Return the stems of the files whose operator TFLite Micro does not find. Some of these hollow models kill the child."""
    unknown: set[str] = set()
    waiting = [str(path) for path in paths]
    while waiting:
        child = subprocess.run([sys.executable, "-c", LOAD, *waiting], capture_output=True, text=True, check=False)
        begun = 0
        for line in child.stderr.splitlines():
            if line.startswith("model "):
                begun += 1
                current = Path(line.removeprefix("model ")).stem
            elif "Failed to get registration" in line:
                unknown.add(current)
        assert begun, child.stderr
        waiting = waiting[begun:]
    return unknown


@needs_tflm
def test_the_table_is_exactly_what_the_interpreter_resolves(tiny: Any, tmp_path: Path) -> None:
    names = [name for name in builtin_ops().values() if name != "CUSTOM"]
    for name in names:
        model = tiny()
        x, y = (model.tensor(port, (1, 4), scale=0.1) for port in "xy")
        model.op(name, [x], [y])
        model.ports([x], [y])
        (tmp_path / f"{name}.tflite").write_bytes(model.build())

    unknown = unknown_to_tflm([tmp_path / f"{name}.tflite" for name in names])

    assert set(names) - unknown == set(TFLM_OPS)


@needs_tflm
def test_the_custom_operators_are_known_to_the_interpreter(tiny: Any, tmp_path: Path) -> None:
    for name in (*TFLM_CUSTOM_OPS, "NobodyHasThis"):
        model = tiny()
        x, y = (model.tensor(port, (1, 4), scale=0.1) for port in "xy")
        model.op("CUSTOM", [x], [y], custom=name)
        model.ports([x], [y])
        (tmp_path / f"{name}.tflite").write_bytes(model.build())

    unknown = unknown_to_tflm([tmp_path / f"{name}.tflite" for name in (*TFLM_CUSTOM_OPS, "NobodyHasThis")])

    assert "NobodyHasThis" in unknown
    # The wheel is built without the signal library's filter banks and without hardware that is not there.
    assert "TFLite_Detection_PostProcess" not in unknown
    assert "SignalRfft" not in unknown


@pytest.mark.parametrize(
    ("op", "method"),
    [
        ("CUMSUM", "AddCumSum"),
        ("PADV2", "AddPadV2"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "AddUnidirectionalSequenceLSTM"),
        ("BATCH_MATMUL", "AddBatchMatMul"),
        ("L2_POOL_2D", "AddL2Pool2D"),
        ("BATCH_TO_SPACE_ND", "AddBatchToSpaceNd"),
        ("TFLite_Detection_PostProcess", "AddDetectionPostprocess"),
        ("GELU", None),
    ],
)
def test_methods_that_follow_no_rule(op: str, method: str | None) -> None:
    assert resolver_method(op) == method


def test_no_two_operators_share_a_method() -> None:
    methods = [*TFLM_OPS.values(), *TFLM_CUSTOM_OPS.values()]

    assert len(set(methods)) == len(methods)


def test_the_real_networks_use_only_operators_of_the_table(kws: Path, ad01: Path) -> None:
    for path in (kws, ad01):
        assert {op.op for op in read_facts(path.read_bytes()).ops} <= set(TFLM_OPS)
