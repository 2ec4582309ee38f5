"""A board without any transport: what a `FakeHardware` does, said directly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgepipe.devices.protocols import BlockRequest, Prediction, RunOptions
from edgepipe.devices.transports.fake import FakeHardware, Fault
from edgepipe.documents import parse
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, Interrupted, ModelRejected
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
