"""A board without any transport: what a `FakeHardware` does, said directly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgepipe.devices.deployments import Deployed, Order, Standing, State, no_trial, no_way_back
from edgepipe.devices.protocols import BlockRequest, Prediction, RunOptions
from edgepipe.devices.transports.fake import FakeHardware, Fault
from edgepipe.documents import parse
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, Interrupted, ModelRejected, UsageError
from edgepipe.records import Block, Capabilities, DeviceIdentity, RuntimeIdentity


class FakeBoard:
    """Holds a `FakeHardware` from `open` to `close`."""

    def __init__(self, hardware: FakeHardware) -> None:
        self._hardware, self._holds, self._stopped = hardware, False, False

    def open(self) -> None:
        """Take the board."""
        hardware = self._hardware
        if Fault.DEAD in hardware.faults:
            raise DeviceUnreachable(f"{hardware.name} does not answer")
        if hardware.holder or Fault.BUSY in hardware.faults:
            raise DeviceBusy(f"{hardware.name} is held by {hardware.holder or 'process 1'}")
        hardware.holder, self._holds = "process 2", True

    def identify(self) -> DeviceIdentity:
        """Return an identity that nobody takes for a real board's."""
        identity = self._opened().identity()
        return DeviceIdentity(name=self._hardware.name, board="fake", emulated=True, **identity)

    def capabilities(self) -> Capabilities:
        """Return no limits."""
        return Capabilities()

    def runtime(self, options: RunOptions) -> RuntimeIdentity:
        """Return what was asked for."""
        self._opened()
        return RuntimeIdentity(
            name=options.runtime, version="0", delegate=options.delegate, threads=options.threads, affinity=options.affinity
        )

    def push(self, model: Path, sha256: str) -> None:
        """Keep the model."""
        self._opened().keep(model.read_bytes(), sha256)

    def measure(self, sha256: str, request: BlockRequest) -> Block:
        """Return a known block, or fail as told."""
        hardware = self._opened()
        second = request.index == 1
        if Fault.SLOW in hardware.faults or (second and Fault.DIES in hardware.faults):
            raise DeviceUnreachable(f"{hardware.name} said nothing for {request.options.deadline_s:g} s")
        if second and Fault.GARBAGE in hardware.faults:
            raise InfrastructureError(f"{hardware.name} said something that is no answer")
        return parse(Block, hardware.block(sha256, request.index), source=hardware.name, error=InfrastructureError)

    def predict(self, sha256: str, samples: Iterator[Sequence[bytes]], options: RunOptions) -> Iterator[Prediction]:
        """Answer each sample with its bytes backwards."""
        hardware = self._opened()
        hardware.require(sha256)
        if Fault.CRASH in hardware.faults:
            raise ModelRejected(f"{hardware.name} could not run the model: it crashed with SIGSEGV")
        for sample in samples:
            self._opened()
            yield Prediction(outputs=tuple(hardware.answers(b"".join(sample))))

    def deploy(self, order: Order) -> Deployed:
        """Keep the model and put it on trial."""
        hardware = self._opened()
        verified = hardware.deployments.admit(order)
        sent = 0 if order.sha256 in hardware.models else order.model.stat().st_size
        hardware.keep(order.model.read_bytes(), order.sha256)
        standing = hardware.deployments.standing()
        if standing.current == order.sha256:
            return Deployed(id=standing.id, outcome=State.COMMITTED, unchanged=True, sent_bytes=sent)
        finding = self._finding(order)
        return hardware.deployments.begin(order, verified, sent_bytes=sent, median_us=hardware.latency_us, finding=finding)

    def _finding(self, order: Order) -> str:
        """Return what is wrong with a model: it answers golden samples with their bytes backwards, as it does all others."""
        from numpy import load

        if Fault.CRASH in self._hardware.faults:
            return "crashed"
        with load(order.golden) as golden:
            samples = zip(golden["input_0"], golden["output_0"], strict=True)
            if any(taken.tobytes()[::-1] != given.tobytes() for taken, given in samples):
                return "wrong output"
        return "slow" if order.slowest_us is not None and self._hardware.latency_us > order.slowest_us else ""

    def confirm(self, trial: str = "") -> None:
        """Keep the model on trial."""
        deployments = self._opened().deployments
        try:
            deployments.confirm(trial)
        except UsageError as exc:
            raise no_trial(self._hardware.name, deployments.standing()) from exc

    def rollback(self, reason: str) -> str | None:
        """Go back."""
        deployments = self._opened().deployments
        try:
            return deployments.rollback(reason)
        except UsageError as exc:
            raise no_way_back(self._hardware.name, deployments.standing()) from exc

    def standing(self) -> Standing:
        """Return how it stands."""
        return self._opened().deployments.standing()

    def trust(self, target: str, signers: Sequence[str], *, replace: bool = False) -> tuple[str, ...]:
        """Demand signatures of these keys from now on."""
        return self._opened().deployments.trust(target, signers, replace=replace)

    def protect(self) -> str:
        """Say that cron does it."""
        return self._opened().deployments.protect()

    def stop(self) -> None:
        """Have what is asked from now on raise Interrupted."""
        self._stopped = True

    def close(self) -> None:
        """Let go of the board."""
        if self._holds:
            self._hardware.holder, self._holds = "", False

    def _opened(self) -> FakeHardware:
        if not self._holds:
            raise DeviceUnreachable(f"{self._hardware.name} is not open")
        if self._stopped:
            raise Interrupted(f"{self._hardware.name}: stopped")
        return self._hardware
