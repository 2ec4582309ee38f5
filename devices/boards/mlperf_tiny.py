"""A board that speaks MLPerf Tiny's text protocol, whoever's firmware it runs: what is flashed there is measured as it is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from edgepipe.devices.agent.block import SETTLED, seeded_inputs
from edgepipe.devices.boards.line_board import HELLO_S, LineBoard
from edgepipe.devices.boards.mcu_work import work_on
from edgepipe.devices.boards.mlperf_talk import Laps, MlperfTalk, Profile, Refused
from edgepipe.devices.boards.mlperf_work import Infers
from edgepipe.devices.protocols import BlockRequest, Prediction, RunOptions
from edgepipe.devices.transports.serial_line import Line
from edgepipe.devices.work import Work, WorkRequest
from edgepipe.errors import DeviceUnreachable, InfrastructureError, UsageError
from edgepipe.records import Block, Capabilities, DeviceIdentity, RunOutcome, RuntimeIdentity, pack_samples_ns

WINDOWS = 5
LONGEST_WINDOW_US = 1_800_000_000  # well below the 71.6 minutes after which time stamps begin anew
HIDDEN, LONGEST_HIDING_S = 100, 10.0  # times what is not known of when a window began and ended, and how long for that at most
GROWTH = 10
APART_S, APART_SHARE = 0.25, 0.05  # by which the board's clock and this machine's may differ over a window
# What the benchmark's models take, as its firmware is sent it: mlcommons/tiny, benchmark/evaluation/datasets.
INPUTS = {"kws01": (490, "int8"), "vww01": (27_648, "int8"), "ic01": (3_072, "int8"), "ad01": (640, "float32")}
TAKES = "e-[The input takes "  # of edgepipe's firmware: "... N bytes]"
NO_MODEL = "none"  # what edgepipe's firmware says in the place of a model's name


class MlperfTinyBoard(LineBoard):
    """Holds a board from `open` to `close`. It cannot be sent a model, nor started anew: a block is five windows of `infer`."""

    _talking: tuple[MlperfTalk, str, Profile] | None = None
    _pushed: str | None = None

    def meet(self, line: Line) -> str:
        """Find the board on the line, and return what it calls itself."""
        talk = MlperfTalk(line, self._name)
        called = talk.hello(deadline_s=HELLO_S, baud=self._transport.baud)
        self._talking = talk, called, talk.profile()
        talk.find_mode()
        return called

    def part(self) -> None:
        """Forget it."""
        self._talking = None

    def identify(self) -> DeviceIdentity:
        """Return what is known of the board: the protocol tells a vendor, and nothing that is this one board's own."""
        _, called, profile = self._open()
        return DeviceIdentity(
            name=self._name,
            board="mlperf-tiny",
            serial=f"{called} on {self._transport.key}",
            arch="unknown",
            cpu="unknown",
            os=profile.firmware,
            emulated=self._emulated,
        )

    def capabilities(self) -> Capabilities:
        """Return no limits: what is flashed there fitted."""
        return Capabilities(open_shapes=False)

    def runtime(self, options: RunOptions) -> RuntimeIdentity:
        """Return the firmware: there is one, whatever is asked for."""
        talk, called, profile = self._open()
        mode = " in energy mode" if talk.in_energy_mode else ""
        return RuntimeIdentity(name="mlperf-tiny", version=f"{called} {profile.firmware}{mode}", delegate="none", threads=1)

    def push(self, model: Path, sha256: str) -> None:
        """See that the board says that it has this model. Raises InfrastructureError where it has another: nothing can be sent."""
        if hashlib.sha256(model.read_bytes()).hexdigest() != sha256:
            raise InfrastructureError(f"{model} is another file than {sha256:.12}", cause="it was changed meanwhile")
        _, _, profile = self._open()
        if profile.model == NO_MODEL:
            raise InfrastructureError(
                f"{self._name} has no model in its firmware, and MLPerf Tiny's protocol cannot send one",
                cause="none was brought there yet",
                todo=f"Take `protocol` out of its entry for as long as `edgepipe deploy {model.name} --device {self._name}` takes.",
            )
        if profile.model.casefold() != model.stem.casefold():
            raise InfrastructureError(
                f'{self._name} has the model "{profile.model}" in its firmware, not "{model.stem}"',
                cause="MLPerf Tiny's protocol cannot send a model: a board measures the one that it was flashed with",
                todo=f"Flash a firmware with {model.stem} in it; if it has this file under its own name, call the file "
                f"{profile.model}.tflite.",
            )
        self._pushed = sha256

    def measure(self, sha256: str, request: BlockRequest) -> Block:
        """Time the model in windows of many runs each; a sample is the mean of one, as finely as the board tells the time.

        In energy mode it tells none, and how long a window took is known by when the board's lines came.
        """
        talk = self._require(sha256)
        deadline_s = request.options.deadline_s
        first = self._first(talk, request.seed, deadline_s)
        run_us, window_s = self._pace(first, request)
        runs = math.ceil(max(request.min_invocations / WINDOWS, window_s * 1e6 / run_us))
        runs = max(1, min(runs, int(LONGEST_WINDOW_US // run_us)))
        windows = []
        for number in range(WINDOWS):
            warmup = 0 if number or talk.in_energy_mode else request.warmup_min  # in energy mode it was warmed up on the way here
            took_s = (runs + warmup) * run_us / 1e6
            windows.append(self._infer(runs, warmup, deadline_s=deadline_s + 2 * took_s))
        return self._block(sha256, request, first, windows)

    def work(self, sha256: str, request: WorkRequest) -> Work:
        """Run long loops, each one `infer`; in energy mode the marker falls as each begins and ends.

        Raises UsageError for a GPIO line, which is a Linux board's.
        """
        if request.marker_gpio is not None:
            raise UsageError(f"{self._name}: marker_gpio is a line of a Linux board; a microcontroller's firmware has its own")
        talk = self._require(sha256)
        infers = Infers(infer=self._infer, first=self._first(talk, request.seed, request.options.deadline_s))
        marked = talk.in_energy_mode and not self._emulated
        return replace(work_on(infers, request, marked=marked, check=self.check_wanted), falling=True)

    def predict(self, sha256: str, samples: Iterator[Sequence[bytes]], options: RunOptions) -> Iterator[Prediction]:
        """Run the model on each sample; an answer is the scores that the board tells, as float32, whatever the model gives."""
        from numpy import asarray

        talk = self._require(sha256)
        for sample in samples:
            if len(sample) != 1:
                raise InfrastructureError(f"{self._name} takes models with one input, not {len(sample)}: so does the protocol")
            talk.load(sample[0])
            scores = talk.infer(1, 0, deadline_s=options.deadline_s).scores
            yield Prediction(outputs=(asarray(scores, "<f4").tobytes(),))

    def _open(self) -> tuple[MlperfTalk, str, Profile]:
        if self._talking is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        return self._talking

    def _require(self, sha256: str) -> MlperfTalk:
        talk, _, _ = self._open()
        if self._pushed != sha256:
            raise InfrastructureError(f"{self._name} has no model {sha256:.12}")
        return talk

    def _infer(self, runs: int, warmup: int, *, deadline_s: float) -> Laps:
        """Have the board run on what it has loaded, and hold what it says against this machine's clock."""
        talk, _, _ = self._open()
        return self._checked(talk.infer(runs, warmup, deadline_s=deadline_s))

    def _pace(self, first: Laps, request: BlockRequest) -> tuple[float, float]:
        """Return the microseconds of a run, and the seconds that a window needs.

        In energy mode it takes long windows to hide what the lines of an answer take, and many runs to tell how long one takes.
        """
        if first.stamps_us is not None:
            return max(1, first.duration_us), request.min_s
        runs = max(1, request.warmup_min)
        while True:
            laps = self._infer(runs, 0, deadline_s=request.options.deadline_s)
            needed_s = max(request.min_s, min(HIDDEN * laps.slack_s, LONGEST_HIDING_S))
            if laps.duration_us >= 1e6 * needed_s / GROWTH:
                return laps.duration_us / runs, needed_s
            runs *= GROWTH

    def _first(self, talk: MlperfTalk, seed: int, deadline_s: float) -> Laps:
        """Load the same input as on every other board, of the size that the model takes, and run once."""
        _, _, profile = self._open()
        known = INPUTS.get(profile.model.casefold())
        elements, dtype = known or (1, "int8")
        talk.load(_seeded(elements, dtype, seed))
        try:
            first = self._infer(1, 0, deadline_s=deadline_s)
        except Refused as exc:
            count = exc.words.removeprefix(TAKES).partition(" ")[0]
            if not exc.words.startswith(TAKES) or not count.isdigit():
                raise
            talk.load(_seeded(int(count), "int8", seed))
            return self._infer(1, 0, deadline_s=deadline_s)
        if known is None:
            raise InfrastructureError(
                f'{self._name} does not say what its model "{profile.model}" takes',
                cause=f"it is none of the benchmark's: {', '.join(INPUTS)}",
                todo="Flash edgepipe's firmware: it takes any model.",
            )
        return first

    def _checked(self, laps: Laps) -> Laps:
        """Hold the time that the board tells, which cannot be asked for again, against this machine's for the whole command.

        When the two stamps came says nothing: a line may keep both back and bring them together.
        """
        told_s = laps.duration_us / 1e6 * (laps.runs + laps.warmup) / laps.runs
        if laps.stamps_us is not None and not self._emulated and abs(told_s - laps.seen_s) > APART_S + APART_SHARE * laps.seen_s:
            raise InfrastructureError(
                f"{self._name} says that its runs took {told_s:g} s, but they took {laps.seen_s:.2f} s here",
                cause="the line damaged a digit, or the board's clock is not the one that its firmware takes it for",
            )
        return laps

    def _block(self, sha256: str, request: BlockRequest, first: Laps, windows: Sequence[Laps]) -> Block:
        runs = windows[0].runs
        means_ns = [round(1000 * window.duration_us / runs) for window in windows]
        packed, _ = pack_samples_ns(means_ns)
        alike = len({window.scores for window in (first, *windows)}) == 1
        later_ns = median(means_ns[1:])
        return Block(
            index=request.index,
            outcome=RunOutcome.OK if alike else RunOutcome.INVALID,
            reason="" if alike else "the same input was scored differently",
            first_ns=None if first.stamps_us is None else 1000 * first.duration_us,
            warmup_invocations=request.warmup_min,
            warmup_settled=abs(means_ns[0] - later_ns) <= SETTLED * later_ns,
            invocations=runs * len(windows),
            stride=runs,
            samples_ns_zlib=packed,
            median_ns=float(median(means_ns)),
            resolution_ns=_step_ns(windows) / runs,
            output_sha256=hashlib.sha256(repr(first.scores).encode()).hexdigest(),
            artefact_sha256=sha256,
        )


def _step_ns(windows: Sequence[Laps]) -> float:
    """Return how finely the lengths of windows are known: to a step of the board's clock, or to what its lines may take."""
    stamps = [stamp for window in windows for stamp in window.stamps_us or ()]
    return 1000 * (math.gcd(*stamps) or 1) if stamps else 1e9 * max(window.slack_s for window in windows)


def _seeded(elements: int, dtype: str, seed: int) -> bytes:
    (array,) = seeded_inputs([((elements,), dtype)], seed)
    return bytes(array.tobytes())
