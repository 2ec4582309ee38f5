"""A microcontroller that exists in memory only: it answers the firmware's frames with known figures, and fails as it is told.

It says that it is emulated and that its engine is fake, so that no figure of it is ever taken for a measured one. Every model takes
`sample_bytes` and answers with the same bytes backwards. devices/firmware/core/requests.h says what is asked and answered.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from edgepipe.devices.transports.fake import Fault
from edgepipe.devices.transports.frame_link import ANSWERED, Ask, Status
from edgepipe.devices.transports.frames import PAYLOAD_BYTES_MAX, Decoder, Frame, Text, encode
from edgepipe.devices.transports.serial_line import Line
from edgepipe.devices.transports.serial_upload import OFFSET, ORDER
from edgepipe.errors import DeviceBusy, DeviceUnreachable

MODEL_BYTES = ARENA_BYTES = 1 << 20
LAST_VERSION = 9
ROOM = PAYLOAD_BYTES_MAX - 1
INT8, CONV_2D, SOFTMAX = 9, 3, 25  # TensorType and BuiltinOperator of the .tflite schema
# What the firmware's own engine has, so that the same models pass the same checks.
OPERATORS = (
    "CONV_2D:3 DEPTHWISE_CONV_2D:4 FULLY_CONNECTED:9 AVERAGE_POOL_2D:1 MAX_POOL_2D:17 ADD:0 SUB:41 MUL:18 MEAN:40 "
    "SOFTMAX:25 LOGISTIC:14 TANH:28 RELU:19 RELU6:21 LEAKY_RELU:98 HARD_SWISH:117 RESHAPE:22 SQUEEZE:43 EXPAND_DIMS:70 "
    "PAD:34 PADV2:60 CONCATENATION:2 SPLIT:49 SLICE:65 STRIDED_SLICE:45 TRANSPOSE:39 RESIZE_NEAREST_NEIGHBOR:97 "
    "QUANTIZE:114 DEQUANTIZE:6 MAXIMUM:55 MINIMUM:57 BATCH_MATMUL:126 "
)
BANNER = b"m-timestamp-mode-performance\r\nm-lap-us-0\r\nm-init-done\r\nm-ready\r\n"
NOISE = b"\x1b[0m login: \0\1\7\7\r\n"
Answer = tuple[Status, bytes]


@dataclass(kw_only=True)
class FakeMcu:
    """The board itself: what its memory keeps while hosts come and go. A run takes `latency_us`, and as many ticks."""

    name: str = "fake"
    latency_us: float = 1000.0
    sample_bytes: int = 4
    faults: tuple[Fault, ...] = ()
    order: bytes = b""
    content: bytearray = field(default_factory=bytearray)
    holder: object = None

    @property
    def total_bytes(self) -> int:
        """How long the announced model is."""
        return int(ORDER.unpack_from(self.order)[1]) if self.order else 0

    def info(self) -> bytes:
        """Return what it says of itself."""
        pairs = {
            "protocol": 1,
            "board": "fake",
            "cpu": "none",
            "serial": f"fake-{self.name}",
            "build": "0",
            "engine": "fake",
            "emulated": 1,
            "clock_hz": 1_000_000,
            "window_bytes": 4096,
            "payload_bytes": PAYLOAD_BYTES_MAX,
            "model_bytes": MODEL_BYTES,
            "arena_bytes": ARENA_BYTES,
        }
        operators = [
            f"operator {number} {name} 1 {LAST_VERSION}\n"
            for name, _, number in (word.partition(":") for word in OPERATORS.split())
        ]
        return "".join([f"{key} {value}\n" for key, value in pairs.items()] + operators).encode()


class FakeMcuTransport:
    """Reaches a `FakeMcu`, one host at a time."""

    baud = 115_200

    def __init__(self, board: FakeMcu) -> None:
        self.key, self._board = f"fake {board.name}", board
        self._line: FakeMcuLine | None = None

    def open(self, *, deadline_s: float) -> Line:
        """Connect."""
        self.close()
        if Fault.DEAD in self._board.faults:
            raise DeviceUnreachable(f"{self._board.name} does not answer")
        if self._board.holder is not None or Fault.BUSY in self._board.faults:
            raise DeviceBusy(f"{self._board.name} is held by another process")
        self._board.holder, self._line = self, FakeMcuLine(self._board)
        return self._line

    def close(self) -> None:
        """Disconnect."""
        line, self._line = self._line, None
        if line is not None:
            line.close()
            self._board.holder = None


class FakeMcuLine:
    """The firmware from one reset to the next, at the other end of a line that needs no time."""

    def __init__(self, board: FakeMcu) -> None:
        self._board, self._decoder, self._is_open = board, Decoder(), True
        self._out, self._text = bytearray(BANNER), bytearray()
        self._answers: dict[int, Callable[[bytes], Answer]] = {
            Ask.HELLO: lambda asked: (Status.OK, b""),
            Ask.INFO: lambda asked: (Status.OK, board.info()[OFFSET.unpack(asked)[0] :][:ROOM]),
            Ask.BEGIN: self._begin,
            Ask.DATA: self._data,
            Ask.COMMIT: lambda asked: self._checked(),
            Ask.LOAD: self._load,
            Ask.TENSOR: lambda asked: (Status.OK, struct.pack("<BIfi", INT8, board.sample_bytes, 1.0, 0)),
            Ask.WRITE: self._write,
            Ask.READ: self._read,
            Ask.STEPS: self._steps,
            Ask.FORGET: self._forget,
            Ask.RESET: lambda asked: (Status.OK, b""),
        }
        self._start()

    def read(self, *, deadline_s: float) -> bytes:
        """Return what was answered; what never comes is an end, without the wait."""
        self._check_open()
        data = bytes(self._out)
        self._out.clear()
        if not data and self._is_stuck:
            raise DeviceUnreachable(f"{self._board.name} said nothing for {deadline_s:g} s")
        return data

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Take requests and answer them."""
        self._check_open()
        for event in self._decoder.feed(data):
            if isinstance(event, Frame):
                self._answer(event)
            elif isinstance(event, Text):
                self._say(event.content)

    def close(self) -> None:
        """Let go of it."""
        self._is_open = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise DeviceUnreachable(f"the line to {self._board.name} is closed")

    def _start(self) -> None:
        self._is_loaded, self._is_stuck = False, False
        self._input, self._output = bytearray(self._board.sample_bytes), b""
        self._runs, self._invoked = 0, (-1, b"")

    def _say(self, text: bytes) -> None:
        """Answer text commands: as much of MLPerf Tiny's protocol as says who is there."""
        *commands, rest = (bytes(self._text) + text).split(b"%")
        self._text[:] = rest[-80:]
        for command in commands:
            model = self._board.order[ORDER.size :].decode("ascii", "replace") or "none"
            known = {b"name": "m-name-dut-[fake]", b"profile": f"m-profile-[fake]\r\nm-model-[{model}]"}
            words = known.get(command.strip(), f"e-[Unknown command: {command.decode('ascii', 'replace')}]")
            self._out += f"{words}\r\nm-ready\r\n".encode()

    def _answer(self, frame: Frame) -> None:
        if frame.kind == Ask.INVOKE:
            status, payload = self._invoke(frame.sequence)
            if self._is_stuck:
                return
        elif frame.kind in self._answers:
            status, payload = self._answers[frame.kind](frame.payload)
        else:
            status, payload = Status.NO_FLASH if frame.kind >= Ask.SLOTS else Status.UNKNOWN_REQUEST, b""
        if Fault.GARBAGE in self._board.faults:
            self._out += NOISE
        self._out += encode(Frame(kind=frame.kind | ANSWERED, sequence=frame.sequence, payload=bytes((status,)) + payload))
        if frame.kind == Ask.RESET:
            self._out += BANNER
            self._start()

    def _begin(self, asked: bytes) -> Answer:
        board, self._is_loaded = self._board, False
        if ORDER.unpack_from(asked)[1] > MODEL_BYTES:
            return Status.TOO_LARGE, OFFSET.pack(0)
        if asked[: ORDER.size] != board.order[: ORDER.size]:
            board.content.clear()
        board.order = asked
        return self._at(Status.OK)

    def _data(self, asked: bytes) -> Answer:
        board, piece, self._is_loaded = self._board, asked[OFFSET.size :], False
        if not board.order:
            return self._at(Status.NO_UPLOAD)
        if OFFSET.unpack_from(asked)[0] == len(board.content) and len(board.content) + len(piece) <= board.total_bytes:
            board.content += piece
        return self._at(Status.OK)

    def _checked(self) -> Answer:
        board = self._board
        if not board.order:
            return self._at(Status.NO_UPLOAD)
        if len(board.content) < board.total_bytes:
            return self._at(Status.INCOMPLETE)
        if Fault.WRONG_HASH in board.faults or hashlib.sha256(board.content).digest() != board.order[:32]:
            board.content.clear()
            return self._at(Status.DIFFERENT)
        return self._at(Status.OK)

    def _at(self, status: Status) -> Answer:
        return status, OFFSET.pack(len(self._board.content))

    def _load(self, asked: bytes) -> Answer:
        status, place = self._checked()
        if status is not Status.OK:
            return status, place
        if Fault.CRASH in self._board.faults:
            return Status.REFUSED, struct.pack("<BiiiI", 1, -1, -1, -1, 0) + b"it crashes whatever runs it"
        self._is_loaded = True
        return Status.OK, struct.pack("<IHHI", 2 * self._board.sample_bytes, 1, 1, 2)

    def _write(self, asked: bytes) -> Answer:
        index, start = struct.unpack_from("<BI", asked)
        piece = asked[5:]
        if index or start + len(piece) > len(self._input):
            return Status.BAD_REQUEST, b""
        self._input[start : start + len(piece)] = piece
        return Status.OK, b""

    def _invoke(self, sequence: int) -> Answer:
        """Run once; the repetition of a request is answered as it was. Faults of a second block occur in the second run."""
        board = self._board
        if not self._is_loaded:
            return Status.NO_MODEL, b""
        if sequence != self._invoked[0]:
            self._runs += 1
            again = self._runs > 1
            if again and Fault.DIES in board.faults:
                self.close()
            self._is_stuck = Fault.SLOW in board.faults
            self._output = bytes(self._input)[::-1]
            if again and Fault.WRONG_OUTPUT in board.faults:
                self._output = bytes(byte ^ 1 for byte in self._output)
            slower = self._runs if Fault.THROTTLED in board.faults else 0
            self._invoked = sequence, struct.pack("<Q", round(board.latency_us) + slower)
        return Status.OK, self._invoked[1]

    def _read(self, asked: bytes) -> Answer:
        index, start, count = struct.unpack("<BIH", asked)
        if index or start + count > len(self._output):
            return Status.BAD_REQUEST, b""
        return Status.OK, self._output[start : start + count]

    def _steps(self, asked: bytes) -> Answer:
        ticks = round(self._board.latency_us)
        steps = ((CONV_2D, ticks - ticks // 4), (SOFTMAX, ticks // 4))
        return Status.OK, b"".join(struct.pack("<BI", *step) for step in steps[OFFSET.unpack(asked)[0] :])

    def _forget(self, asked: bytes) -> Answer:
        self._board.order, self._is_loaded = b"", False
        self._board.content.clear()
        return Status.OK, b""
