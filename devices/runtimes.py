"""Which runtime a Linux board gets: a table of what was found to exist as wheels, and the one rule that reads it.

Found with `pip download` in November 2026. A row fits the boards with one of its architectures, a Python from `python[0]` to
`python[1]` and at least its glibc; the first that fits is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class RuntimeRow:
    """What a kind of board can have. `runtime` is the agent's name for it; with `system_numpy` numpy is Debian's, not a wheel."""

    archs: tuple[str, ...]
    python: tuple[Version, Version]
    glibc: Version
    runtime: str
    requirements: tuple[str, ...]
    system_numpy: bool = False


@dataclass(frozen=True, kw_only=True)
class RuntimePlan:
    """What to fetch for one board: requirements for pip, the tags of wheels that run there, newest first, and its Python.

    `debian`: packages that the board's Debian lacks, to be unpacked beside the wheels.
    """

    runtime: str
    requirements: tuple[str, ...]
    platforms: tuple[str, ...]
    python: Version
    system_numpy: bool = False
    debian: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a board can have no runtime, and what would help."""

    reason: str
    todo: str


WIDE = ("aarch64", "x86_64")
TABLE = (
    RuntimeRow(archs=WIDE, python=((3, 10), (3, 14)), glibc=(2, 27), runtime="litert", requirements=("ai-edge-litert>=2.1",)),
    RuntimeRow(archs=WIDE, python=((3, 9), (3, 9)), glibc=(2, 27), runtime="litert", requirements=("ai-edge-litert>=2.1,<2.2",)),
    RuntimeRow(archs=WIDE, python=((3, 9), (3, 11)), glibc=(2, 17), runtime="litert", requirements=("ai-edge-litert>=1.4,<1.5",)),
    RuntimeRow(
        archs=WIDE, python=((3, 8), (3, 8)), glibc=(2, 17), runtime="tflite", requirements=("tflite-runtime>=2.13,<2.15", "numpy<2")
    ),
    RuntimeRow(  # the Coral Dev Board's own system
        archs=("aarch64",),
        python=((3, 7), (3, 7)),
        glibc=(2, 17),
        runtime="tflite",
        requirements=("tflite-runtime==2.11.0", "numpy==1.21.6"),
    ),
    RuntimeRow(
        archs=("armv7l",),
        python=((3, 9), (3, 11)),
        glibc=(2, 34),
        runtime="tflite",
        requirements=("tflite-runtime==2.14.0",),
        system_numpy=True,
    ),
    RuntimeRow(
        archs=("armv7l",),
        python=((3, 8), (3, 9)),
        glibc=(2, 17),
        runtime="tflite",
        requirements=("tflite-runtime==2.13.0",),
        system_numpy=True,
    ),
)


def choose_runtime(arch: str, python: Version, glibc: Version | None) -> RuntimePlan | Refusal:
    """Return what to install on a board of this architecture (that of its programs, not of its kernel), or why nothing can be."""
    if glibc is None:
        return Refusal(
            reason="its C library is not glibc (Alpine's is musl), and no runtime has wheels for another",
            todo="Install Debian, Raspberry Pi OS or Ubuntu on it.",
        )
    rows = [row for row in TABLE if arch in row.archs]
    if not rows:
        known = ", ".join(sorted({name for row in TABLE for name in row.archs}))
        return Refusal(reason=f"there is no runtime for {arch}: wheels exist for {known}", todo=_other_system(arch))
    fitting = [row for row in rows if row.python[0] <= python <= row.python[1]]
    if not fitting:
        return _wrong_python(arch, python, rows)
    row = next((row for row in fitting if glibc >= row.glibc), None)
    if row is None:
        least = min(row.glibc for row in fitting)
        return Refusal(
            reason=f"glibc {_dotted(glibc)} is too old: for Python {_dotted(python)} on {arch} it takes {_dotted(least)}",
            todo="Install a newer release of its system.",
        )
    return RuntimePlan(
        runtime=row.runtime,
        requirements=row.requirements,
        platforms=platform_tags(arch, glibc),
        python=python,
        system_numpy=row.system_numpy,
    )


def platform_tags(arch: str, glibc: Version) -> tuple[str, ...]:
    """Return the tags of the wheels that run there, newest first (PEP 600; manylinux2014 is glibc 2.17)."""
    newest = glibc[1] if glibc[0] == 2 else 17
    return (*(f"manylinux_2_{minor}_{arch}" for minor in range(newest, 16, -1)), f"manylinux2014_{arch}")


def program_arch(machine: str, bits: int) -> str:
    """Return the architecture of a board's programs: 32-bit systems run on 64-bit kernels too, as older Raspberry Pi OS does."""
    return {"aarch64": "armv7l", "x86_64": "i686"}.get(machine, machine) if bits == 32 else machine


def version_of(text: str) -> Version:
    """Return the first two numbers of a version such as 3.11.2. Raises ValueError where there are none."""
    major, minor, *_ = text.split(".")
    return int(major), int(minor)


def _wrong_python(arch: str, python: Version, rows: list[RuntimeRow]) -> Refusal:
    oldest, newest = min(row.python[0] for row in rows), max(row.python[1] for row in rows)
    where = f"wheels for {arch} exist for Python {_dotted(oldest)} to {_dotted(newest)}, and it has {_dotted(python)}"
    if arch == "armv7l" and python > newest:
        return Refusal(
            reason=f"there is no runtime for 32-bit ARM with Python {_dotted(python)}: tflite-runtime ended at Python 3.11, "
            "ai-edge-litert is for 64 bits only",
            todo="Install the 64-bit system where the processor is one (Pi 3 and later), else Debian 12, whose Python is 3.11.",
        )
    return Refusal(reason=where, todo="Install a system with one of these, or name another Python on the board.")


def _other_system(arch: str) -> str:
    if arch == "armv6l":
        return "A Pi Zero or Pi 1 is too old; a Pi Zero 2, Pi 3 or later takes the 64-bit system."
    if arch == "i686":
        return "Install the 64-bit system."
    return "Use a board with one of these."


def _dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
