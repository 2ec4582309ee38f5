"""What a board in memory knows of deployments: a real one's states and refusals, without a guard to die or a disk to fill."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from edgepipe.devices import signing
from edgepipe.devices.agent.signing import Verified, fingerprint
from edgepipe.devices.deployments import Deployed, Measured, Order, Standing, State, too_old
from edgepipe.errors import DeviceBusy, InfrastructureError, SignatureRefused, UsageError

UNPROTECTED = "nothing would roll a trial back after a reboot: this board has no boot hook"


class FakeDeployments:
    """The slots, the last deployment, and whose signatures count; a trial that is over its deadline is found rolled back."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._now = clock, Standing(state=State.IDLE)
        self._end_s, self._before, self._version = 0.0, Standing(state=State.IDLE), 0
        self._target, self._keys = "", tuple[str, ...]()

    def standing(self) -> Standing:
        """Return how the board stands."""
        if self._now.state is State.TRIAL and self._clock() >= self._end_s:
            self._back("it was not confirmed by its deadline", "deadline")
        on_trial = self._now.state is State.TRIAL
        return replace(
            self._now,
            left_s=self._end_s - self._clock() if on_trial else None,
            guarded=on_trial,
            signers=tuple(map(fingerprint, self._keys)),
        )

    def admit(self, order: Order) -> Verified | None:
        """Return the order's signed manifest as far as one is demanded, or refuse the order."""
        verified = signing.check(order.signed, keys=self._keys, target=self._target, sha256=order.sha256)
        standing, version = self.standing(), verified.version if verified else order.version
        if standing.current == order.sha256 and standing.state is not State.TRIAL:
            return verified
        if standing.state is State.TRIAL:
            raise DeviceBusy("a trial runs already; confirm it or roll it back first")
        if standing.floor and (version is None or version < standing.floor):
            raise too_old(f"version {version} is older than version {standing.floor}, which was confirmed here", standing.floor)
        if order.protected and not standing.boot_hook:
            raise UsageError(UNPROTECTED)
        return verified

    def begin(self, order: Order, verified: Verified | None, *, sent_bytes: int, median_us: float, finding: str) -> Deployed:
        """Put the model on trial, and go back at once where its health check found something."""
        self._before = self.standing()
        trial, protected = uuid.uuid4().hex[:12], self._before.boot_hook or "no"
        signatures = {**self._before.signatures, **({order.sha256: verified.by} if verified else {})}
        self._now = replace(
            self._before,
            state=State.TRIAL,
            id=trial,
            current=order.sha256,
            previous=self._before.current,
            healthy=not finding,
            finding="",
            reason="",
            names={**self._before.names, order.sha256: order.name},
            signatures=signatures,
        )
        self._end_s = self._clock() + order.deadline_s
        self._version = (verified.version if verified else order.version) or 0
        if finding:
            self._back(f"the model is bad: {finding}", finding)
        return Deployed(
            id=trial,
            outcome=self._now.state,
            finding=finding,
            reason=self._now.reason,
            measured=Measured(samples=1, median_us=median_us) if not finding else Measured(),
            protected=protected,
            sent_bytes=sent_bytes,
            signed=verified.by if verified else "",
            signer=verified.signer if verified else "",
        )

    def confirm(self, trial: str) -> None:
        """Keep the model on trial."""
        standing = self.standing()
        if standing.state is State.COMMITTED and trial == standing.id:
            return
        if standing.state is not State.TRIAL or trial not in ("", standing.id):
            over = InfrastructureError if trial else UsageError
            raise over(f"this trial is over: {standing.reason or 'there is no such trial'}")
        self._now = replace(self._now, state=State.COMMITTED, floor=max(standing.floor, self._version))

    def rollback(self, reason: str) -> str | None:
        """Go back from a trial, or to the previous model."""
        standing = self.standing()
        if standing.state is State.TRIAL:
            self._back(reason, "")
        elif standing.previous is None:
            raise UsageError("there is no previous model to go back to")
        else:
            self._now = replace(
                self._now, state=State.ROLLED_BACK, current=standing.previous, previous=None, finding="", reason=reason
            )
        return self._now.current

    def trust(self, target: str, keys: Sequence[str], *, replace: bool) -> tuple[str, ...]:
        """Demand signatures of these keys from now on."""
        if self._keys and not replace and set(keys) != set(self._keys):
            raise SignatureRefused("this board trusts other signers")
        self._target, self._keys = target, tuple(keys)
        return tuple(map(fingerprint, keys))

    def protect(self) -> str:
        """Have a boot hook from now on."""
        self._now = replace(self._now, boot_hook="cron")
        return "cron"

    def _back(self, reason: str, finding: str) -> None:
        before = self._before
        self._now = replace(
            self._now,
            state=State.ROLLED_BACK,
            current=before.current,
            previous=before.previous,
            finding=finding,
            reason=reason,
        )
