"""The text protocol of MLPerf Tiny, from the host's side: commands that end with "%", lines as answers, then "m-ready".

Source: github.com/mlcommons/tiny, benchmark/api, and real conversations with boards. Nothing in it is covered by a checksum: what
was loaded is read back, and what is told is asked for twice; of a time, which cannot be, `Laps` has what this machine saw of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from edgepipe.devices.firmware_build import ENERGY_BAUD
from edgepipe.devices.transports.serial_line import Line
from edgepipe.errors import DeviceUnreachable, InfrastructureError

Answer = TypeVar("Answer")
READY = "m-ready"
MESSAGE = re.compile(r"m-.*|e-\[.*\]")
LAP = re.compile(r"m-lap-us-(\d{1,10})")
BYTES_A_LINE = 31  # 62 digits: with "db " and "%" within the 80 characters that a board keeps
ASK_S, AGAIN_S, QUIET_S, LONGEST_NOISE_S = 3.0, 0.5, 0.2, 10.0
SLOWEST_BYTES_PER_S = 250.0  # of samples, as digits at 9600 baud and back again
ANSWER_BYTES_MAX = 1 << 20
TRIES = 5
ENERGY_TODO = f"a board in energy mode answers at {ENERGY_BAUD}."
STAMP_WRAP = 1 << 32  # time stamps are 32-bit microseconds: 71.6 minutes


class _NoAnswer(DeviceUnreachable):
    """Nothing came by the deadline, though the line is there."""


class Refused(InfrastructureError):
    """The board answered with an error of its own."""

    def __init__(self, device: str, command: str, words: str) -> None:
        super().__init__(
            f"{device} answers {command[:40]!r} with: {words[:200]}",
            cause="its firmware takes something else, or the line damaged it",
            todo="Try again; a line that damages often has a bad cable, or a baud rate slightly off.",
        )
        self.words = words


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a board says of its firmware, and of the model in it."""

    firmware: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Laps:
    """Runs between two time stamps of the board, `stamps_us`; here they took `seen_s`, with `warmup` runs before them.

    They ran from `start_s` to `end_s` of this machine's clock, where there was no warm-up, either of which may be wrong by half of
    `slack_s`. In energy mode there are no stamps, and the duration is what lies between the two.
    """

    runs: int
    warmup: int
    duration_us: int
    seen_s: float
    start_s: float
    end_s: float
    slack_s: float
    stamps_us: tuple[int, int] | None
    scores: tuple[float, ...]


class MlperfTalk:
    """One conversation; `device` is what messages call the board."""

    def __init__(self, line: Line, device: str, clock: Callable[[], float] = monotonic) -> None:
        self._line, self._device, self._clock = line, device, clock
        self._rest = b""
        self._heard = 0
        self.in_energy_mode = False

    def hello(self, *, deadline_s: float, baud: int | None = None) -> str:
        """Find the board, whatever it says while it starts, and return the name that it gives itself.

        Raises DeviceUnreachable, which tells the line's `baud`.
        """
        end = self._clock() + deadline_s
        while (left_s := end - self._clock()) > 0 and self._heard < ANSWER_BYTES_MAX:
            try:
                self._name(min(AGAIN_S, left_s))
            except _NoAnswer:
                continue
            except InfrastructureError as exc:
                if isinstance(exc, DeviceUnreachable):
                    raise  # the line itself is gone
                continue
            self._settle()  # answers to what was asked again in vain
            return self._surely(self._name)
        raise DeviceUnreachable(
            f"{self._device} does not speak MLPerf Tiny's text protocol" + ("" if baud is None else f" at {baud} baud"),
            cause=self._likely_cause(),
            todo="Check the board, and `baud`: " + ("115200 is usual." if baud == ENERGY_BAUD else ENERGY_TODO),
        )

    def profile(self) -> Profile:
        """Ask for the firmware and the model in it."""
        said = self._surely(lambda: tuple(self._said("profile")))
        return Profile(firmware=_bracketed(said, "m-profile-"), model=_bracketed(said, "m-model-"))

    def find_mode(self) -> None:
        """Learn whether its time stamps are lines, or in energy mode edges of a pin, in which case `timestamp` says nothing.

        A board that does not know the command is taken to tell its times, which shows when it runs.
        """
        self.in_energy_mode = not self._surely(self._stamps)

    def _stamps(self) -> bool:
        try:
            return any(LAP.match(message) for message in self._said("timestamp"))
        except Refused:
            return True

    def load(self, data: bytes) -> None:
        """Load the input and have the board print it back. Raises InfrastructureError where it arrives damaged every time."""
        problem: InfrastructureError | None = None
        for _ in range(TRIES):
            try:
                self._load_once(data)
                if self._printed(len(data)) == data:
                    return
            except InfrastructureError as exc:
                problem = exc
            self._settle()
        if isinstance(problem, DeviceUnreachable):
            raise problem
        raise InfrastructureError(
            f"an input of {len(data):,} bytes arrived damaged at {self._device} {TRIES} times",
            cause=problem.what if problem else "the line damages bytes: a bad cable, or a baud rate slightly off",
        ) from problem

    def infer(self, runs: int, warmup: int, *, deadline_s: float) -> Laps:
        """Run the model on what was loaded, `warmup` times and then `runs` times between two time stamps.

        Raises InfrastructureError where what is told of it is not complete, or not of this command.
        """
        began = self._clock()
        seen = self._seen(f"infer {runs} {warmup}", deadline_s=deadline_s)
        laps = [(int(found[1]), at) for message, at in seen if (found := LAP.fullmatch(message))]
        started = [at for message, at in seen if message == f"m-infer-start-{runs}"]
        ended = [at for message, at in seen if message == "m-infer-done"]
        if not laps and ended and not self.in_energy_mode:
            raise InfrastructureError(
                f"{self._device} tells no times",
                cause="it is in energy mode, where they are edges on a pin",
                todo="Switch it off and on, and measure again.",
            )
        if len(started) != 1 or len(ended) != 1 or len(laps) != (0 if self.in_energy_mode else 2):
            raise InfrastructureError(
                f"what {self._device} tells of {runs} runs is not complete", cause="the line damaged it, or the board started anew"
            )
        # What came last before the runs and first after them.
        before_s, after_s = (laps[0][1], laps[1][1]) if laps else (started[0], ended[0])
        # The board began after the command was sent, and before its line was here; to come back takes a line no longer than that.
        slack_s = min(before_s - began, (after_s - began) / 2)
        start_s, end_s = began + slack_s / 2, after_s - slack_s / 2
        return Laps(
            runs=runs,
            warmup=warmup,
            duration_us=(laps[1][0] - laps[0][0]) % STAMP_WRAP if laps else round(1e6 * (end_s - start_s)),
            seen_s=ended[0] - began,
            start_s=start_s,
            end_s=end_s,
            slack_s=slack_s,
            stamps_us=(laps[0][0], laps[1][0]) if laps else None,
            scores=self.scores(),
        )

    def scores(self) -> tuple[float, ...]:
        """Return what the last run answered, as the board tells it twice alike. Raises InfrastructureError."""
        return self._surely(lambda: _numbers(_bracketed(self._said("results"), "m-results-")))

    def _surely(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until two answers, one after the other, are the same."""
        last: Answer | None = None
        problem: InfrastructureError | None = None
        for _ in range(TRIES):
            try:
                answer = ask()
            except InfrastructureError as exc:  # most often of a command that was damaged on the way
                problem = exc
                self._settle()
                continue
            if answer == last:
                return answer
            last = answer
        raise problem or InfrastructureError(
            f"{self._device} answers the same question differently", cause="the line damages bytes"
        )

    def _name(self, deadline_s: float = ASK_S) -> str:
        return _bracketed(self._said("name", deadline_s=deadline_s), "m-name-dut-")

    def _load_once(self, data: bytes) -> None:
        expected = f"m-[Expecting {len(data)} bytes]"
        if expected not in self._said(f"db load {len(data)}"):
            raise InfrastructureError(f"{self._device} expects another number of bytes than was announced")
        said: list[str] = []
        for start in range(0, len(data), BYTES_A_LINE):
            said = self._said(f"db {data[start : start + BYTES_A_LINE].hex()}")
        if "m-load-done" not in said:
            raise InfrastructureError(f"{self._device} has not all bytes of the input")

    def _printed(self, count: int) -> bytes | None:
        """Return the bytes that the board has of an input, None where what it prints is damaged."""
        said = self._said("db print", deadline_s=ASK_S + count / SLOWEST_BYTES_PER_S)
        digits = "".join(message.removeprefix("m-buffer-").replace("-", "") for message in said if message.startswith("m-buffer-"))
        try:
            return bytes.fromhex(digits)
        except ValueError:
            return None

    def _said(self, command: str, *, deadline_s: float = ASK_S) -> list[str]:
        """Send a command and return the messages of its answer. Raises Refused, DeviceUnreachable."""
        return [message for message, _ in self._seen(command, deadline_s=deadline_s)]

    def _seen(self, command: str, *, deadline_s: float) -> list[tuple[str, float]]:
        """Send a command and return the messages of its answer, each with the time at which it was whole."""
        end, seen = self._clock() + deadline_s, list[tuple[str, float]]()
        self._line.write(f"{command}%".encode(), deadline_s=ASK_S)
        for line, at in self._lines(command, end):
            if line == READY:
                break
            if MESSAGE.fullmatch(line):  # other lines are passed over
                seen.append((line, at))
        else:
            raise _NoAnswer(f"{self._device} did not answer {command[:40]!r} for {deadline_s:g} s")
        for message, _ in seen:
            if message.startswith("e-["):
                raise Refused(self._device, command, message)
        return seen

    def _lines(self, command: str, end: float) -> Iterator[tuple[str, float]]:
        """Yield each line that comes by `end`, and when it did."""
        rest, heard = b"", 0
        while (now := self._clock()) < end:
            data = self._line.read(deadline_s=end - now)
            heard += len(data)
            self._heard += len(data)
            if heard > ANSWER_BYTES_MAX:
                raise InfrastructureError(
                    f"{self._device} goes on and on after {command[:40]!r}", cause="another program on the board"
                )
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode("ascii", "replace").strip("\r\0 "), self._clock()

    def _settle(self) -> None:
        """Wait until nothing more comes."""
        end = self._clock() + LONGEST_NOISE_S
        while self._line.read(deadline_s=QUIET_S) and self._clock() < end:
            pass

    def _likely_cause(self) -> str:
        if not self._heard:
            return "nothing at all came from it: no power, another line, another baud rate, or no firmware on it"
        return "it sends, but nothing of this protocol: most often another baud rate, or another program on the board"


def _bracketed(said: Sequence[str], start: str) -> str:
    """Return what stands in the brackets after `start`. Raises InfrastructureError where no message has it."""
    for message in said:
        if message.startswith(f"{start}[") and message.endswith("]"):
            return message[len(start) + 1 : -1]
    raise InfrastructureError(f"an answer without {start}[...]", cause="the line damaged it, or the board speaks something else")


def _numbers(words: str) -> tuple[float, ...]:
    """Return scores, which come with or without a comma after the last."""
    try:
        numbers = tuple(float(word) for word in words.removesuffix(",").split(","))
    except ValueError as exc:
        raise InfrastructureError(f"scores that are no numbers: {words[:60]!r}", cause="the line damaged them") from exc
    if not all(map(math.isfinite, numbers)):
        raise InfrastructureError(f"scores that are no finite numbers: {words[:60]!r}", cause="the model, or the line")
    return numbers
