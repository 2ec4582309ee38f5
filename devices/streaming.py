"""Samples go to a board and answers come back, however often the line breaks: what was answered is not asked again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from edgepipe.devices.answers import KeptAnswers
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.session import Fits, Session, anything, unidentified
from edgepipe.devices.stopping import Stop
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, Interrupted
from edgepipe.events import Advance
from edgepipe.facts import ModelFacts
from edgepipe.places import cache_dir
from edgepipe.records import DeviceIdentity, RuntimeIdentity
from edgepipe.version import VERSION

# Between attempts that bring no answer. Together 90 s: a board whose host vanished is free again after 75 s.
WAITS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """`count` samples that `sha256` names; `since(k)` yields those from number k on, each its inputs' raw bytes."""

    sha256: str
    count: int
    since: Callable[[int], Iterator[Sequence[bytes]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answered:
    """All answers of a board: `earlier` of them are of an earlier command; the line broke `breaks` times."""

    identity: DeviceIdentity
    runtime: RuntimeIdentity
    answers: KeptAnswers
    earlier: int
    breaks: int


class Stream:
    """One model, one set of questions, one board: each attempt goes on where the last one was cut; `identity` as far as known."""

    def __init__(
        self,
        entry: DeviceEntry,
        model: Path,
        facts: ModelFacts,
        questions: Questions,
        *,
        options: RunOptions,
        stop: Stop,
        advance: Advance,
        waits_s: Sequence[float] = WAITS_S,
        fits: Fits = anything,
    ) -> None:
        self._entry, self._model, self._facts, self._questions = entry, model, facts, questions
        self._options, self._stop, self._advance, self._waits_s, self._fits = options, stop, advance, waits_s, fits
        self.identity = unidentified(entry)
        self._kept: KeptAnswers | None = None
        self._who: tuple[DeviceIdentity, RuntimeIdentity] | None = None
        self._earlier, self._breaks, self._reached = 0, 0, False

    @contextmanager
    def answered(self) -> Iterator[Answered]:
        """Yield all answers, and forget them after a `with` that went well; else they are kept for the next command.

        Raises DeviceUnreachable or DeviceBusy at once where the board cannot be had at all, DeviceUnreachable where it does not
        come back; ModelRejected; Interrupted with how many answers are kept.
        """
        try:
            self._collect()
            assert self._kept is not None and self._who is not None
            identity, runtime = self._who
            yield Answered(identity=identity, runtime=runtime, answers=self._kept, earlier=self._earlier, breaks=self._breaks)
            self._kept.forget()
        finally:
            if self._kept is not None:
                self._kept.close()

    def _collect(self) -> None:
        tried = 0
        while True:
            had, self._reached = self._done, False
            try:
                self._attempt()
                return
            except Interrupted as exc:
                raise Interrupted(f"stopped{self._left_words()}") from exc
            except (DeviceUnreachable, DeviceBusy) as exc:
                if self._kept is None:
                    raise
                if self._done == self._questions.count:
                    return
                self._breaks += self._reached
                tried = 0 if self._done > had else tried
                if tried == len(self._waits_s):
                    raise DeviceUnreachable(f"{exc.what}{self._left_words()}", cause=exc.cause) from exc
                self._advance(self._done, f"{exc.what}; again in {self._waits_s[tried]:g} s")
            self._rest(self._waits_s[tried])
            tried += 1

    def _attempt(self) -> None:
        """Ask what was not answered yet."""
        with Session(self._entry, stop=self._stop, fits=self._fits) as session:
            board, self.identity, self._reached = session.board, session.identity, True
            runtime = board.runtime(self._options)
            kept = self._begin(session.identity, runtime)
            session.push(self._model, self._facts.sha256)
            self._advance(len(kept))
            for prediction in board.predict(self._facts.sha256, self._questions.since(len(kept)), self._options):
                kept.add(prediction.outputs)
                self._advance(len(kept))

    def _begin(self, identity: DeviceIdentity, runtime: RuntimeIdentity) -> KeptAnswers:
        """Return what was answered already by this board in this way. Raises InfrastructureError where it is another one now."""
        if self._kept is None:
            self._who = (identity, runtime)
            self._kept = KeptAnswers(cache_dir() / "answers" / f"{self._key(identity, runtime)}.answers")
            self._earlier = len(self._kept)
        elif self._who and self._who != (identity, runtime):
            raise InfrastructureError(
                f"{self._entry.name} came back as another board, or with another runtime",
                problems=_differing(self._who, (identity, runtime)),
                cause="it was exchanged or provisioned meanwhile",
                todo="Do it again: answers of two boards are not mixed.",
            )
        return self._kept

    def _key(self, identity: DeviceIdentity, runtime: RuntimeIdentity) -> str:
        """Return the name of everything that an answer depends on."""
        facts = [VERSION, self._facts.sha256, self._questions.sha256, asdict(identity), asdict(runtime)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def _done(self) -> int:
        return 0 if self._kept is None else len(self._kept)

    def _left_words(self) -> str:
        if not self._done:
            return ""
        return f"; {self._done:,} of {self._questions.count:,} answers are kept, and the same command goes on from there"

    def _rest(self, seconds: float) -> None:
        try:
            self._stop.rest(seconds)
        except Interrupted as exc:
            raise Interrupted(f"stopped{self._left_words()}") from exc


def _differing(before: tuple[DeviceIdentity, RuntimeIdentity], now: tuple[DeviceIdentity, RuntimeIdentity]) -> list[str]:
    one, other = ({**asdict(identity), **asdict(runtime)} for identity, runtime in (before, now))
    return [f"{key}: {one[key]}, then {other[key]}" for key in one if one[key] != other[key]]
