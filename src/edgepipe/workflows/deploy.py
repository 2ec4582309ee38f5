"""Deploy: choose a model for each board, put it on trial there, and confirm it once its health check is passed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgepipe.bundles import GOLDEN, MODEL
from edgepipe.devices.agent.signing import Signed
from edgepipe.devices.boards.mcu_deployable import cannot_check
from edgepipe.devices.connect import connect_deployable
from edgepipe.devices.deployments import DEADLINE_S, PLAIN, Deployed, Order, Standing, State
from edgepipe.devices.inventory import DeviceEntry, QemuLink, load_inventory
from edgepipe.devices.protocols import Deployable, RunOptions
from edgepipe.devices.selector import select, select_one
from edgepipe.devices.signing import signed_version, trusted_keys
from edgepipe.errors import (
    EdgepipeError,
    InfrastructureError,
    Interrupted,
    ModelRejected,
    Stopped,
    Terminated,
    UsageError,
    VerifyFailed,
)
from edgepipe.events import Emit, Note, silent, step
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.workflows.choose_model import Choice, choose
from edgepipe.workflows.golden_answers import GoldenAnswers
from edgepipe.workflows.placing import AUTO, place
from edgepipe.workflows.preflight import check_fit
from edgepipe.workflows.sign import signature_beside, signature_now


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """What goes to which board. `signed`: the manifest that lies beside it; `signers`: the keys of which one must have signed."""

    entry: DeviceEntry
    choice: Choice
    signed: Signed | None = None
    signers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How to deploy. `confirm` False leaves the trial running; `install_hook` first lets a reboot roll trials back on the board.

    `options`, `slowest_us`, `version` and `protected` as in `Order`.
    """

    deadline_s: float = DEADLINE_S
    confirm: bool = True
    slowest_us: float | None = None
    version: int | None = None
    protected: bool = True
    install_hook: bool = False
    options: RunOptions = PLAIN


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How it went on one board; `error` is None where the model is current there. An `emulated` board's time is no hardware's."""

    device: str
    model: str
    sha256: str
    deployed: Deployed | None
    error: EdgepipeError | None = None
    emulated: bool = False


def plan(model: str | None, *, device: str, inventory: Path | None = None) -> tuple[Planned, ...]:
    """Return what would go to each board that the selector `device` means, as `choose` says; no board is touched.

    Raises UsageError (UnsupportedModel for one that needs an Edge TPU elsewhere) and ModelFileError, VerifyFailed where a named
    model does not fit a board, SignatureRefused where it is not signed as the board's entry demands.
    """
    entries = select(load_inventory(inventory), device)
    planned = [Planned(entry=entry, choice=choose(model, entry)) for entry in entries]
    for each in planned:
        place(each.choice.name, each.choice.facts, [each.entry], RunOptions(delegate=AUTO))
    problems = [
        f"{each.entry.name}: {problem}"
        for each in planned
        for problem in verify(each.choice.facts, TARGETS[each.entry.target]).problems
    ]
    if problems:
        raise VerifyFailed("the model does not fit where it is to go; nothing was sent", problems=problems)
    unable = next((entry.name for entry in entries if entry.board == "mcu" and trusted_keys(entry)), None)
    if unable:
        raise cannot_check(unable)
    return tuple(
        replace(each, signed=signature_beside(each.entry, each.choice), signers=trusted_keys(each.entry)) for each in planned
    )


def deploy(planned: Sequence[Planned], wishes: Wishes = Wishes(), *, emit: Emit = silent) -> tuple[Delivery, ...]:
    """Put each model on trial on its board, and confirm it; one board's failure costs that board only.

    Raises what keeps the golden samples of Linux boards from being made: ModelRejected where this machine's runtime refuses the
    model, UsageError where it is for an Edge TPU and what it was compiled from is not there. Interrupted and Terminated say what
    became of each.
    """
    _check_versions(planned, wishes.version)
    _check_trials(planned, wishes.confirm)
    answers = GoldenAnswers(emit)
    for each in planned:
        if not TARGETS[each.entry.target].in_arena:  # whose boards say first whether they have room for it
            answers.of(each.choice, TARGETS[each.entry.target])
    done: list[Delivery] = []
    for each in planned:
        try:
            done.append(_deliver(each, answers, wishes, emit))
        except (KeyboardInterrupt, Interrupted, Terminated) as exc:
            raise _stopped(exc, done, [later.entry for later in planned[len(done) :]], wishes) from exc
    return tuple(done)


def _stopped(exc: BaseException, done: Sequence[Delivery], left: Sequence[DeviceEntry], wishes: Wishes) -> Interrupted | Terminated:
    became = [f"{each.device}: {each.error.what if each.error else 'done'}" for each in done]
    name, back = left[0].name, "at its next reset" if left[0].board == "mcu" else f"within {wishes.deadline_s:g} s"
    became.append(f"{name}: it may have the model on trial, and then goes back by itself {back}")
    became += [f"{later.name}: nothing was sent" for later in left[1:]]
    todo = f"`edgepipe farm status {name}` says how it stands; `edgepipe rollback --device {name}` does not wait."
    if isinstance(exc, Terminated):
        return Terminated(exc.what, problems=became, todo=todo)
    return Interrupted("stopped by Ctrl-C", problems=became, todo=todo)


def _check_versions(planned: Sequence[Planned], version: int | None) -> None:
    """Raise UsageError where a version was asked for and another one is signed."""
    signed = {each.choice.name: signed_version(each.signed) for each in planned if each.signed and each.signers}
    problems = [f"{name} is signed as version {number}" for name, number in signed.items() if version not in (None, number)]
    if problems:
        raise UsageError(f"it cannot go out as version {version}", problems=problems, todo="Leave --version away, or sign it anew.")


def _check_trials(planned: Sequence[Planned], confirm: bool) -> None:
    """Raise UsageError where a trial is to be left running on a board that ends with the command."""
    emulated = [each.entry.name for each in planned if isinstance(each.entry.transport, QemuLink)]
    if emulated and not confirm:
        raise UsageError(
            "a trial cannot be left running on an emulated microcontroller",
            problems=[f"{name} ends with the command, and its trial with it" for name in emulated],
            todo="Leave --no-confirm out.",
        )


def _deliver(each: Planned, answers: GoldenAnswers, wishes: Wishes, emit: Emit) -> Delivery:
    entry, choice = each.entry, each.choice
    deployed: Deployed | None = None
    error: EdgepipeError | None = None
    try:
        with step(emit, f"deploy {choice.name} to {entry.name}"), _opened(entry) as board:
            if wishes.install_hook:
                emit(Note(text=f"{entry.name}: {board.protect()} rolls a trial back after a reboot"))
            if TARGETS[entry.target].in_arena:  # asked of those boards only that say what they have room for
                check_fit(choice.name, choice.content, choice.facts, entry, board.capabilities())
                board.standing()  # raises where the board keeps no models
            with _order(each, answers.of(choice, TARGETS[entry.target]), wishes) as order:
                deployed = board.deploy(order)
            emit(Note(text=f"{entry.name}: {_words(deployed)}"))
            if deployed.outcome is State.TRIAL and wishes.confirm:
                board.confirm(deployed.id)
                deployed = replace(deployed, outcome=State.COMMITTED)
        if deployed.outcome not in (State.COMMITTED, State.TRIAL):
            error = _rejected(entry, deployed)
    except Stopped:  # meant for the command, not for this board
        raise
    except EdgepipeError as exc:
        error = exc
    return Delivery(
        device=entry.name,
        model=choice.name,
        sha256=choice.facts.sha256,
        deployed=deployed,
        error=error,
        emulated=entry.is_virtual,
    )


def _words(deployed: Deployed) -> str:
    if deployed.unchanged:
        return (
            "the model is current there already; no byte of it was sent" if not deployed.sent_bytes else "a damaged copy was mended"
        )
    health = f"health check {deployed.finding or 'passed'}"
    return f"{deployed.sent_bytes:,} bytes sent, {health}"


def _rejected(entry: DeviceEntry, deployed: Deployed) -> EdgepipeError:
    what = f"{entry.name} has gone back to the model before: {deployed.finding or 'the trial ended'}"
    if deployed.finding in ("broken", "deadline", "interrupted", "unguarded", "reboot"):
        return InfrastructureError(what, cause=deployed.reason)
    return ModelRejected(what, cause=deployed.reason, todo=CURES.get(deployed.finding, "`edgepipe bench --device` tries it again."))


CURES = {
    "out of memory": "Make it smaller: `edgepipe doctor MODEL` says where; or free memory on the board.",
    "slow": "Make it faster, or allow more with --slowest-ms.",
    "wrong output": "`edgepipe parity MODEL` says which runtimes answer otherwise; was the golden bundle made of this model?",
    "hung": "`edgepipe bench MODEL` shows whether it hangs here too.",
    "crashed": "`edgepipe bench MODEL` shows whether it crashes here too; a newer runtime may help: `edgepipe farm provision`.",
}


@contextmanager
def _opened(entry: DeviceEntry) -> Iterator[Deployable]:
    board = connect_deployable(entry)
    try:
        board.open()
        yield board
    finally:
        board.close()


@contextmanager
def _order(each: Planned, samples: bytes, wishes: Wishes) -> Iterator[Order]:
    entry, choice = each.entry, each.choice
    with tempfile.TemporaryDirectory(prefix="edgepipe-deploy-") as folder:
        model, answers = Path(folder) / MODEL, Path(folder) / GOLDEN
        model.write_bytes(choice.content)
        answers.write_bytes(samples)
        yield Order(
            model=model,
            sha256=choice.facts.sha256,
            name=choice.name,
            golden=answers,
            golden_sha256=hashlib.sha256(samples).hexdigest(),
            options=place(choice.name, choice.facts, [entry], wishes.options),
            deadline_s=wishes.deadline_s,
            slowest_us=wishes.slowest_us,
            version=wishes.version,
            protected=wishes.protected,
            signed=each.signed or signature_now(entry, choice, wishes.version),
            signers=each.signers,
            target=entry.target,
        )


def standing(device: str, *, inventory: Path | None = None) -> dict[str, Standing]:
    """Return how each board stands, by name. Raises DeviceUnreachable, DeviceBusy."""
    found = {}
    for entry in select(load_inventory(inventory), device):
        with _opened(entry) as board:
            found[entry.name] = board.standing()
    return found


def confirm(device: str, *, inventory: Path | None = None) -> Standing:
    """Keep the model that is on trial on the one board that `device` means; returns how the board stands then."""
    with _opened(select_one(load_inventory(inventory), device)) as board:
        board.confirm()
        return board.standing()


def rollback(device: str, *, inventory: Path | None = None, reason: str = "asked for") -> Standing:
    """Go back on the one board that `device` means; returns how it stands then. Raises UsageError where there is no way back."""
    with _opened(select_one(load_inventory(inventory), device)) as board:
        board.rollback(reason)
        return board.standing()
