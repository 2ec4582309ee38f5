"""What is said about deployments: the order to put a model on trial, what became of it, and how a board stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from edgepipe.devices.agent.signing import Signed
from edgepipe.devices.protocols import RunOptions

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
