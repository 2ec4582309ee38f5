"""What is said to a microcontroller: one method for each thing that the firmware can do, with its answer as a value."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from edgepipe.devices.transports.frame_link import Answer, Ask, FrameLink, Status
from edgepipe.devices.transports.serial_upload import LineLimits
from edgepipe.errors import InfrastructureError, ModelRejected

ASK_S = 15.0
LOADED, TENSOR, TICKS, STEP = struct.Struct("<IHHI"), struct.Struct("<BIfi"), struct.Struct("<Q"), struct.Struct("<BI")
REFUSAL, PLACE, PART = struct.Struct("<BiiiI"), struct.Struct("<BI"), struct.Struct("<BIH")
DTYPES = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8"}  # TensorType in the .tflite schema


def board_id_of(serial: str, board: str) -> str:
    """Return what tells a board from all others, as records and the inventory have it: its number, and what kind of board it is."""
    return f"{serial}-{board}"


@dataclass(frozen=True, kw_only=True)
class McuInfo:
    """What a board says of itself; `operators` are names with the last version that its engine knows."""

    values: dict[str, str]
    operators: dict[str, int]

    def count(self, key: str) -> int:
        """Return a number. Raises InfrastructureError where the board does not tell it."""
        try:
            return int(self.values[key])
        except (KeyError, ValueError) as exc:
            raise InfrastructureError(f'the board does not say its "{key}"', cause="a firmware of another version") from exc

    def words(self, key: str) -> str:
        """Return a word, "unknown" where the board does not tell it."""
        return self.values.get(key, "unknown")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or an output of the loaded model."""

    dtype: str
    size_bytes: int
    scale: float
    zero_point: int


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model that the engine has taken."""

    arena_bytes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    steps: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operator of the loaded model, by its number in the .tflite schema, and its ticks in the last run."""

    builtin: int
    ticks: int


class McuTalk:
    """The requests of devices/firmware/core/requests.h, each waited for until `ASK_S` or the deadline that is given."""

    def __init__(self, link: FrameLink, device: str) -> None:
        self._link, self._device = link, device
        self._room = 512

    def info(self) -> McuInfo:
        """Ask who the board is and what it can do."""
        text = b""
        while piece := self._ask(Ask.INFO, struct.pack("<I", len(text))).payload:
            text += piece
        lines = [line.split(" ") for line in text.decode("ascii", "replace").splitlines()]
        info = McuInfo(
            values={words[0]: " ".join(words[1:]) for words in lines if words[0] != "operator"},
            operators={words[2]: int(words[4]) for words in lines if words[0] == "operator" and len(words) == 5},
        )
        self._room = info.count("payload_bytes") - PLACE.size
        return info

    def limits(self, info: McuInfo, baud: int) -> LineLimits:
        """Return what an upload may put on the line."""
        return LineLimits(window_bytes=info.count("window_bytes"), payload_bytes=info.count("payload_bytes"), baud=baud)

    def load(self, *, kept: bool = False, deadline_s: float = ASK_S) -> Loaded:
        """Have the engine take the pushed model, or the one kept in flash. Raises ModelRejected with operator and reason."""
        answer = self._ask(Ask.LOAD, bytes((1,)) if kept else b"", deadline_s=deadline_s, refusals=(Status.REFUSED,))
        if answer.status is Status.REFUSED:
            raise self._refused(answer.payload)
        arena_bytes, inputs, outputs, steps = LOADED.unpack_from(answer.payload)
        return Loaded(
            arena_bytes=arena_bytes,
            inputs=tuple(self._tensor(0, index) for index in range(inputs)),
            outputs=tuple(self._tensor(1, index) for index in range(outputs)),
            steps=steps,
        )

    def write(self, index: int, data: bytes) -> None:
        """Write a whole input."""
        for start in range(0, max(1, len(data)), self._room):
            self._ask(Ask.WRITE, PLACE.pack(index, start) + data[start : start + self._room])

    def invoke(self, count: int = 1, *, deadline_s: float) -> int:
        """Run the model `count` times on the same inputs, in one measured window, and return the ticks of all of them."""
        often = struct.pack("<I", count) if count > 1 else b""
        return int(TICKS.unpack_from(self._ask(Ask.INVOKE, often, deadline_s=deadline_s).payload)[0])

    def read(self, index: int, size_bytes: int) -> bytes:
        """Read a whole output."""
        parts = [
            self._ask(Ask.READ, PART.pack(index, start, min(self._room, size_bytes - start))).payload
            for start in range(0, size_bytes, self._room)
        ]
        return b"".join(parts)

    def steps(self, count: int) -> Sequence[Step]:
        """Return the ticks of each operator in the last run."""
        steps: list[Step] = []
        while len(steps) < count:
            payload = self._ask(Ask.STEPS, struct.pack("<I", len(steps))).payload
            if not payload:
                raise InfrastructureError(f"{self._device} tells {len(steps)} of {count} operators")
            steps += [Step(builtin=builtin, ticks=ticks) for builtin, ticks in STEP.iter_unpack(payload)]
        return steps

    def round_trip_s(self) -> float:
        """Return how long the board takes to answer what gives it nothing to do: a piece from behind the end of INFO."""
        began_s = monotonic()
        self._ask(Ask.INFO, struct.pack("<I", 0xFFFF_FFFF))
        return monotonic() - began_s

    def reset(self) -> None:
        """Have the board start anew; what it keeps of its memory stays."""
        self._ask(Ask.RESET)

    def _tensor(self, is_output: int, index: int) -> Tensor:
        kind, size_bytes, scale, zero_point = TENSOR.unpack_from(self._ask(Ask.TENSOR, bytes((is_output, index))).payload)
        return Tensor(dtype=DTYPES.get(kind, f"type {kind}"), size_bytes=size_bytes, scale=scale, zero_point=zero_point)

    def _ask(self, kind: Ask, payload: bytes = b"", *, deadline_s: float = ASK_S, refusals: Sequence[Status] = ()) -> Answer:
        answer = self._link.ask(kind, payload, deadline_s=deadline_s)
        if answer.status is not Status.OK and answer.status not in refusals:
            words = answer.status.name.lower().replace("_", " ")
            raise InfrastructureError(f"{self._device} answers {kind.name} with: {words}", cause="it was reset meanwhile")
        return answer

    def _refused(self, payload: bytes) -> ModelRejected:
        _, operator, builtin, version, needed_bytes = REFUSAL.unpack_from(payload)
        reason = payload[REFUSAL.size :].decode("ascii", "replace")
        place = f"operator {operator} (builtin {builtin}, version {version}): " if operator >= 0 else ""
        needed = f"; at least {needed_bytes:,} bytes of arena" if needed_bytes else ""
        return ModelRejected(f"{self._device} cannot run the model: {place}{reason}{needed}")
