"""A board that exists in memory only: it answers the agent's protocol with known figures, and fails as it is told."""

from __future__ import annotations

import hashlib
import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from edgepipe.devices.agent.lines import Message, PartBuffer, decode, encode, parts
from edgepipe.devices.boards.fake_deployments import FakeDeployments
from edgepipe.devices.transports.names import plain_name
from edgepipe.errors import DeviceUnreachable, InfrastructureError
from edgepipe.records import pack_samples_ns

INVOCATIONS = 60


class Fault(StrEnum):
    """What can go wrong with a board."""

    DEAD = "dead"  # nothing answers
    BUSY = "busy"  # somebody else holds it
    DIES = "dies"  # the connection breaks in the second block
    SLOW = "slow"  # no block is answered by its deadline
    GARBAGE = "garbage"  # a line that is no answer, in the second block
    CRASH = "crash"  # the model crashes
    WRONG_HASH = "wrong_hash"  # a pushed file arrives damaged
    WRONG_OUTPUT = "wrong_output"  # the second block computes something else
    THROTTLED = "throttled"  # the second block was throttled


@dataclass(kw_only=True)
class FakeHardware:
    """The board itself: what it keeps while hosts come and go.

    A block takes about `latency_us` an invocation; every model takes `sample_bytes` and answers with the same bytes backwards.
    """

    name: str = "fake"
    latency_us: float = 1000.0
    sample_bytes: int = 4
    faults: tuple[Fault, ...] = ()
    models: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    holder: str = ""
    deployments: FakeDeployments = field(default_factory=FakeDeployments)

    def identity(self) -> Message:
        """Return what the board says it is."""
        return {"serial": f"fake-{self.name}", "arch": "none", "cpu": "none", "os": "none"}

    def keep(self, content: bytes, sha256: str) -> None:
        """Take in a model. Raises InfrastructureError where its hash is not the announced one."""
        arrived = content[::-1] + b"\0" if Fault.WRONG_HASH in self.faults else content
        if hashlib.sha256(arrived).hexdigest() != sha256:
            raise InfrastructureError(f"{self.name}: another file arrived than was announced ({sha256:.12})")
        self.models[sha256] = content

    def require(self, sha256: str) -> None:
        """Raise InfrastructureError for a model that was never pushed."""
        if sha256 not in self.models:
            raise InfrastructureError(f"{self.name} has no model {sha256:.12}")

    def block(self, sha256: str, index: int) -> Message:
        """Return block `index`: samples within 1 % around the latency, the same ones every time."""
        self.require(sha256)
        snapshot = {"temperature_c": 40.0, "clock_mhz": 1500.0, "governor": "performance", "throttle_bits": 0}
        second = index == 1
        block: Message = {"index": index, "before": snapshot, "after": dict(snapshot)}
        if Fault.CRASH in self.faults:
            return {**block, "outcome": "rejected", "reason": "it crashed with SIGSEGV"}
        if second and Fault.THROTTLED in self.faults:
            block["after"] = {**snapshot, "throttle_bits": 0x50005}
        samples = self.samples_ns(index)
        packed, stride = pack_samples_ns(samples)
        answer = sha256 + ("!" if second and Fault.WRONG_OUTPUT in self.faults else "")
        return {
            **block,
            "outcome": "ok",
            "load_ns": 1_000_000,
            "first_ns": 2 * int(self.latency_us * 1000),
            "warmup_invocations": 10,
            "warmup_settled": True,
            "invocations": len(samples),
            "stride": stride,
            "samples_ns_zlib": packed,
            "median_ns": float(sorted(samples)[len(samples) // 2]),
            "output_sha256": hashlib.sha256(answer.encode()).hexdigest(),
            "artefact_sha256": sha256,
        }

    def samples_ns(self, index: int) -> list[int]:
        """Return the timed invocations of block `index`."""
        source = random.Random(index)
        return [int(self.latency_us * 1000 * source.uniform(0.99, 1.01)) for _ in range(INVOCATIONS)]

    def answers(self, group: bytes) -> list[bytes]:
        """Return the one output of each sample in `group`."""
        return [group[start : start + self.sample_bytes][::-1] for start in range(0, len(group), self.sample_bytes)]


class FakeTransport:
    """Reaches a `FakeHardware`."""

    def __init__(self, hardware: FakeHardware) -> None:
        self._hardware = hardware
        self._channels: list[FakeChannel] = []
        self._open = False

    def open(self, *, deadline_s: float) -> None:
        """Connect."""
        if Fault.DEAD in self._hardware.faults:
            raise DeviceUnreachable(f"{self._hardware.name} does not answer")
        self._open = True

    def put(self, source: Path, name: str, *, deadline_s: float) -> str:
        """Keep a file's bytes under /fake."""
        self._check_open()
        place = f"/fake/{plain_name(name)}"
        self._hardware.files[place] = source.read_bytes()
        return place

    def start_agent(self, agent: str, *, deadline_s: float, role: str = "serve") -> FakeChannel:
        """Return a channel to what answers like the agent; it has no other role."""
        self._check_open()
        if role != "serve":
            raise DeviceUnreachable(f"a board in memory cannot be the agent's {role!r}")
        if agent not in self._hardware.files:
            raise DeviceUnreachable(f"there is no agent at {agent}")
        channel = FakeChannel(self._hardware, hashlib.sha256(self._hardware.files[agent]).hexdigest())
        self._channels.append(channel)
        return channel

    def close(self) -> None:
        """Disconnect."""
        for channel in self._channels:
            channel.close()
        self._channels.clear()
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise InfrastructureError("the transport is not open")


class FakeChannel:
    """Answers each line at once; what is waited for and never comes is an end, without the wait."""

    def __init__(self, hardware: FakeHardware, agent_sha256: str) -> None:
        self._hardware, self._agent_sha256 = hardware, agent_sha256
        self._closed, self._parts, self._predicting = False, PartBuffer(), 0
        self._lines: list[bytes] = []
        self._holds = not hardware.holder and Fault.BUSY not in hardware.faults
        if self._holds:
            hardware.holder = "somebody"
            self._say({"ready": True, "pid": 1})
        else:
            self._say({"error": "device-busy", "holder": {"pid": 1, "holder": hardware.holder, "since": "2026-01-01T00:00:00Z"}})
        self._commands: dict[str, Callable[[Message], Message | None]] = {
            "hello": self._hello,
            "runtime": self._runtime,
            "has": lambda message: {"has": message["sha256"] in hardware.models},
            "store": self._store,
            "measure": self._measure,
            "predict": self._predict,
            "finish": lambda message: {},
        }

    def send(self, line: bytes, *, deadline_s: float) -> None:
        """Take a request and prepare its answer."""
        self._check_open()
        message = decode(line)
        if message.get("do") == "beat":
            self._say({"pulse": True})
        elif "part" in message:
            self._answer_samples(message)
        else:
            try:
                answer = self._commands[message["do"]](message)
            except InfrastructureError as exc:
                self._say({"id": message["id"], "error": exc.slug, "words": exc.what})
            else:
                if answer is not None:
                    self._say({"id": message["id"], "ok": answer})

    def receive(self, *, deadline_s: float) -> bytes:
        """Return the next prepared line."""
        self._check_open()
        if not self._lines:
            raise DeviceUnreachable(f"{self._hardware.name} said nothing for {deadline_s:g} s")
        return self._lines.pop(0)

    def close(self) -> None:
        """Let go of the board."""
        if self._holds:
            self._hardware.holder = ""
        self._holds, self._closed = False, True

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceUnreachable("the channel is closed")

    def _say(self, message: Message) -> None:
        self._lines.append(encode(message))

    def _hello(self, message: Message) -> Message:
        self._hardware.holder = message["holder"]
        return {**self._hardware.identity(), "agent_sha256": self._agent_sha256}

    def _runtime(self, message: Message) -> Message:
        return {"name": message["runtime"], "version": "0", "delegate": message["delegate"], "threads": message["threads"]}

    def _store(self, message: Message) -> Message:
        self._hardware.keep(self._hardware.files.pop(message["path"]), message["sha256"])
        return {}

    def _measure(self, message: Message) -> Message | None:
        index, faults = message["request"]["index"], self._hardware.faults
        if index == 1 and Fault.DIES in faults:
            self.close()
        if index == 1 and Fault.GARBAGE in faults:
            self._lines.append(b"\x1b[0m login: " + b64encode(bytes(9)))
        return None if Fault.SLOW in faults else self._hardware.block(message["sha256"], index)

    def _predict(self, message: Message) -> None:
        self._hardware.require(message["sha256"])
        self._predicting = message["id"]
        if Fault.CRASH in self._hardware.faults:
            self._child({"ended": "it crashed with SIGSEGV"})
        else:
            self._child({"result": {"sample_bytes": self._hardware.sample_bytes}})

    def _answer_samples(self, message: Message) -> None:
        group = self._parts.add(message)
        if group is not None:
            answers = self._hardware.answers(group)
            self._child({"result": {"lengths": [[len(answer)] for answer in answers]}})
            for part in parts(b"".join(answers)):
                self._child({"result": part})

    def _child(self, message: Message) -> None:
        self._say({"id": self._predicting, "child": message})
