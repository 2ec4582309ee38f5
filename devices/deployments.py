"""What is said about deployments: the order to put a model on trial, what became of it, and how a board stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from edgepipe.devices.agent.signing import Signed
from edgepipe.devices.protocols import RunOptions
from edgepipe.errors import DeviceBusy, EdgepipeError, InfrastructureError, UsageError

DEADLINE_S = 120.0
# What rolls a trial back on a microcontroller: its firmware, at the next reset. It has no clock, and thus no deadline.
AT_RESET = "firmware"
PLAIN = RunOptions()


class State(StrEnum):
    """Where the last deployment of a board stands."""

    IDLE = "idle"  # nothing was ever deployed
    STAGED = "staged"  # it is there, and not yet switched on
    TRIAL = "trial"  # it is current, and the board goes back unless it is confirmed in time
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, kw_only=True)
class Order:
    """A model to be put on trial, with golden samples to check its health by (.npz: input_0, …, output_0, …, a row a sample).

    `deadline_s` is how long the board waits for a confirmation, the health check included; `slowest_us` the longest median time of
    an invocation, None for any; `version` is refused where it is below the highest one confirmed there. `protected` False accepts a
    board on which nothing rolls a trial back after a reboot, which is recorded there. `signed` is the model's signed manifest;
    its version counts then. `signers` are the keys that it was checked with here, for the board's `target`; a board that trusts
    none yet is to trust these.
    """

    model: Path
    sha256: str
    name: str
    golden: Path
    golden_sha256: str
    options: RunOptions = PLAIN
    deadline_s: float = DEADLINE_S
    slowest_us: float | None = None
    version: int | None = None
    protected: bool = True
    signed: Signed | None = None
    signers: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the health check measured; None where it did not get so far."""

    samples: int | None = None
    median_us: float | None = None


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What became of an order.

    `finding` says what was wrong with the model: crashed, hung, out of memory, wrong output, slow; or what else ended the trial.
    `protected` names what would have rolled it back after a reboot: systemd, cron, a microcontroller's firmware (AT_RESET), or no.
    `sent_bytes` counts the model's only.
    `signed` says who verified the signature of its manifest: board, or host where the board's OpenSSH is too old, "" for nobody;
    `signer` is the fingerprint of the key.
    """

    id: str
    outcome: State
    finding: str = ""
    reason: str = ""
    measured: Measured = Measured()
    protected: str = ""
    signed: str = ""
    signer: str = ""
    sent_bytes: int = 0
    unchanged: bool = False


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a board stands: the hashes that its slots name, and its last deployment.

    `left_s` is what is left of a trial, None where none runs; `boot_hook` what rolls a trial back after a reboot, "" for nothing;
    `names` are the models' names by hash. `signers` are the fingerprints of the keys that must have signed a model, none where
    unsigned ones are taken; `signatures` say by hash who verified a model's signature: board or host.
    """

    state: State
    id: str = ""
    current: str | None = None
    previous: str | None = None
    candidate: str | None = None
    floor: int = 0
    healthy: bool = False
    finding: str = ""
    reason: str = ""
    left_s: float | None = None
    guarded: bool = False
    boot_hook: str = ""
    names: dict[str, str] = field(default_factory=dict)
    signers: tuple[str, ...] = ()
    signatures: dict[str, str] = field(default_factory=dict)

    def said(self, sha256: str | None) -> str:
        """Return a model in words."""
        if sha256 is None:
            return "nothing"
        signed = {"board": ", signed", "host": ", signed as the host says"}.get(self.signatures.get(sha256, ""), "")
        name = self.names.get(sha256, "")
        return f"{name} ({sha256[:12]}{signed})" if name else f"{sha256[:12]}{signed}"


def no_trial(device: str, standing: Standing) -> EdgepipeError:
    """Return what is said to whoever confirms where no trial runs: the board's doing where it has gone back by itself."""
    todo = f"`edgepipe farm status {device}` says how it stands, `edgepipe deploy MODEL --device {device}` tries a model there."
    if standing.state is State.ROLLED_BACK and standing.finding:
        return InfrastructureError(f"{device}: the trial is over, and the board has gone back: {standing.reason}", todo=todo)
    last = {
        State.IDLE: "nothing was ever deployed there",
        State.STAGED: "the last model was brought there, and never switched on",
        State.ROLLED_BACK: f"the last trial was rolled back ({standing.reason})",
    }.get(standing.state, f"{standing.said(standing.current)} is kept already")
    cause = "`edgepipe deploy` confirms by itself, unless it is told --no-confirm"
    return UsageError(f"{device}: no trial runs there: {last}", cause=cause, todo=todo)


def too_old(what: str, floor: int) -> UsageError:
    """Return what is said where `what`: a model's version is below `floor`, the highest that its board has confirmed."""
    return UsageError(
        what,
        cause="an older file than the one that runs there, or versions of another kind",
        todo=f"Deploy a newer model; one that is newer gets --version {floor} or more.",
    )


def on_trial(device: str) -> DeviceBusy:
    """Return what is said to whoever deploys where another model is on trial."""
    todo = f"`edgepipe confirm --device {device}` keeps that model, `edgepipe rollback --device {device}` gives it up."
    return DeviceBusy(f"{device}: a trial runs there already", cause="somebody deployed with --no-confirm", todo=todo)


def no_way_back(device: str, standing: Standing) -> UsageError:
    """Return what is said to whoever rolls back where no model is left to go back to."""
    return UsageError(
        f"{device} has no previous model to go back to; {standing.said(standing.current)} is current there",
        cause="one model was kept there so far, or the board has gone back already",
        todo=f"`edgepipe deploy MODEL --device {device}` brings the one that is to run there.",
    )
