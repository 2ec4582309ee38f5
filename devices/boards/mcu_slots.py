"""What a microcontroller's two slots hold, as its firmware tells it, and how the board stands by that."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag

from edgepipe.devices.deployments import AT_RESET, Standing, State
from edgepipe.devices.transports.frame_link import Answer, Ask, FrameLink, Status
from edgepipe.errors import DeviceBusy, EdgepipeError, InfrastructureError, ModelRejected, UsageError

ASK_S, STEP_S = 15.0, 60.0  # a step may hash all of a model, or erase a large sector
SEQUENCE = struct.Struct("<I")
HEAD, SLOT, STEP, VERSION = struct.Struct("<IB"), struct.Struct("<IIIQQ32s32s64s"), struct.Struct("<III"), struct.Struct("<Q")
REASON_BYTES = 64
NONE = 0xFF
FORGOTTEN = "the board was reset before the model was confirmed"
DAMAGED = "its copy in the flash is damaged, or the engine does not take it any more"


class Mark(IntFlag):
    """What a slot's records say; devices/firmware/core/slot_log.h."""

    HEADER = 1 << 1
    WHOLE = 1 << 2
    TRIED = 1 << 3
    CONFIRMED = 1 << 4
    REVOKED = 1 << 5


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One slot; `marks` is 0 where it holds nothing."""

    marks: Mark
    sequence: int
    size_bytes: int
    version: int
    floor: int
    sha256: str
    name: str
    why: str

    @property
    def is_kept(self) -> bool:
        """Whether its model was confirmed, and is still wanted."""
        return Mark.WHOLE | Mark.CONFIRMED in self.marks and Mark.REVOKED not in self.marks

    @property
    def waits(self) -> bool:
        """Whether its model is whole, and the next reset tries it."""
        return self.marks == Mark.HEADER | Mark.WHOLE


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Both slots; `running` is the one that the board's boot chose, None where it chose none."""

    capacity_bytes: int
    slots: tuple[Slot, ...]
    running: Slot | None

    @property
    def is_given_up(self) -> bool:
        """Whether what runs was revoked, and only a reset is missing."""
        return self.running is not None and Mark.REVOKED in self.running.marks

    @property
    def is_on_trial(self) -> bool:
        """Whether what runs was not confirmed."""
        return self.running is not None and not self.running.marks & (Mark.CONFIRMED | Mark.REVOKED)

    @property
    def floor(self) -> int:
        """The highest version that was confirmed, as far as the slots know."""
        return max((max(slot.floor, slot.version if Mark.CONFIRMED in slot.marks else 0) for slot in self.slots), default=0)

    def standing(self) -> Standing:
        """Return how the board stands."""
        known = [slot for slot in self.slots if Mark.WHOLE in slot.marks]
        last = max(known, key=lambda slot: slot.sequence, default=None)
        others = [slot for slot in self.slots if slot != self.running]
        state = self._state(last)
        finding, _, reason = last.why.partition("\n") if last and state is State.ROLLED_BACK else ("", "", "")
        if last and state is State.ROLLED_BACK and Mark.REVOKED not in last.marks:
            finding, reason = ("broken", DAMAGED) if Mark.CONFIRMED in last.marks else ("reboot", FORGOTTEN)
        return Standing(
            state=state,
            id=str(last.sequence) if last else "",
            current=self.running.sha256 if self.running else None,
            previous=next((slot.sha256 for slot in others if slot.is_kept and slot != last), None),
            candidate=next((slot.sha256 for slot in others if slot.waits), None),
            floor=self.floor,
            healthy=self.is_on_trial,
            finding=finding,
            reason=reason,
            guarded=self.is_on_trial,
            boot_hook=AT_RESET,
            names={slot.sha256: slot.name for slot in known},
        )

    def _state(self, last: Slot | None) -> State:
        if last is None:
            return State.IDLE
        if last == self.running:
            return State.TRIAL if self.is_on_trial else State.ROLLED_BACK if self.is_given_up else State.COMMITTED
        return State.STAGED if last.waits else State.ROLLED_BACK


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    """What a status means to the one who asked."""

    error: Callable[..., EdgepipeError]
    words: str
    todo: str = ""


EXPORT = "`edgepipe export` makes a program with the model in it; flash that."
REFUSALS = {
    Status.NO_FLASH: _Refusal(error=UsageError, words="keeps no models in its flash", todo=EXPORT),
    Status.FLASH_FAILED: _Refusal(error=InfrastructureError, words="has a flash that does not take what is written"),
    Status.ON_TRIAL: _Refusal(error=DeviceBusy, words="has a model on trial", todo="Confirm it, or roll it back."),
    Status.NO_TRIAL: _Refusal(error=InfrastructureError, words="does not run this model any more: it was reset meanwhile"),
    Status.NO_WAY_BACK: _Refusal(error=UsageError, words="has no previous model to go back to"),
    Status.TOO_LARGE: _Refusal(error=ModelRejected, words="has slots that are smaller than this model", todo="Make it smaller."),
    Status.NO_UPLOAD: _Refusal(error=InfrastructureError, words="has lost what was sent: it was reset meanwhile"),
}


class SlotTalk:
    """What is said about the slots."""

    def __init__(self, link: FrameLink, device: str) -> None:
        self._link, self._device = link, device

    def slots(self) -> Slots:
        """Ask what the slots hold. Raises UsageError where the board keeps no models."""
        payload = self._ask(Ask.SLOTS, deadline_s=ASK_S).payload
        capacity_bytes, running = HEAD.unpack_from(payload)
        slots = tuple(_slot(*fields) for fields in SLOT.iter_unpack(payload[HEAD.size :]))
        return Slots(capacity_bytes=capacity_bytes, slots=slots, running=None if running == NONE else slots[running])

    def stage(self, version: int) -> int:
        """Have the board copy what was pushed into the free slot, step by step, and return the sequence number that it has there.

        Raises DeviceBusy during a trial, ModelRejected where the slot is too small, InfrastructureError where the flash is worn.
        """
        before = 0
        while True:
            done, total, sequence = STEP.unpack_from(self._ask(Ask.STAGE, VERSION.pack(version), deadline_s=STEP_S).payload)
            if done == total:
                return int(sequence)
            if done <= before:
                raise InfrastructureError(f"{self._device} began to copy the model anew", cause="it was reset meanwhile")
            before = done

    def confirm(self, sequence: int) -> None:
        """Keep what runs on trial."""
        self._ask(Ask.CONFIRM, SEQUENCE.pack(sequence), deadline_s=STEP_S)

    def revoke(self, sequence: int, finding: str, reason: str) -> None:
        """Give up what runs: the next reset goes back. Raises UsageError where there is nothing to go back to."""
        why = f"{finding}\n{reason}".encode("ascii", "replace")[:REASON_BYTES]
        self._ask(Ask.REVOKE, SEQUENCE.pack(sequence) + why, deadline_s=STEP_S)

    def _ask(self, kind: Ask, payload: bytes = b"", *, deadline_s: float) -> Answer:
        answer = self._link.ask(kind, payload, deadline_s=deadline_s)
        if answer.status is Status.OK:
            return answer
        refusal = REFUSALS.get(answer.status)
        if refusal is None:
            raise InfrastructureError(f"{self._device} answers {kind.name} with: {answer.status.name.lower().replace('_', ' ')}")
        raise refusal.error(f"{self._device} {refusal.words}", todo=refusal.todo)


def _slot(marks: int, sequence: int, size_bytes: int, version: int, floor: int, sha256: bytes, name: bytes, why: bytes) -> Slot:
    return Slot(
        marks=Mark(marks),
        sequence=sequence,
        size_bytes=size_bytes,
        version=version,
        floor=floor,
        sha256=sha256.hex(),
        name=name.partition(b"\0")[0].decode("ascii", "replace"),
        why=why.partition(b"\0")[0].decode("ascii", "replace"),
    )
