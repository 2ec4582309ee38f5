"""The agent's requests about deployments: put a model on trial and check its health, confirm it, go back, say how things stand."""

import contextlib
import os
import shutil
import time
from selectors import BaseSelector
from typing import Callable, Dict, List, Optional, Tuple

from . import boot_hook, guard
from .child import Child
from .clock import uptime_s
from .deployment import COMMITTED, ROLLED_BACK, STAGED, TRIAL, Deployment
from .durable import part_of, sync
from .health import Health, Verdict
from .lines import Message, Refused
from .runtimes import choose
from .signing import REFUSED, Signed, Signers, Verified, fingerprint
from .slots import CURRENT
from .store import GOLDEN, file_sha256

AGENT = "agent.pyz"
UNPROTECTED = "nothing would roll a trial back after a reboot: this board has no boot hook"


class Deploying:
    """What the agent does about deployments. `reply(id, answer)` answers later; `hand(child)` gives the child to watch."""

    def __init__(
        self,
        folder: str,
        agent: str,
        selector: BaseSelector,
        reply: Callable[[object, Message], None],
        hand: Callable[[Optional[Child]], None],
        busy: Callable[[], bool],
    ) -> None:
        self.deployment = Deployment(folder)
        self._folder, self._agent, self._selector = folder, agent, selector
        self._reply, self._hand, self._busy = reply, hand, busy
        self._signers = Signers(folder)
        self._line: Optional[guard.Line] = None
        self._until_s: Optional[float] = None
        self.commands: Dict[str, Callable[[Message], Optional[Message]]] = {
            "trust": self._trust,
            "admit": self._admit,
            "deploy": self._deploy,
            "confirm": self._confirm,
            "rollback": self._rollback,
            "status": self._status,
            "boot_hook": self._boot_hook,
        }
        with contextlib.suppress(OSError):  # a full disk must not keep the host out; the next step tries again
            self.deployment.recover(guard.is_guarded(folder))

    @property
    def is_checking(self) -> bool:
        """Whether a health check runs, which is brought to its end although the host may be gone."""
        return self._until_s is not None and uptime_s() < self._until_s

    def close(self) -> None:
        """Let go of the guard, which goes on by itself."""
        if self._line:
            self._line.close()
            self._line = None

    def _trust(self, message: Message) -> Message:
        """Demand from now on what one of these keys has signed; those that were trusted before give way only to `replace`."""
        keys = sorted(map(str, message["signers"]))
        wanted, known = (str(message["target"]) if keys else "", keys), self._trusted(bool(message["replace"]))
        if known != wanted:
            if known[1] and not message["replace"]:
                words = (known[0], ", ".join(map(fingerprint, known[1])))
                raise Refused(
                    REFUSED, "this board trusts other signers, for %s: %s; edgepipe farm provision has it trust yours" % words
                )
            self._signers.write(*wanted)
            self.deployment.note_signers([fingerprint(key) for key in keys])
        return {"signers": [fingerprint(key) for key in keys]}

    def _trusted(self, damaged_too: bool) -> Tuple[str, List[str]]:
        try:
            target, keys = self._signers.read()
        except Refused:
            if not damaged_too:
                raise
            target, keys = "damaged", []
        return target, sorted(keys)

    def _admit(self, message: Message) -> Message:
        """Say before a model is sent whether it could be put on trial."""
        verified = self._verified(message)
        now = self.deployment.now()
        if self.deployment.slots.read(CURRENT) != message["sha256"] or now.state in (STAGED, TRIAL):
            self.deployment.admit(now, verified.version if verified else message["version"])
        return {}

    def _verified(self, message: Message) -> Optional[Verified]:
        """Return what is believed of the signed manifest that came with a request; the later of the two clocks counts."""
        given = message.get("signed")
        signed = Signed(str(given["manifest"]), str(given["signature"])) if given else None
        now_s = max(time.time(), float(given["now_s"]) if given else 0.0)
        return self._signers.check(signed, message["sha256"], now_s, verified_by_host=bool(given and given["checked"]))

    def _deploy(self, message: Message) -> Optional[Message]:
        """Switch the model on for a trial; the answer comes when its health was checked."""
        if self._busy():
            raise Refused("device-busy", "the board is running a model already")
        verified = self._verified(message)
        sha256, deadline_s = message["sha256"], float(message["deadline_s"])
        golden = self.deployment.store.sound(message["golden"], GOLDEN)
        if not golden:
            raise Refused("infrastructure", "the board has no golden samples %.12s" % message["golden"])
        options = message["options"]
        choice = choose(options["runtime"], options["delegate"], options["threads"], self._folder)
        self.deployment.recover(guard.is_guarded(self._folder))
        hook = boot_hook.installed(self._folder)
        if not hook and message["protect"]:
            raise Refused("usage", UNPROTECTED)
        self.close()
        trial = self.deployment.begin(
            sha256, deadline_s=deadline_s, version=message["version"], protected=hook or "no", arm=self._arm, verified=verified
        )
        path = self.deployment.store.path(sha256)
        job = dict(options, path=path, golden=golden, delegate=choice.delegate, threads=choice.threads, python=choice.python)
        self._until_s = uptime_s() + deadline_s

        def done(verdict: Verdict) -> None:
            self._hand(None)
            self._until_s = None
            self._reply(message["id"], self._after(trial, verdict))

        self._hand(Health(self._selector, job, message["slowest_us"], done, self._hand).start())
        return None

    def _arm(self, trial: str) -> None:
        self._line = guard.arm(self._folder, self._keep_agent(), trial)

    def _keep_agent(self) -> str:
        """Return where a copy of this agent stays when the host is gone: for the guard, at boot, and for reports of crashes."""
        kept = os.path.join(self._folder, AGENT)
        if not os.path.exists(kept) or file_sha256(kept) != file_sha256(self._agent):
            part = part_of(kept)
            shutil.copyfile(self._agent, part)
            sync(part)
            os.replace(part, kept)
            sync(self._folder)
        return kept

    def _after(self, trial: str, verdict: Verdict) -> Message:
        """Note a good health check, or go back after a bad one; returns the answer to the host."""
        try:
            if verdict.finding:
                self.deployment.roll_back(trial, verdict.reason, verdict.finding)
            else:
                self.deployment.healthy(trial, **verdict.measured)
        except (OSError, Refused) as exc:  # what cannot be done here, the guard does
            with contextlib.suppress(OSError):
                self.deployment.roll_back(trial, "the health check could not be noted: %s" % exc, "broken")
        now = self.deployment.now()
        switched = self.deployment.slots.read(CURRENT) == now.model
        return {
            "id": trial,
            "outcome": now.state if switched else ROLLED_BACK,
            "finding": now.finding or verdict.finding,
            "reason": now.reason or verdict.reason,
            "measured": verdict.measured,
            "protected": now.protected,
            "signed": now.signed,
            "signer": now.signer,
        }

    def _confirm(self, message: Message) -> Message:
        trial = message.get("trial") or self._running()
        self.deployment.commit(trial)
        self.close()
        return {"id": trial, "outcome": COMMITTED, "current": self.deployment.slots.read(CURRENT)}

    def _running(self) -> str:
        now = self.deployment.now()
        if now.state != TRIAL:
            raise Refused("usage", "no trial runs on this board; the last deployment is %s" % now.state)
        return now.id

    def _rollback(self, message: Message) -> Message:
        return {"current": self.deployment.previous(str(message["reason"])[:200]) or None}

    def _status(self, message: Message) -> Message:
        hook = boot_hook.installed(self._folder)
        signers = [fingerprint(key) for key in self._signers.read()[1]]
        return dict(self.deployment.status(), guarded=guard.is_guarded(self._folder), boot_hook=hook, signers=signers)

    def _boot_hook(self, message: Message) -> Message:
        """Install or remove what runs at boot; the agent's own file is kept for it to run."""
        if message["wanted"]:
            self._keep_agent()
            return {"boot_hook": boot_hook.install(self._folder)}
        boot_hook.remove()
        return {"boot_hook": ""}
