"""The host's side of MLPerf Tiny's text protocol: real conversations, strange ones, and damaged ones that never become a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from time import monotonic

import pytest

from edgepipe.devices.boards.mlperf_talk import MlperfTalk, Profile, Refused
from edgepipe.errors import DeviceUnreachable, InfrastructureError

TRANSCRIPT = Path(__file__).resolve().parents[3] / "shared" / "data" / "serial" / "reference_L4R5ZI_v05_kws_performance.log"
WINDOW = ["m-warmup-start-1", "m-warmup-done", "m-infer-start-9", "m-lap-us-100", "m-lap-us-1000", "m-infer-done", "m-results-[1]"]
USUAL = {"name": ["m-name-dut-[unit]"], "infer 9 1": WINDOW, "results": ["m-results-[0.125,0.875]"]}


class Scripted:
    """A line to a board that answers each command with its lines; what it says unasked is `banner`."""

    def __init__(self, answers: Mapping[str, list[str]], *, banner: bytes = b"") -> None:
        self.answers, self.asked = dict(answers), list[str]()
        self.out = banner

    def read(self, *, deadline_s: float) -> bytes:
        data, self.out = self.out, b""
        return data

    def write(self, data: bytes, *, deadline_s: float) -> None:
        for command in data.decode().split("%")[:-1]:
            self.asked.append(command)
            lines = self.answers.get(command, [f"e-[Unknown command: {command}]"])
            self.out += "".join(f"{line}\r\n" for line in [*lines, "m-ready"]).encode("latin-1")

    def close(self) -> None:
        pass


class Replayed:
    """A line to a board that answers as a real one did, each line at its second: `now`."""

    def __init__(self, answers: Mapping[str, list[tuple[float, str]]]) -> None:
        (self.now, _), *_ = next(iter(answers.values()))
        self._answers, self._due = answers, list[tuple[float, str]]()

    def read(self, *, deadline_s: float) -> bytes:
        self.now, words = self._due.pop(0)
        return f"{words}\r\n".encode()

    def write(self, data: bytes, *, deadline_s: float) -> None:
        self._due = list(self._answers[data.decode().removesuffix("%")])

    def close(self) -> None:
        pass


def replies(command: str) -> list[list[tuple[float, str]]]:
    """What a real STM32L4R5ZI answered to each such command of its runner, with the seconds."""
    if not TRANSCRIPT.is_file():
        pytest.skip(f"the real transcripts are not at {TRANSCRIPT.parent}")
    said = [(float(at), who, words) for at, who, words in re.findall(r"(\d+\.\d+) (\w+): (.*)", TRANSCRIPT.read_text())]
    starts = [number for number, (_, _, words) in enumerate(said) if words == f'Command "dut {command}"']
    told = [[(at, words) for at, who, words in said[start:] if who == "dut"] for start in starts]
    return [[*takewhile(lambda line: line[1] != "m-ready", each), (each[-1][0], "m-ready")] for each in told]


def test_a_real_boards_windows_are_timed_to_the_microsecond() -> None:
    windows = replies("infer 100 1")
    assert len(windows) == 5
    for window in windows:
        words = [line for _, line in window]
        first, last = (int(line.rpartition("-")[2]) for line in words if line.startswith("m-lap-us-"))
        (results,) = (line for line in words if line.startswith("m-results-"))
        line = Replayed({"infer 100 1": window, "results": [(window[-1][0], results), window[-1]]})
        laps = MlperfTalk(line, "l4r5", lambda line=line: line.now).infer(100, 1, deadline_s=1000)  # type: ignore[misc]
        assert laps.duration_us == last - first
        assert laps.seen_s == pytest.approx(laps.duration_us / 1e6 * 101 / 100, abs=0.01)  # with the warm-up
        assert len(laps.scores) == 12
        assert sum(laps.scores) == pytest.approx(1, abs=0.01)
    line = Replayed({"profile": replies("profile")[0]})
    assert MlperfTalk(line, "l4r5", lambda: 0.0).profile() == Profile(firmware="ULPMark for tinyML Firmware V0.0.1", model="kws01")


def laps_of(first: int, last: int) -> int:
    window = [*WINDOW[:3], f"m-lap-us-{first}", f"m-lap-us-{last}", *WINDOW[5:]]
    return MlperfTalk(Scripted({**USUAL, "infer 9 1": window}), "m4").infer(9, 1, deadline_s=5).duration_us


def test_a_time_stamp_wraps_after_71_minutes() -> None:
    assert laps_of(100, 1000) == 900
    assert laps_of(2**32 - 6, 5) == 11


@pytest.mark.parametrize("results", ["m-results-[0.125,0.875]", "m-results-[0.125,0.875,]"])
def test_scores_come_with_a_comma_after_the_last_or_without(results: str) -> None:
    assert MlperfTalk(Scripted({"results": [results]}), "m4").scores() == (0.125, 0.875)


@pytest.mark.parametrize("results", ["m-results-[0.1,x]", "m-results-[]", "m-results-[nan]", "m-results-[0.1", "m-lap-us-5"])
def test_scores_that_are_none_are_an_error(results: str) -> None:
    with pytest.raises(InfrastructureError):
        MlperfTalk(Scripted({"results": [results]}), "m4").scores()


def test_strange_lines_are_passed_over() -> None:
    strange = ["", "booting...", "\x1b[0m", "ready", "n-lap-us-77", "[WARN] 3 V low"]
    window = [word for line in WINDOW for word in (*strange, line)]
    line = Scripted({**USUAL, "infer 9 1": window})
    assert MlperfTalk(line, "m4").infer(9, 1, deadline_s=5).duration_us == 900


@pytest.mark.parametrize(
    "window",
    [
        [*WINDOW[:2], "m-infer-start-90", *WINDOW[3:]],  # a digit too many arrived there
        [*WINDOW[:3], "m-lap-us-1x0", *WINDOW[4:]],
        [*WINDOW[:4], *WINDOW[5:]],
        [*WINDOW[:5], "m-lap-us-2000", *WINDOW[5:]],
        WINDOW[:5],
        [],
    ],
)
def test_a_window_that_is_not_whole_is_no_time(window: list[str]) -> None:
    with pytest.raises(InfrastructureError, match="9 runs is not complete"):
        MlperfTalk(Scripted({**USUAL, "infer 9 1": window}), "m4").infer(9, 1, deadline_s=5)


def test_a_board_in_energy_mode_is_said_to_be() -> None:
    window = [line for line in WINDOW if "lap" not in line]
    with pytest.raises(InfrastructureError, match="tells no times") as raised:
        MlperfTalk(Scripted({**USUAL, "infer 9 1": window}), "m4").infer(9, 1, deadline_s=5)
    assert "energy mode" in raised.value.cause


@pytest.mark.parametrize(
    ("stamp", "energy"),
    [(["m-lap-us-7"], False), ([], True), (["m-lap-us-4294967296 x"], False), (["e-[Unknown command: timestamp]"], False)],
)
def test_whether_a_board_is_in_energy_mode_is_asked_by_a_time_stamp(stamp: list[str], energy: bool) -> None:
    talk = MlperfTalk(Scripted({"timestamp": stamp}), "m4")
    talk.find_mode()
    assert talk.in_energy_mode is energy


def test_in_energy_mode_a_time_that_is_told_is_of_another_board() -> None:
    talk = MlperfTalk(Scripted({**USUAL, "timestamp": []}), "m4")
    talk.find_mode()
    with pytest.raises(InfrastructureError, match="9 runs is not complete"):
        talk.infer(9, 1, deadline_s=5)


def test_an_error_of_the_board_is_told_in_its_words() -> None:
    with pytest.raises(Refused, match=r"answers 'infer 9 2' with: e-\[Unknown command: infer 9 2\]"):
        MlperfTalk(Scripted(USUAL), "m4").infer(9, 2, deadline_s=5)


def test_a_board_that_is_still_starting_is_asked_again_and_its_banner_is_no_answer() -> None:
    class Starting(Scripted):
        """Hears nothing at first, then says its banner, and answers late what it was asked meanwhile."""

        def write(self, data: bytes, *, deadline_s: float) -> None:
            if len(self.asked) == 2:
                self.out = b"\0\xffets rst:0x1\r\nm-timestamp-mode-performance\r\nm-lap-us-9\r\nm-init-done\r\nm-ready\r\n"
            super().write(data, deadline_s=deadline_s)
            if len(self.asked) < 2:
                self.out = b""

    line = Starting({**USUAL, "profile": ["m-profile-[P]", "m-model-[kws01]"]})
    talk = MlperfTalk(line, "m4")
    assert talk.hello(deadline_s=20) == "unit"
    assert talk.profile().model == "kws01"


@pytest.mark.parametrize(
    ("said", "cause"), [(b"", "nothing at all came"), (b"\xe3\x8f\x00\x9c", "another baud rate"), (b"login: ", "another baud rate")]
)
def test_a_board_that_speaks_something_else_is_said_to(said: bytes, cause: str) -> None:
    class Saying(Scripted):
        def read(self, *, deadline_s: float) -> bytes:
            return said

        def write(self, data: bytes, *, deadline_s: float) -> None:
            pass

    began = monotonic()
    with pytest.raises(DeviceUnreachable, match="does not speak MLPerf Tiny's text protocol at 115200 baud") as raised:
        MlperfTalk(Saying({}), "m4").hello(deadline_s=0.3, baud=115_200)
    assert cause in raised.value.cause
    assert "a board in energy mode answers at 9600" in raised.value.todo
    assert monotonic() < began + 10


def test_an_input_is_loaded_31_bytes_a_line_and_read_back() -> None:
    class Loading(Scripted):
        """Keeps what is loaded; the first `wrong` times it prints something else."""

        def __init__(self, wrong: int) -> None:
            super().__init__({})
            self.data, self.expected, self.wrong = b"", 0, wrong

        def write(self, data: bytes, *, deadline_s: float) -> None:
            word, *words = data.decode().removesuffix("%").removeprefix("db ").split(" ")
            if word == "load":
                self.data, self.expected = b"", int(words[0])
                self.answers = {data.decode()[:-1]: [f"m-[Expecting {words[0]} bytes]"]}
            elif word == "print":
                self.wrong -= 1
                shown = self.data if self.wrong < 0 else self.data[::-1]
                lines = [shown[at : at + 8].hex("-") for at in range(0, len(shown), 8)]
                self.answers = {"db print": [f"m-buffer-{line}" for line in lines]}
            else:
                assert len(word) <= 62
                self.data += bytes.fromhex(word)
                self.answers = {f"db {word}": ["m-load-done"] if len(self.data) == self.expected else []}
            super().write(data, deadline_s=deadline_s)

    once, never = Loading(wrong=1), Loading(wrong=99)
    MlperfTalk(once, "m4").load(bytes(range(100)))
    assert once.data == bytes(range(100))
    assert once.asked.count("db print") == 2
    with pytest.raises(InfrastructureError, match="100 bytes arrived damaged at m4 5 times"):
        MlperfTalk(never, "m4").load(bytes(range(100)))
