"""A microcontroller with edgepipe's firmware: models are sent into its memory over a serial line and run there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, median_low
from time import monotonic

from edgepipe.devices.agent.block import SETTLED, WINDOW, seeded_inputs
from edgepipe.devices.agent.runtimes.model import Port
from edgepipe.devices.boards.line_board import HELLO_S, LineBoard
from edgepipe.devices.boards.mcu_talk import Loaded, McuInfo, McuTalk, Step, Tensor, board_id_of
from edgepipe.devices.boards.mcu_work import Loops, work_on
from edgepipe.devices.protocols import BlockRequest, Prediction, RunOptions
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.devices.transports.serial_line import Line
from edgepipe.devices.transports.serial_upload import SerialUpload, Upload
from edgepipe.devices.work import Work, WorkRequest
from edgepipe.errors import DeviceUnreachable, InfrastructureError, UsageError
from edgepipe.records import Block, Capabilities, DeviceIdentity, RunOutcome, RuntimeIdentity, pack_samples_ns

SLOWEST_BYTES_PER_S = 500.0  # an upload that is slower than this, on a line that damages much, is given up
UPLOAD_S = 60.0
EXACT_WARMUP, EXACT_INVOCATIONS = 1, 3
NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class _Talking:
    """An open board."""

    link: FrameLink
    talk: McuTalk
    info: McuInfo


class McuBoard(LineBoard):
    """Holds a microcontroller from `open` to `close`; a block of an emulated one is exact: three runs of the same ticks."""

    _talking: _Talking | None = None
    _pushed: tuple[str, Upload] | None = None
    _loaded: Loaded | None = None

    def meet(self, line: Line) -> str:
        """Find the firmware on the line, and return its board's number and kind."""
        link = FrameLink(line, self._name)
        link.hello(deadline_s=HELLO_S)
        talk = McuTalk(link, self._name)
        self._talking = _Talking(link=link, talk=talk, info=talk.info())
        return self.identify().serial

    def part(self) -> None:
        """Forget it."""
        self._talking = self._loaded = None

    def identify(self) -> DeviceIdentity:
        """Return what the firmware says of its board."""
        info = self._open().info
        board = info.words("board")
        return DeviceIdentity(
            name=self._name,
            board="mcu",
            serial=board_id_of(info.words("serial"), board),
            arch="arm" if info.words("cpu").startswith("cortex") else info.words("cpu"),
            cpu=info.words("cpu"),
            os=f"edgepipe firmware {info.words('build')} on {board}",
            emulated=self._emulated or info.count("emulated") != 0,
            tick_hz=self.clock_hz,
        )

    def capabilities(self) -> Capabilities:
        """Return what the firmware says that it has room for and can run."""
        info = self._open().info
        return Capabilities(
            ops=dict(info.operators),
            flash_bytes=int(info.values.get("slot_bytes", "0")) or None,
            model_bytes=info.count("model_bytes"),
            arena_bytes=info.count("arena_bytes"),
            open_shapes=False,
            engine=info.words("engine"),
        )

    def runtime(self, options: RunOptions) -> RuntimeIdentity:
        """Return the engine in the firmware: there is one, whatever is asked for."""
        info = self._open().info
        return RuntimeIdentity(name=info.words("engine"), version=info.words("build"), delegate="none", threads=1)

    def push(self, model: Path, sha256: str) -> None:
        """Send the model into the board's memory. Raises ModelRejected where it does not fit or the engine refuses it."""
        self._take(model, sha256, model.stem)
        self._load(sha256)

    def measure(self, sha256: str, request: BlockRequest) -> Block:
        """Start the board anew, unless it has just started, and time the model; the times are the board's own ticks."""
        if request.index:
            self._require(sha256)
            self._restart()
        loaded = self._load(sha256)
        inputs = _inputs(loaded.inputs, request.seed)
        first = self._run(inputs, request.options)
        outputs = self._outputs(loaded)
        if self._emulated:
            ticks, warmup, settled = [self._run(inputs, request.options) for _ in range(EXACT_INVOCATIONS)], EXACT_WARMUP, True
        else:
            ticks, warmup, settled = self._timed(inputs, request)
        exact = not self._emulated or len(set(ticks)) == 1
        samples = [self._ns(count) for count in ticks]
        packed, stride = pack_samples_ns(samples)
        return Block(
            index=request.index,
            outcome=RunOutcome.OK if exact else RunOutcome.INVALID,
            reason="" if exact else f"the same run took different ticks: {', '.join(map(str, ticks))}",
            first_ns=self._ns(first),
            warmup_invocations=warmup,
            warmup_settled=settled,
            invocations=len(samples),
            stride=stride,
            samples_ns_zlib=packed,
            median_ns=float(median(samples)),
            ticks=median_low(ticks),
            step_ticks=tuple(step.ticks for step in self.steps()),
            model_memory_bytes=loaded.arena_bytes,
            output_sha256=hashlib.sha256(b"".join(outputs)).hexdigest(),
            artefact_sha256=sha256,
        )

    def predict(self, sha256: str, samples: Iterator[Sequence[bytes]], options: RunOptions) -> Iterator[Prediction]:
        """Run the model on each sample."""
        loaded = self._load(sha256)
        for sample in samples:
            self._run(sample, options)
            yield Prediction(outputs=self._outputs(loaded))

    def work(self, sha256: str, request: WorkRequest) -> Work:
        """Run long loops; a port raises its marker around each. Raises UsageError for a GPIO line, which is a Linux board's."""
        if request.marker_gpio is not None:
            raise UsageError(f"{self._name}: marker_gpio is a line of a Linux board; a microcontroller's port has its own")
        loops = Loops(talk=self._open().talk, inputs=_inputs(self._load(sha256).inputs, request.seed))
        return work_on(loops, request, marked=not self._emulated, check=self.check_wanted)

    def steps(self) -> Sequence[Step]:
        """Return each operator's ticks in the last run of the loaded model."""
        if self._loaded is None:
            raise InfrastructureError(f"{self._name} has no model loaded")
        return self._open().talk.steps(self._loaded.steps)

    @property
    def clock_hz(self) -> int:
        """Of its ticks."""
        return self._open().info.count("clock_hz")

    def _open(self) -> _Talking:
        if self._talking is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        return self._talking

    def _require(self, sha256: str) -> Upload:
        self._open()
        if self._pushed is None or self._pushed[0] != sha256:
            raise InfrastructureError(f"{self._name} has no model {sha256:.12}")
        return self._pushed[1]

    def _take(self, model: Path, sha256: str, name: str) -> None:
        """Read the model that is to be sent as `name`."""
        content = model.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise InfrastructureError(f"{model} is another file than {sha256:.12}", cause="it was changed meanwhile")
        self._pushed = (sha256, Upload(content=content, name=name))

    def _load(self, sha256: str) -> Loaded:
        """Bring what the board does not have of the model, and have its engine take it."""
        self._send(sha256)
        self._loaded = self._open().talk.load()
        return self._loaded

    def _send(self, sha256: str) -> int:
        """Bring what the board does not have of the model, and return the bytes that it had not."""
        upload, board = self._require(sha256), self._open()
        limits = board.talk.limits(board.info, self._transport.baud)
        sent = SerialUpload(board.link, upload, limits).run(deadline_s=UPLOAD_S + len(upload.content) / SLOWEST_BYTES_PER_S)
        return len(upload.content) - sent.began_at

    def _restart(self) -> None:
        """Start the board anew."""
        self._open().talk.reset()
        self._open().link.hello(deadline_s=HELLO_S)

    def _run(self, inputs: Sequence[bytes], options: RunOptions) -> int:
        """Write every input and run once; returns ticks."""
        talk = self._open().talk
        for index, data in enumerate(inputs):
            talk.write(index, data)
        return talk.invoke(deadline_s=options.deadline_s)

    def _outputs(self, loaded: Loaded) -> tuple[bytes, ...]:
        talk = self._open().talk
        return tuple(talk.read(index, tensor.size_bytes) for index, tensor in enumerate(loaded.outputs))

    def _timed(self, inputs: Sequence[bytes], request: BlockRequest) -> tuple[list[int], int, bool]:
        """Return the ticks of the timed runs, the number of warm-up runs, and whether those had settled (METHODS §1).

        The seconds are this machine's: with a model of a microsecond, one of the board's own would be a million requests.
        """
        began, warm, settled = monotonic(), list[int](), False
        while len(warm) < request.warmup_min or not (settled or monotonic() - began > request.warmup_max_s):
            warm.append(self._run(inputs, request.options))
            settled = len(warm) >= 2 * WINDOW and _is_settled(warm)
        began, ticks = monotonic(), list[int]()
        while len(ticks) < request.min_invocations or monotonic() - began < request.min_s:
            ticks.append(self._run(inputs, request.options))
        return ticks, len(warm), settled

    def _ns(self, ticks: int) -> int:
        return round(ticks * NS / self.clock_hz)


def _is_settled(ticks: Sequence[int]) -> bool:
    last, earlier = median(ticks[-WINDOW:]), median(ticks[-2 * WINDOW : -WINDOW])
    return abs(last - earlier) < SETTLED * earlier


def _inputs(tensors: Sequence[Tensor], seed: int) -> tuple[bytes, ...]:
    """Return the same inputs as on every other board."""
    from numpy import dtype

    ports: list[Port] = [((tensor.size_bytes // dtype(tensor.dtype).itemsize,), tensor.dtype) for tensor in tensors]
    return tuple(array.tobytes() for array in seeded_inputs(ports, seed))
