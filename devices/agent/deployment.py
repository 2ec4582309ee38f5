"""Deployments as the board sees them: idle -> staged -> trial -> committed | rolled back.

What is true stands in the journal and in the slots, and is read anew under the lock `deployment.lock` before every step, so that
the agent, the guard, the boot hook and reports of crashes may each take the next one. Every step may be executed again.

A trial keeps the way back open with nothing but a rename: `previous` names the model that was current before the switch, and going
back is `previous` becoming `current`, which a full disk does not hinder. The journal's entry about it may then be missing; it is
recognised since `current` is no longer the model of the trial, and is made up for later.
"""

import contextlib
import os
import uuid
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set

from . import clock
from .durable import turn, write_whole
from .journal import Entry, Journal
from .lines import Refused
from .signing import Verified
from .slots import CANDIDATE, CURRENT, PREVIOUS, Slots
from .store import Store

IDLE, STAGED, TRIAL, COMMITTED, ROLLED_BACK = "idle", "staged", "trial", "committed", "rolled back"
STATES = {"staged": STAGED, "trial": TRIAL, "committed": COMMITTED, "rolled_back": ROLLED_BACK}
CRASHES, CRASHES_WITHIN_S = 3, 60.0


class Situation(NamedTuple):
    """The last deployment: `back` was current before it, `before` was previous; `deadline_s` counts from the start of `boot`.

    `kept`: it was committed, whatever came then. `signed`: who verified its manifest's signature, board or host; `signer` made it.
    """

    state: str = IDLE
    id: str = ""
    model: Optional[str] = None
    back: Optional[str] = None
    before: Optional[str] = None
    version: Optional[int] = None
    boot: str = ""
    deadline_s: float = 0.0
    protected: str = ""
    signed: str = ""
    signer: str = ""
    healthy: bool = False
    kept: bool = False
    finding: str = ""
    reason: str = ""


def situation(entries: List[Entry]) -> Situation:
    """Return where the last deployment stands, from the journal's entries."""
    now = Situation()
    for entry in entries:
        event = entry["event"]
        if event == "staged":
            known: Dict[str, Any] = {name: entry.get(name) for name in ("id", "model", "back", "before", "version")}
            known.update({name: entry.get(name, "") for name in ("signed", "signer")})
            now = Situation(state=STAGED, boot=entry["boot"], **known)
        elif entry.get("id") != now.id or not now.id:
            continue
        elif event == "healthy":
            now = now._replace(healthy=True)
        elif event in STATES:
            known = {name: entry[name] for name in ("deadline_s", "protected", "finding", "reason") if name in entry}
            now = now._replace(state=STATES[event], kept=now.kept or event == "committed", **known)
    return now


class Deployment:
    """The store, the slots and the journal in `folder`, and the steps between the states."""

    def __init__(self, folder: str, *, boot: Optional[str] = None, uptime_s: Callable[[], float] = clock.uptime_s) -> None:
        self.folder, self._uptime_s = folder, uptime_s
        self.boot = clock.boot_id() if boot is None else boot
        self.store, self.slots, self.journal = Store(folder), Slots(folder), Journal(folder)

    @contextlib.contextmanager
    def turn(self, impatient: Callable[[], None] = lambda: None) -> Iterator[Situation]:
        """Take the lock on all changes, and say where things stand."""
        with turn(os.path.join(self.folder, "deployment.lock"), impatient):
            yield self.now()

    def now(self) -> Situation:
        """Return where the last deployment stands."""
        return situation(self.journal.entries())

    def status(self) -> Dict[str, Any]:
        """Return all that there is to say."""
        now = self.now()
        answer: Dict[str, Any] = dict(self.slots.all(), floor=self.floor(), guard="", **now._asdict())
        answer["names"] = {sha256: self.store.manifest(sha256).get("name", "") for sha256 in sorted(self.slots.named())}
        answer["signatures"] = self._signatures()
        answer["left_s"] = max(0.0, now.deadline_s - self._uptime_s()) if now.state == TRIAL and now.boot == self.boot else None
        answer["journal"] = self.journal.entries()[-20:]
        return answer

    def _signatures(self) -> Dict[str, str]:
        """Return who verified the signature of each model that a slot names, as far as the journal goes back."""
        named = self.slots.named()
        staged = [entry for entry in self.journal.entries() if entry["event"] == "staged" and entry.get("model") in named]
        return {entry["model"]: entry["signed"] for entry in staged if entry.get("signed")}

    def in_use(self) -> Set[str]:
        """Return the hashes of the entries that must stay."""
        now = self.now()
        last = {now.model, now.back, now.before} if now.state in (STAGED, TRIAL) else set()
        return self.slots.named() | {sha256 for sha256 in last if sha256}

    # The steps, in their order; those with a leading underscore are called with the lock held ----------------------------------

    def begin(
        self,
        model: str,
        *,
        deadline_s: float,
        version: Optional[int],
        protected: str,
        arm: Callable[[str], None],
        verified: Optional[Verified] = None,
    ) -> str:
        """Put the model on trial and return the trial's id; `arm(id)` returns once a guard watches over it.

        `verified` is its signed manifest, whose version counts then. Raises Refused where something stands in the way; OSError,
        WrongHash. `current` is then what it was.
        """
        version = verified.version if verified else version
        with self.turn() as now:
            self._check(now, model, version)
            trial = uuid.uuid4().hex[:12]
            try:
                self._stage(trial, model, version, verified)
                self._arm(trial, deadline_s, protected, arm)
                self.slots.move(CANDIDATE, CURRENT)
            except (OSError, Refused) as exc:
                now = self.now()
                if now.id == trial:
                    self._back(now, "it could not be switched on: %s" % exc, "broken")
                raise
            return trial

    def _check(self, now: Situation, model: str, version: Optional[int]) -> None:
        self.admit(now, version)
        if self.slots.read(CURRENT) == model:
            raise Refused("usage", "model %.12s is current already" % model)
        if not self.store.sound(model):
            raise Refused("infrastructure", "the board has no whole model %.12s" % model)

    def admit(self, now: Situation, version: Optional[int]) -> None:
        """Raise Refused where no model of this version could be put on trial now."""
        if now.state in (STAGED, TRIAL):
            raise Refused("device-busy", "a trial of model %.12s runs already; confirm it or roll it back first" % now.model)
        floor = self.floor()
        if floor and (version is None or version < floor):
            said = "this model has no version, and so" if version is None else "version %d" % version
            raise Refused("usage", "%s is older than version %d, which was confirmed here" % (said, floor))

    def _stage(self, trial: str, model: str, version: Optional[int], verified: Optional[Verified]) -> None:
        back, before = self.slots.read(CURRENT), self.slots.read(PREVIOUS)
        said = {}
        if verified:
            self.store.seal(model, *verified.signed)
            said = {"signed": verified.by, "signer": verified.signer}
        self.slots.make()
        self._note("staged", id=trial, model=model, back=back, before=before, version=version, **said)
        self.slots.set(CANDIDATE, model)

    def _arm(self, trial: str, deadline_s: float, protected: str, arm: Callable[[str], None]) -> None:
        self.slots.set(PREVIOUS, self.slots.read(CURRENT))
        self._note("trial", id=trial, deadline_s=self._uptime_s() + deadline_s, protected=protected)
        arm(trial)

    def healthy(self, trial: str, **measured: Any) -> None:
        """Note that the health check was passed. Raises Refused where the trial is over."""
        with self.turn() as now:
            self._same(now, trial)
            self._note("healthy", id=trial, **measured)

    def commit(self, trial: str) -> None:
        """Keep the model. Raises Refused where the trial is over, too late or not healthy; executed again it does nothing."""
        with self.turn() as now:
            if now.id == trial and now.state == COMMITTED:
                return
            self._same(now, trial)
            if not now.healthy:
                raise Refused("device-busy", "the health check of model %.12s is not over" % now.model)
            if self._uptime_s() >= now.deadline_s or now.boot != self.boot:
                raise Refused("infrastructure", "the deadline of this trial has passed; the board goes back by itself")
            if self.slots.read(CURRENT) != now.model:
                raise Refused("infrastructure", "the board has gone back already")
            self._note("committed", id=trial)
            self._raise_floor(self.now())

    def _same(self, now: Situation, trial: str) -> None:
        if now.id != trial or now.state != TRIAL:
            words = now.reason if now.id == trial and now.reason else "there is no such trial"
            raise Refused("infrastructure", "this trial is over: %s" % words)

    def roll_back(self, trial: str, reason: str, finding: str = "", impatient: Callable[[], None] = lambda: None) -> bool:
        """Go back if this trial still runs; returns whether it did. Raises OSError where not even a rename is possible."""
        with self.turn(impatient) as now:
            if now.id != trial or now.state not in (STAGED, TRIAL):
                return False
            self._back(now, reason, finding)
            return True

    def previous(self, reason: str) -> str:
        """Go back to the previous model, from a trial or from a committed one; returns its hash. Raises Refused where none is."""
        with self.turn() as now:
            if now.state in (STAGED, TRIAL):
                self._back(now, reason, "")
            elif self.slots.read(PREVIOUS):
                self._check_way_back()
                self.slots.move(PREVIOUS, CURRENT)
                self._tell(now, reason, "")
            else:
                raise Refused("usage", "there is no previous model to go back to")
            return self.slots.read(CURRENT) or ""

    def _check_way_back(self) -> None:
        """Refuse what the signed manifest of the current model rules out; from a trial there is always a way back."""
        current, previous = (self.store.manifest(self.slots.read(slot) or "0" * 64) for slot in (CURRENT, PREVIOUS))
        floor, version = current.get("floor", 0), previous.get("version", 0)
        if version < floor:
            words = (version, floor) if version else ("unknown", floor)
            raise Refused("usage", "the previous model's version is %s; the current one's manifest rules out any below %d" % words)

    def _back(self, now: Situation, reason: str, finding: str) -> None:
        """Undo a trial: first what matters, with one rename; then what needs space on the disk, as far as there is some."""
        if self.slots.read(CURRENT) == now.model:
            self._switch_back(now)
        with contextlib.suppress(OSError):
            self._tidy(now)
        self._tell(now, reason, finding)

    def _tidy(self, now: Situation) -> None:
        """Let the other slots be as they were before the trial."""
        if not now.before or self.store.path(now.before):
            self.slots.set(PREVIOUS, now.before)
        self.slots.clear(CANDIDATE)

    def _switch_back(self, now: Situation) -> None:
        try:
            if not now.back:
                self.slots.clear(CURRENT)
            elif self.slots.read(PREVIOUS) == now.back:
                self.slots.move(PREVIOUS, CURRENT)
            else:  # somebody took the way back away
                self.slots.point(CURRENT, now.back)
        except OSError:
            if self.slots.read(CURRENT) != now.back:
                raise

    def _tell(self, now: Situation, reason: str, finding: str) -> None:
        with contextlib.suppress(OSError):  # the next one who looks makes up for it
            self._note("rolled_back", id=now.id, reason=reason, finding=finding)

    def recover(self, guarded: bool) -> None:
        """Take up what was cut short: after a reboot, or where the agent or the guard died. Executed again it does nothing.

        `guarded` says whether a guard lives: a trial of this boot before its deadline is then its business.
        """
        if self.now().state == IDLE:
            return
        with self.turn() as now:
            if now.state == STAGED:
                self._back(now, "it was interrupted before it began", "broken")
            elif now.state == TRIAL:
                self._recover_trial(now, guarded)
            elif now.state == COMMITTED:
                if self.slots.read(CURRENT) != now.model:
                    self._tell(now, "somebody went back; the disk could not say so then", "")
                else:
                    self._raise_floor(now)
            elif not now.kept and self.slots.read(CURRENT) == now.back:
                self._tidy(now)  # the disk was full then
            self.journal.trim()

    def _recover_trial(self, now: Situation, guarded: bool) -> None:
        if now.boot != self.boot:
            self._back(now, "the board was restarted during the trial", "reboot")
        elif self.slots.read(CURRENT) != now.model and not guarded:
            self._back(now, "it was interrupted, or went back when the disk could not say so", "interrupted")
        elif not guarded:
            self._back(now, "nothing watched over the trial any more", "unguarded")
        elif self._uptime_s() >= now.deadline_s:
            self._back(now, "it was not confirmed by its deadline", "deadline")

    def crashed(self, words: str) -> bool:
        """Note a crash that the application reports; the third within a minute ends a trial. Returns whether it did."""
        with self.turn() as now:
            self._note("crash", id=now.id, reason=words)
            if now.state != TRIAL:
                return False
            since = self._uptime_s() - CRASHES_WITHIN_S
            told = [each for each in self.journal.entries() if each["event"] == "crash" and each.get("id") == now.id]
            if sum(each["boot"] == self.boot and each["uptime_s"] >= since for each in told) < CRASHES:
                return False
            self._back(now, "%d crashes within %g s were reported" % (CRASHES, CRASHES_WITHIN_S), "crash reports")
            return True

    def note_signers(self, signers: List[str]) -> None:
        """Note whose signatures count from now on."""
        with self.turn():
            self._note("signers", signers=signers)

    def floor(self) -> int:
        """Return the highest version that was confirmed here, 0 where none was."""
        try:
            with open(os.path.join(self.folder, "floor")) as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return 0

    def _raise_floor(self, now: Situation) -> None:
        if now.version and now.version > self.floor():
            write_whole(os.path.join(self.folder, "floor"), b"%d\n" % now.version)

    def _note(self, event: str, **fields: Any) -> None:
        self.journal.append(event, self.boot, self._uptime_s(), **fields)
