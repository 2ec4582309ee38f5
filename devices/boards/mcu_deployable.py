"""A microcontroller that keeps models: checked in its memory, copied into its flash, started on trial by a reset, and confirmed.

It has no clock to end a trial by: that ends at the next reset, whatever causes it, and the model before runs again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from edgepipe.devices.agent.check import differences, read_golden
from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.boards.mcu_slots import Slots, SlotTalk
from edgepipe.devices.boards.mcu_talk import Loaded
from edgepipe.devices.deployments import (
    AT_RESET,
    Deployed,
    Measured,
    Order,
    Standing,
    State,
    no_trial,
    no_way_back,
    on_trial,
    too_old,
)
from edgepipe.devices.protocols import Prediction, RunOptions
from edgepipe.devices.signing import signed_version
from edgepipe.errors import InfrastructureError, ModelRejected, SignatureRefused, UsageError

NS_PER_US = 1000
WRONG, SLOW, REFUSED, BROKEN = "wrong output", "slow", "refused", "broken"
NOTHING = Measured()


@dataclass(frozen=True, kw_only=True)
class _Golden:
    """The samples that a model's health is checked by: arrays with a row a sample, one an input and one an output."""

    inputs: Sequence[Any]
    outputs: Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """What a model answered; `finding` is empty where that was right and quick enough."""

    answers: tuple[tuple[bytes, ...], ...] = ()
    measured: Measured = NOTHING
    finding: str = ""
    reason: str = ""


class DeployableMcu(McuBoard):
    """A microcontroller whose firmware has two slots for models in flash."""

    def deploy(self, order: Order) -> Deployed:
        """Check the model in the board's memory, copy it into the slot that does not run, and have a reset start it on trial.

        Until that reset what runs there stays as it is. `order.deadline_s` means nothing to a board without a clock.
        """
        if order.signers:
            raise cannot_check(self._name)
        slots, golden = self._slots(), _read(order.golden)
        if slots.is_given_up:  # whoever did so was stopped before the reset
            self._restart()
            slots = self._slots()
        standing = slots.standing()
        if standing.current == order.sha256 and standing.state not in (State.STAGED, State.TRIAL):
            return Deployed(id=standing.id, outcome=State.COMMITTED, protected=AT_RESET, unchanged=True)
        version = signed_version(order.signed) if order.signed else order.version
        self._admit(standing, version)
        self._take(order.model, order.sha256, Path(order.name).stem)
        sent_bytes, checked = self._send(order.sha256), self._try_in_memory(order, golden)
        if checked.finding:
            if slots.running:
                self._open().talk.load(kept=True)
            return _deployed(standing.id, checked, sent_bytes)
        sequence = self._slot_talk().stage(version or 0)
        self._restart()
        return _deployed(str(sequence), self._try_in_flash(order, golden, sequence, checked.answers), sent_bytes)

    def confirm(self, trial: str = "") -> None:
        """Keep the model that runs on trial."""
        slots = self._slots()
        standing, running = slots.standing(), slots.running
        if standing.state is State.COMMITTED and trial == standing.id:
            return
        if running is None or standing.state is not State.TRIAL or trial not in ("", standing.id):
            if trial:
                raise InfrastructureError(f"{self._name}: this trial is over: {standing.reason or 'there is no such trial'}")
            raise no_trial(self._name, standing)
        self._slot_talk().confirm(running.sequence)

    def rollback(self, reason: str) -> str | None:
        """Give up what runs, and have a reset go back."""
        slots = self._slots()
        if slots.running is None:
            raise no_way_back(self._name, slots.standing())
        try:
            self._slot_talk().revoke(slots.running.sequence, "", reason)
        except UsageError as exc:  # no other one was ever confirmed
            raise no_way_back(self._name, slots.standing()) from exc
        self._restart()
        return self.standing().current

    def standing(self) -> Standing:
        """Say how the board stands, by what its slots hold."""
        return self._slots().standing()

    def predict_kept(self, samples: Iterator[Sequence[bytes]], options: RunOptions) -> Iterator[Prediction]:
        """Run the model that the board keeps, read in place from its flash, on each sample. Raises InfrastructureError for none."""
        loaded = self._open().talk.load(kept=True)
        for sample in samples:
            self._run(sample, options)
            yield Prediction(outputs=self._outputs(loaded))

    def trust(self, target: str, signers: Sequence[str], *, replace: bool = False) -> tuple[str, ...]:
        """Refuse to demand signatures: the firmware checks none."""
        if signers:
            raise cannot_check(self._name)
        return ()

    def protect(self) -> str:
        """Return what is there already: the firmware's own choice at boot."""
        self._slots()
        return AT_RESET

    def _slots(self) -> Slots:
        return self._slot_talk().slots()

    def _slot_talk(self) -> SlotTalk:
        return SlotTalk(self._open().link, self._name)

    def _admit(self, standing: Standing, version: int | None) -> None:
        """Refuse what would be refused in the end, before a byte is sent."""
        if standing.state is State.TRIAL:
            raise on_trial(self._name)
        if standing.floor and (version is None or version < standing.floor):
            said = f"version {version}" if version else "a model without a version"
            raise too_old(f"{self._name}: {said} is older than version {standing.floor}, which was confirmed there", standing.floor)

    def _try_in_memory(self, order: Order, golden: _Golden) -> _Checked:
        """Check the model where it harms nothing."""
        try:
            loaded = self._open().talk.load()
        except ModelRejected as exc:
            return _Checked(finding=REFUSED, reason=exc.what)
        return self._check(loaded, order, golden)

    def _try_in_flash(self, order: Order, golden: _Golden, sequence: int, answers: tuple[tuple[bytes, ...], ...]) -> _Checked:
        """Check the model that the reset should have started, which answers as it did in memory; give it up where it does not."""
        slots = self._slots()
        if slots.running is None or slots.running.sequence != sequence:
            return _Checked(finding=BROKEN, reason="the board was reset again, or its engine does not take the model from flash")
        checked = self._check(self._open().talk.load(kept=True), order, golden)
        if not checked.finding and checked.answers != answers:
            checked = _Checked(finding=WRONG, reason="it answers otherwise from flash than from memory", measured=checked.measured)
        if checked.finding:
            self._slot_talk().revoke(sequence, checked.finding, checked.reason)
            self._restart()
        return checked

    def _check(self, loaded: Loaded, order: Order, golden: _Golden) -> _Checked:
        """Have the loaded model answer the golden samples."""
        answers, ticks, wrong = list[tuple[bytes, ...]](), list[int](), list[str]()
        for number in range(len(golden.inputs[0])):
            sample = [rows[number].astype(tensor.dtype) for rows, tensor in zip(golden.inputs, loaded.inputs, strict=False)]
            if [each.nbytes for each in sample] != [tensor.size_bytes for tensor in loaded.inputs]:
                return _Checked(finding=WRONG, reason="the golden samples are for a model with other inputs")
            ticks.append(self._run([each.tobytes() for each in sample], order.options))
            answers.append(self._outputs(loaded))
            wrong += differences(number, list(answers[-1]), [rows[number] for rows in golden.outputs])
        measured = Measured(samples=len(ticks), median_us=self._ns(round(median(ticks))) / NS_PER_US)
        finding, reason = (WRONG, "; ".join(wrong[:3])) if wrong else ("", "")
        if not wrong and order.slowest_us is not None and (measured.median_us or 0.0) > order.slowest_us:
            finding, reason = SLOW, f"it takes {measured.median_us:.0f} us where {order.slowest_us:.0f} us are allowed"
        return _Checked(answers=tuple(answers), measured=measured, finding=finding, reason=reason)


def cannot_check(device: str) -> SignatureRefused:
    """Return what is said where models for a microcontroller are to be signed."""
    return SignatureRefused(
        f"{device} cannot check signatures, and models for it are to be signed: nothing was sent",
        cause="a microcontroller's firmware checks hashes only",
        todo="Leave `signing` out of the defaults, and give it to the boards that can check signatures.",
    )


def _read(golden: Path) -> _Golden:
    try:
        inputs, outputs = read_golden(str(golden))
    except ValueError as exc:
        raise UsageError(f"{golden.name}: {exc}") from exc
    return _Golden(inputs=inputs, outputs=outputs)


def _deployed(trial: str, checked: _Checked, sent_bytes: int) -> Deployed:
    return Deployed(
        id=trial,
        outcome=State.ROLLED_BACK if checked.finding else State.TRIAL,
        finding=checked.finding,
        reason=checked.reason,
        measured=checked.measured,
        protected=AT_RESET,
        sent_bytes=sent_bytes,
    )
