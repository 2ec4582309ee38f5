"""A Linux board: whatever its transport, the same agent does the work there."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from edgepipe.devices import agent_bundle
from edgepipe.devices.agent.lines import Message, PartBuffer, parts
from edgepipe.devices.boards.conversation import BEAT_S, SILENCE_S, Conversation
from edgepipe.devices.protocols import BlockRequest, Prediction, RunOptions, Transport
from edgepipe.documents import parse
from edgepipe.errors import DeviceUnreachable, InfrastructureError, ModelRejected
from edgepipe.records import Block, Capabilities, DeviceIdentity, RuntimeIdentity

OPEN_S = 30.0
ASK_S = 20.0
PUT_S = 300.0
GRACE_S = 20.0  # on top of the deadlines that the agent itself enforces
AGENT_HEARTBEAT_S = 60.0
GROUP_BYTES = 128 << 10  # samples go in groups of about this size, at most GROUP_SAMPLES: one round trip each
GROUP_SAMPLES = 64


class LinuxBoard:
    """A board that is reached through `transport` and keeps its own lock, heartbeat deadline and store of models."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        emulated: bool = False,
        beat_s: float = BEAT_S,
        silence_s: float = SILENCE_S,
        heartbeat_s: float = AGENT_HEARTBEAT_S,
    ) -> None:
        self._name, self._transport, self._emulated = name, transport, emulated
        self._beat_s, self._silence_s, self._heartbeat_s = beat_s, silence_s, heartbeat_s
        self._conversation: Conversation | None = None
        self._identity: DeviceIdentity | None = None

    def open(self) -> None:
        """Bring the agent, start it (it takes the lock before anything else), and learn which board this is."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._transport.open(deadline_s=OPEN_S)
        bundle = agent_bundle.build()
        with tempfile.NamedTemporaryFile(prefix="edgepipe-agent-") as file:
            file.write(bundle.content)
            file.flush()
            agent = self._transport.put(Path(file.name), f"agent-{bundle.sha256[:16]}.pyz", deadline_s=PUT_S)
        channel = self._transport.start_agent(agent, deadline_s=OPEN_S)
        self._conversation = Conversation(channel, self._name, beat_s=self._beat_s, silence_s=self._silence_s)
        self._conversation.begin(deadline_s=OPEN_S)
        answer = self._ask("hello", {"holder": _holder(), "heartbeat_s": self._heartbeat_s})
        self._identity = parse(
            DeviceIdentity,
            {**answer, "name": self._name, "board": "linux", "emulated": self._emulated},
            source=f"what {self._name} says of itself",
            error=InfrastructureError,
        )
        if self._identity.agent_sha256 != bundle.sha256:
            raise InfrastructureError(f"{self._name} runs another agent than the one that was sent", cause="the file was damaged")

    def identify(self) -> DeviceIdentity:
        """Return what the agent said when it started."""
        if self._identity is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        return self._identity

    def capabilities(self) -> Capabilities:
        """Return no limits: a Linux board takes any model that its runtime loads."""
        return Capabilities()

    def runtime(self, options: RunOptions) -> RuntimeIdentity:
        """Ask which version of the runtime is installed, and what it makes of the options."""
        wishes = {"runtime": options.runtime, "delegate": options.delegate, "threads": options.threads}
        answer = {**self._ask("runtime", wishes), "affinity": options.affinity}
        return parse(RuntimeIdentity, answer, source=f"{self._name}'s runtime", error=InfrastructureError)

    def push(self, model: Path, sha256: str) -> None:
        """Send the model unless the board has it."""
        if not self._ask("has", {"sha256": sha256})["has"]:
            path = self._transport.put(model, f"{sha256}.tflite", deadline_s=PUT_S)
            self._ask("store", {"path": path, "sha256": sha256}, deadline_s=PUT_S)

    def measure(self, sha256: str, request: BlockRequest) -> Block:
        """Have one block run; the agent ends a child that gives no sign of life for `request.options.deadline_s`."""
        fields = asdict(request)
        options = fields.pop("options")
        longest = options["deadline_s"] * (request.warmup_min + request.min_invocations + 3) + request.warmup_max_s + request.min_s
        answer = self._ask("measure", {"sha256": sha256, "options": options, "request": fields}, deadline_s=longest + GRACE_S)
        return parse(Block, answer, source=f"a block from {self._name}", error=InfrastructureError)

    def predict(self, sha256: str, samples: Iterator[Sequence[bytes]], options: RunOptions) -> Iterator[Prediction]:
        """Stream the samples through one process on the board, a group at a time."""
        conversation = self._talk()
        number = conversation.request("predict", {"sha256": sha256, "options": asdict(options)})
        deadline_s = options.deadline_s + GRACE_S
        try:
            self._child_says(number, "sample_bytes", deadline_s)
            for group in _groups(samples):
                conversation.send_parts(parts(b"".join(group)))
                lengths = self._child_says(number, "lengths", deadline_s * len(group))["lengths"]
                buffer, whole = PartBuffer(), None
                while whole is None:
                    whole = buffer.add(self._child_says(number, "part", deadline_s))
                yield from _cut(whole, lengths)
        finally:
            self._ask("finish", {})

    def _child_says(self, number: int, key: str, deadline_s: float) -> Message:
        message = self._talk().answer(number, deadline_s=deadline_s, key="child")
        if key in message.get("result", {}):
            result: Message = message["result"]
            return result
        if "broken" in message:
            raise InfrastructureError(f"{self._name} cannot run models: {message['broken']}")
        reason = message.get("rejected") or message.get("ended") or "it ended without an answer"
        raise ModelRejected(f"{self._name} could not run the model: {reason}")

    def close(self) -> None:
        """End the agent, and with it the lock."""
        if self._conversation:
            self._conversation.end()
            self._conversation = None
        self._transport.close()

    def _talk(self) -> Conversation:
        if self._conversation is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        return self._conversation

    def _ask(self, do: str, fields: Message, *, deadline_s: float = ASK_S) -> Message:
        return self._talk().ask(do, fields, deadline_s=deadline_s)


def _holder() -> str:
    """Return who we are, for the one who finds the board held."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    return f"{user}@{os.uname().nodename}, edgepipe process {os.getpid()}"


def _groups(samples: Iterator[Sequence[bytes]]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    for sample in samples:
        group.append(b"".join(sample))
        if len(group) == GROUP_SAMPLES or sum(map(len, group)) >= GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def _cut(whole: bytes, lengths: list[list[int]]) -> Iterator[Prediction]:
    start = 0
    for sample in lengths:
        outputs = []
        for length in sample:
            outputs.append(whole[start : start + length])
            start += length
        yield Prediction(outputs=tuple(outputs))
