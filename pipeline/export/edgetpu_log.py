"""What `edgetpu_compiler` says, as values: its report on standard output and the operator table, of compilers 14 to 16.

There is no machine-readable form. The lines are those of published runs, for example in the issues of
https://github.com/google-coral/edgetpu; what is not found stays None and is never taken for 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COMPILED_OP = "edgetpu-custom-op"  # stands in a compiled file for everything that goes to the Edge TPU
MAPPED = "Mapped to Edge TPU"
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
ROW = re.compile(r"^([A-Z][A-Z0-9_]*)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE)
FAILURES = (
    re.compile(r"^(Internal compiler error\..*)$", re.MULTILINE),
    re.compile(r"^(Compilation timeout\..*)$", re.MULTILINE),
    re.compile(r"^Compilation failed: (.+)$", re.MULTILINE),
    re.compile(r"^(Invalid model: .+)$", re.MULTILINE),
    re.compile(r"^ERROR: (.+)$", re.MULTILINE),
    re.compile(r"^(Compilation failed!)", re.MULTILINE),
)
MEANINGS = {
    MAPPED: "",
    "More than one subgraph is not supported": "it stands behind one that was not mapped",
    "Operation not supported": "the Edge TPU does not have it",
    "Operation version not supported": "the converter's version of it is newer than the compiler",
    "Operation is working on an unsupported data type": "it does not compute in int8 or uint8",
    "Tensor has unsupported rank (up to 3 innermost dimensions mapped)": "more than its three innermost dimensions are used",
    "Operation is otherwise supported, but not mapped due to some unspecified limitation": "it does not say why; often the size",
}


@dataclass(frozen=True, kw_only=True)
class OpStatus:
    """Operators of one kind with one fate, as the compiler words it."""

    op: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        """Whether they run on the Edge TPU."""
        return self.status == MAPPED

    @property
    def meaning(self) -> str:
        """The fate in plain words; the compiler's own where there are none."""
        return MEANINGS.get(self.status, self.status)


@dataclass(frozen=True, kw_only=True)
class CompilerReport:
    """What one run of the compiler said; None for what it did not say. Sizes are as printed, to two decimals of their unit."""

    compiler: str | None
    statuses: tuple[OpStatus, ...]
    subgraphs: int | None
    operations: int | None
    ops_on_tpu: int | None
    ops_on_cpu: int | None
    on_chip_used_bytes: int | None
    on_chip_remaining_bytes: int | None
    off_chip_bytes: int | None


def read_report(output: str, table: str = "") -> CompilerReport:
    """Return what the compiler printed, and its operator table: that of the `_edgetpu.log` beside the model, else of the output.

    The totals of operators come from their own lines, which a complete mapping lacks, else from the table.
    """
    statuses = tuple(OpStatus(op=name, count=int(count), status=status) for name, count, status in ROW.findall(table or output))
    on_tpu = _number(r"Number of operations that will run on Edge TPU", output)
    on_cpu = _number(r"Number of operations that will run on CPU", output)
    if statuses:
        on_tpu = sum(each.count for each in statuses if each.mapped) if on_tpu is None else on_tpu
        on_cpu = sum(each.count for each in statuses if not each.mapped) if on_cpu is None else on_cpu
    version = re.search(r"^Edge TPU Compiler version (\S+)", output, re.MULTILINE)
    return CompilerReport(
        compiler=version[1] if version else None,
        statuses=statuses,
        subgraphs=_number("Number of Edge TPU subgraphs", output),
        operations=_number("Total number of operations", output),
        ops_on_tpu=on_tpu,
        ops_on_cpu=on_cpu,
        on_chip_used_bytes=_bytes("On-chip memory used for caching model parameters", output),
        on_chip_remaining_bytes=_bytes("On-chip memory remaining for caching model parameters", output),
        off_chip_bytes=_bytes("Off-chip memory used for streaming uncached model parameters", output),
    )


def failure(output: str) -> str:
    """Return the line that says best why a compilation failed, "" where none does."""
    return next((found[1].strip() for pattern in FAILURES if (found := pattern.search(output))), "")


def _number(label: str, output: str) -> int | None:
    found = re.search(rf"^{label}:\s*(\d+)", output, re.MULTILINE)
    return int(found[1]) if found else None


def _bytes(label: str, output: str) -> int | None:
    found = re.search(rf"^{label}:\s*([\d.]+)\s*(B|[KMG]iB)\s*$", output, re.MULTILINE)
    return round(float(found[1]) * UNITS[found[2]]) if found else None
