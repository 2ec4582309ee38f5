"""The firmware's engine as a shared library on this machine: built with gcc or clang, driven through engine.h."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SOURCES = Path(__file__).resolve().parents[2] / "devices" / "firmware" / "engine"
STRICT = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-ffp-contract=off")
TYPES = {0: np.dtype("<f4"), 2: np.dtype("<i4"), 9: np.dtype("i1")}


def compiler(name: str = "gcc") -> str | None:
    """Return where the compiler is, None where there is none."""
    return shutil.which(name)


def build(folder: Path, *, cc: str = "gcc", flags: Sequence[str] = STRICT) -> Path:
    """Return the engine as a shared library in `folder`. Raises CalledProcessError with the compiler's words."""
    library = folder / "engine.so"
    command = [cc, *flags, "-fPIC", "-shared", *map(str, sorted(SOURCES.glob("*.c"))), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return library


class _Clock(ctypes.Structure):
    _fields_ = (("now", ctypes.c_void_p), ("port", ctypes.c_void_p))


class _Error(ctypes.Structure):
    _fields_ = (
        ("status", ctypes.c_int),
        ("operator_index", ctypes.c_int32),
        ("builtin", ctypes.c_int32),
        ("version", ctypes.c_int32),
        ("needed_bytes", ctypes.c_uint32),
        ("reason", ctypes.c_char_p),
    )


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_uint32),
        ("type", ctypes.c_uint8),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
    )


class _Operator(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("builtin", ctypes.c_uint8),
        ("first_version", ctypes.c_uint8),
        ("last_version", ctypes.c_uint8),
    )


@dataclass(frozen=True, kw_only=True)
class Refusal(Exception):
    """Why the engine did not take a model; `status` is engine_status of engine.h."""

    status: int
    operator_index: int
    builtin: int
    version: int
    needed_bytes: int
    reason: str


class HostEngine:
    """The library, loaded once; `load` gives a model that is ready to run."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))
        self.library.engine_load.restype = ctypes.c_void_p
        self.library.engine_load.argtypes = [
            ctypes.c_void_p,
            ctypes.c_uint32,
            ctypes.c_void_p,
            ctypes.c_uint32,
            _Clock,
            ctypes.POINTER(_Error),
        ]
        for name, restype in (
            ("input_count", ctypes.c_uint32),
            ("output_count", ctypes.c_uint32),
            ("step_count", ctypes.c_uint32),
            ("arena_used", ctypes.c_uint32),
            ("invoke", None),
        ):
            function = getattr(self.library, f"engine_{name}")
            function.restype, function.argtypes = restype, [ctypes.c_void_p]
        for name, restype in (
            ("input", _Tensor),
            ("output", _Tensor),
            ("step_ticks", ctypes.c_uint32),
            ("step_operator", ctypes.POINTER(_Operator)),
        ):
            function = getattr(self.library, f"engine_{name}")
            function.restype, function.argtypes = restype, [ctypes.c_void_p, ctypes.c_uint32]
        self.library.engine_operator_at.restype = ctypes.POINTER(_Operator)
        self.library.engine_operator_at.argtypes = [ctypes.c_uint32]

    def operators(self) -> dict[str, tuple[int, int, int]]:
        """Return builtin number, first and last version of each operator by name."""
        found: dict[str, tuple[int, int, int]] = {}
        while entry := self.library.engine_operator_at(len(found)):
            one = entry.contents
            found[one.name.decode()] = (one.builtin, one.first_version, one.last_version)
        return found

    def load(self, model: bytes, arena_bytes: int = 1 << 20, *, ticks: bool = False) -> Loaded:
        """Return the model, loaded. Raises Refusal."""
        return Loaded(self.library, model, arena_bytes, ticks)


class Loaded:
    """A model in an arena of its own; bytes around the arena tell of writes outside of it."""

    GUARD = b"\xa5" * 64

    def __init__(self, library: ctypes.CDLL, model: bytes, arena_bytes: int, ticks: bool) -> None:
        self._library = library
        self._model = _aligned(len(model))
        self._model[:] = np.frombuffer(model, np.uint8)
        self._whole = _aligned(arena_bytes + 2 * len(self.GUARD))
        self._whole[:] = self.GUARD[0]
        self._ticks = 0

        @ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
        def now(_port: int | None) -> int:
            self._ticks += 7
            return self._ticks

        self._now = now
        clock = _Clock(ctypes.cast(now, ctypes.c_void_p) if ticks else None, None)
        error = _Error()
        arena = self._whole.ctypes.data + len(self.GUARD)
        self._engine = library.engine_load(self._model.ctypes.data, len(model), arena, arena_bytes, clock, ctypes.byref(error))
        self.check(model)
        if not self._engine:
            words = {name: getattr(error, name) for name, _ in _Error._fields_}
            raise Refusal(**{**words, "reason": words["reason"].decode()})

    def check(self, model: bytes) -> None:
        """Raise AssertionError where the model or the bytes around the arena have changed."""
        assert self._model.tobytes() == model, "the engine wrote to the model"
        assert self._whole[: len(self.GUARD)].tobytes() == self.GUARD, "the engine wrote before its arena"
        assert self._whole[-len(self.GUARD) :].tobytes() == self.GUARD, "the engine wrote behind its arena"

    @property
    def arena_used(self) -> int:
        """Return the bytes of the arena that are in use."""
        return int(self._library.engine_arena_used(self._engine))

    @property
    def inputs(self) -> list[npt.NDArray[np.generic]]:
        """Return the inputs' own memory, flat."""
        count = self._library.engine_input_count(self._engine)
        return [_view(self._library.engine_input(self._engine, index)) for index in range(count)]

    @property
    def outputs(self) -> list[npt.NDArray[np.generic]]:
        """Return the outputs' own memory, flat."""
        count = self._library.engine_output_count(self._engine)
        return [_view(self._library.engine_output(self._engine, index)) for index in range(count)]

    @property
    def steps(self) -> list[tuple[str, int]]:
        """Return each operator's name with its ticks in the last run."""
        count = self._library.engine_step_count(self._engine)
        names = [self._library.engine_step_operator(self._engine, index).contents.name.decode() for index in range(count)]
        return [(name, self._library.engine_step_ticks(self._engine, index)) for index, name in enumerate(names)]

    def answer(self, inputs: Sequence[npt.NDArray[np.generic]]) -> list[bytes]:
        """Run once and return the outputs' bytes."""
        for place, array in zip(self.inputs, inputs, strict=True):
            place[:] = array.reshape(-1)
        self._library.engine_invoke(self._engine)
        return [output.tobytes() for output in self.outputs]


def _aligned(size: int, to: int = 16) -> npt.NDArray[np.uint8]:
    room = np.zeros(size + to, np.uint8)
    start = -room.ctypes.data % to
    return room[start : start + size]


def _view(tensor: _Tensor) -> npt.NDArray[np.generic]:
    memory = (ctypes.c_uint8 * tensor.bytes).from_address(tensor.data)
    return np.frombuffer(memory, TYPES[tensor.type])
