"""A session with one board: lock, open, identify, push, run, close. It makes the records of what was measured."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from edgepipe.devices.connect import connect
from edgepipe.devices.inventory import DeviceEntry, LocalLink, SerialLink
from edgepipe.devices.protocols import BlockRequest, Board, Conditions, RunOptions
from edgepipe.devices.stopping import Stop
from edgepipe.devices.validity import Judgement, judge
from edgepipe.errors import InfrastructureError, Interrupted, ModelRejected
from edgepipe.events import Advance, unheard
from edgepipe.facts import ModelFacts
from edgepipe.records import Accuracy, Block, Capabilities, DeviceIdentity, MemoryUse, RunOutcome, RunRecord, RuntimeIdentity
from edgepipe.version import VERSION

UNKNOWN = "unknown"
ONE_ENGINE = ("mcu", "mlperf-tiny")  # boards that run a model by what is in their firmware, whatever is asked for
COOL_BELOW_C = 70.0  # 10 degrees before a Raspberry Pi slows down


Fits: TypeAlias = Callable[[Capabilities], None]  # raises ModelRejected for a board that offers less than a model needs


def anything(_offered: Capabilities) -> None:
    """Let any model go to any board."""


class Session:
    """Holds a board for the length of a `with`; entering raises DeviceBusy, DeviceUnreachable, or Interrupted after `stop`."""

    def __init__(self, entry: DeviceEntry, *, board: Board | None = None, stop: Stop | None = None, fits: Fits = anything) -> None:
        self._entry, self._stop, self._fits, self._held = entry, stop or Stop(), fits, ExitStack()
        self.board = board or connect(entry)
        self.identity = unidentified(entry)

    def __enter__(self) -> Session:
        with ExitStack() as held:
            held.callback(self.board.close)
            held.enter_context(self._stop.watching(self.board))
            self.board.open()
            self.identity = self.board.identify()
            self._held = held.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._held.close()

    def push(self, model: Path, sha256: str) -> Capabilities:
        """Bring a model and return what the board offers. Raises ModelRejected, with nothing sent, where it does not fit there."""
        offered = self.board.capabilities()
        self._fits(offered)
        self.board.push(model, sha256)
        return offered

    def bench(
        self,
        model: Path,
        facts: ModelFacts,
        *,
        blocks: int,
        options: RunOptions = RunOptions(),
        conditions: Conditions = Conditions(),
        advance: Advance = unheard,
    ) -> RunRecord:
        """Time the model in `blocks` fresh processes. What goes wrong with the board or the model is the record's outcome.

        Of a board whose counts are exact one block is enough, whatever `blocks` says. What `conditions` leave open, the inventory
        says; `cool_longest_s` is for all blocks together. One that is stopped keeps the blocks that it has, as `infra`; without any
        it raises Interrupted.
        """
        started, taken, offered = now(), list[Block](), Capabilities()
        runtime, conditions = _unasked(options, self.identity), wished(self._entry, conditions)
        blocks = 1 if self.identity.counts_instructions else blocks  # exact counts: one boot says all (METHODS §1)
        try:
            runtime = self.board.runtime(options)
            advance(0, "sending the model")
            offered = self.push(model, facts.sha256)
            for index in range(blocks):
                advance(index, _shown(taken))
                request = BlockRequest(index=index, options=options, conditions=conditions)
                taken.append(self.board.measure(facts.sha256, request))
                left_s = max(0.0, conditions.cool_longest_s - taken[-1].cooled_s)
                conditions = replace(conditions, cool_longest_s=left_s)
                if taken[-1].outcome is not RunOutcome.OK:  # it would do so again, and a measured result is final
                    break
            advance(len(taken), _shown(taken))
            judgement = judge(taken, facts.sha256, self._entry.clock_mhz)
        except (InfrastructureError, ModelRejected) as exc:
            judgement = Judgement(outcome=outcome_of(exc), reason=str(exc), blocks=tuple(taken))
        except Interrupted:
            if not taken:
                raise
            reason = f"stopped after {len(taken)} of {blocks} blocks"
            judgement = Judgement(outcome=RunOutcome.INFRA, reason=reason, blocks=tuple(taken))
        record = run_record("bench", model, facts, self.identity, runtime, judgement, started_utc=started)
        return replace(record, memory=_memory(offered, taken)) if self._entry.board == "mcu" else record


def _memory(offered: Capabilities, taken: Sequence[Block]) -> MemoryUse:
    return MemoryUse(
        model_room_bytes=offered.model_bytes,
        slot_room_bytes=offered.flash_bytes,
        arena_bytes=taken[-1].model_memory_bytes if taken else None,
        arena_room_bytes=offered.arena_bytes,
    )


def wished(entry: DeviceEntry, conditions: Conditions) -> Conditions:
    """Return the conditions of a board's blocks: what is asked for, else what the inventory says, else the usual ones."""
    usual = None if isinstance(entry.transport, LocalLink) or entry.is_virtual else COOL_BELOW_C
    given = entry.cool_below_c if conditions.cool_below_c is None else conditions.cool_below_c
    steady = conditions.steady and entry.governor == "performance"
    return replace(conditions, steady=steady, cool_below_c=usual if given is None else given)


def unpinned(entry: DeviceEntry, identity: DeviceIdentity) -> str:
    """Say how to pin a microcontroller of which the inventory knows the port only; "" for every other board."""
    is_ours = isinstance(entry.transport, SerialLink) and entry.protocol == "edgepipe"
    if not is_ours or entry.board_id is not None or identity.serial == UNKNOWN:
        return ""
    return f"{entry.name} is whatever is plugged in there; board_id: {identity.serial} in the inventory makes it this board only"


def unidentified(entry: DeviceEntry) -> DeviceIdentity:
    """Return what is known of a board that did not say who it is."""
    identity = DeviceIdentity(name=entry.name, board=entry.board, serial=UNKNOWN, arch=UNKNOWN, cpu=UNKNOWN, os=UNKNOWN)
    return replace(identity, emulated=entry.is_virtual)


def failed(
    kind: str,
    device: DeviceIdentity,
    model: Path,
    facts: ModelFacts,
    options: RunOptions,
    exc: InfrastructureError | ModelRejected,
) -> RunRecord:
    """Return the record of a run that brought nothing, most often since its board could not be opened."""
    judgement = Judgement(outcome=outcome_of(exc), reason=str(exc), blocks=())
    return run_record(kind, model, facts, device, _unasked(options, device), judgement, started_utc=now())


def outcome_of(exc: InfrastructureError | ModelRejected) -> RunOutcome:
    """Return whose fault an error was."""
    return RunOutcome.REJECTED if isinstance(exc, ModelRejected) else RunOutcome.INFRA


def run_record(
    kind: str,
    model: Path,
    facts: ModelFacts,
    device: DeviceIdentity,
    runtime: RuntimeIdentity,
    judgement: Judgement,
    *,
    started_utc: str,
    accuracy: Accuracy | None = None,
) -> RunRecord:
    """Return a record with an id of its own."""
    return RunRecord(
        id=uuid.uuid4().hex,
        kind=kind,
        started_utc=started_utc,
        artefact_sha256=facts.sha256,
        artefact_name=model.name,
        model_bytes=facts.size_bytes,
        device=device,
        runtime=runtime,
        input_shapes=tuple(port.shape for port in facts.inputs),
        outcome=judgement.outcome,
        reason=judgement.reason,
        blocks=judgement.blocks,
        accuracy=accuracy,
        facts=facts,
        edgepipe_version=VERSION,
    )


def _unasked(options: RunOptions, device: DeviceIdentity) -> RuntimeIdentity:
    """Return what is known of the runtime of a board that was not asked: what was wished for, of a microcontroller nothing."""
    if device.board in ONE_ENGINE:
        return RuntimeIdentity(name=UNKNOWN, version=UNKNOWN, delegate="none", threads=1)
    return RuntimeIdentity(
        name=options.runtime, version=UNKNOWN, delegate=options.delegate, threads=options.threads, affinity=options.affinity
    )


def _shown(taken: list[Block]) -> str:
    if not taken:
        return ""
    last = taken[-1]
    return str(last.outcome) if last.median_ns is None else f"median {last.median_ns / 1000:.1f} us"


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
