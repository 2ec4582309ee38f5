"""A Linux board: whatever its transport, the same agent does the work there."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from time import monotonic, time

from edgepipe.devices import agent_bundle
from edgepipe.devices.agent.lines import Message, PartBuffer, parts
from edgepipe.devices.agent.store import GOLDEN, MODEL
from edgepipe.devices.boards.conversation import BEAT_S, SILENCE_S, Conversation
from edgepipe.devices.boards.linux_work import work_on
from edgepipe.devices.deployments import Deployed, Order, Standing, State, no_trial, no_way_back, too_old
from edgepipe.devices.protocols import BlockRequest, Prediction, RunOptions, Transport
from edgepipe.devices.work import Work, WorkRequest
from edgepipe.documents import parse
from edgepipe.errors import DeviceUnreachable, InfrastructureError, Interrupted, ModelRejected, UsageError, error_for
from edgepipe.records import Block, Capabilities, DeviceIdentity, RuntimeIdentity

OPEN_S = 30.0
ASK_S = 20.0
PUT_S = 300.0
GRACE_S = 20.0  # on top of the deadlines that the agent itself enforces
AGENT_HEARTBEAT_S = 60.0
GROUP_BYTES = 128 << 10  # samples go in groups of about this size, at most GROUP_SAMPLES: one round trip each
GROUP_SAMPLES, FIRST_GROUP_SAMPLES = 64, 8
PROTECT = "Give --protect, which installs one; or --no-reboot-protection, which does without and is recorded."
BRISK_S = 0.5  # a group that takes less makes the next one larger


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
        self._stopped = False

    def open(self) -> None:
        """Bring the agent, start it (it takes the lock before anything else), and learn which board this is."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._transport.open(deadline_s=OPEN_S)
        agent, sha256 = agent_bundle.bring(self._transport, deadline_s=PUT_S)
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
        if self._identity.agent_sha256 != sha256:
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
        answer = {**self._ask("runtime", asdict(options), deadline_s=options.deadline_s + GRACE_S), "affinity": options.affinity}
        return parse(RuntimeIdentity, answer, source=f"{self._name}'s runtime", error=InfrastructureError)

    def push(self, model: Path, sha256: str) -> None:
        """Send the model unless the board has it."""
        self._bring(model, sha256, MODEL, model.name, sound=False)

    def _bring(self, file: Path, sha256: str, content: str, name: str, *, sound: bool) -> int:
        """Send a file unless the board has it, still `sound` if asked; returns the bytes that were sent."""
        wanted = {"sha256": sha256, "content": content}
        if self._ask("has", {**wanted, "sound": sound}, deadline_s=PUT_S)["has"]:
            return 0
        path = self._transport.put(file, f"{sha256}{Path(content).suffix}", deadline_s=PUT_S)
        self._ask("store", {**wanted, "path": path, "name": name}, deadline_s=PUT_S)
        return file.stat().st_size

    def measure(self, sha256: str, request: BlockRequest) -> Block:
        """Have one block run; the agent ends a child that gives no sign of life for `request.options.deadline_s`."""
        fields = asdict(request)
        options = fields.pop("options")
        longest = options["deadline_s"] * (request.warmup_min + request.min_invocations + 3) + request.warmup_max_s + request.min_s
        longest += request.conditions.cool_longest_s
        answer = self._ask("measure", {"sha256": sha256, "options": options, "request": fields}, deadline_s=longest + GRACE_S)
        return parse(Block, answer, source=f"a block from {self._name}", error=InfrastructureError)

    def predict(self, sha256: str, samples: Iterator[Sequence[bytes]], options: RunOptions) -> Iterator[Prediction]:
        """Stream the samples through one process on the board, a group at a time; what a group has answered is yielded at once."""
        number = self._talk().request("predict", {"sha256": sha256, "options": asdict(options)})
        deadline_s = options.deadline_s + GRACE_S
        most, gone = FIRST_GROUP_SAMPLES, False
        try:
            self._child_says(number, "sample_bytes", deadline_s)
            while group := _group(samples, most):
                began = monotonic()
                yield from self._answers(number, group, deadline_s)
                most = _next_size(most, monotonic() - began)
        except DeviceUnreachable:
            gone = True
            raise
        finally:
            if not gone:
                self._ask("finish", {})

    def _answers(self, number: int, group: list[bytes], deadline_s: float) -> Iterator[Prediction]:
        """Return what the process of request `number` answers to a group."""
        self._talk().send_parts(parts(b"".join(group)))
        lengths = self._child_says(number, "lengths", deadline_s * len(group))["lengths"]
        buffer, whole = PartBuffer(), None
        while whole is None:
            whole = buffer.add(self._child_says(number, "part", deadline_s))
        return _cut(whole, lengths)

    def _child_says(self, number: int, key: str, deadline_s: float) -> Message:
        message = self._talk().answer(number, deadline_s=deadline_s, key="child")
        if key in message.get("result", {}):
            result: Message = message["result"]
            return result
        if "broken" in message:
            raise error_for(message.get("slug", InfrastructureError.slug))(f"{self._name} cannot run models: {message['broken']}")
        reason = message.get("rejected") or message.get("ended") or "it ended without an answer"
        raise ModelRejected(f"{self._name} could not run the model: {reason}")

    def work(self, sha256: str, request: WorkRequest) -> Work:
        """Have the agent run long loops."""
        longest_s = request.options.deadline_s + GRACE_S
        return work_on(
            self._name,
            sha256,
            request,
            ask=self._ask,
            follow=lambda do, fields: self.follow(do, fields, deadline_s=longest_s + request.windows * (request.window_s + 1)),
        )

    def ask(self, do: str, fields: Message, *, deadline_s: float = ASK_S) -> Message:
        """Have the agent do one of its other commands, and return its answer. Raises the error that the agent names."""
        return self._ask(do, fields, deadline_s=deadline_s)

    def bring(self, source: Path, name: str) -> str:
        """Copy a file to where the agent can take it; returns its path there."""
        return self._transport.put(source, name, deadline_s=PUT_S)

    def follow(self, do: str, fields: Message, *, deadline_s: float) -> Iterator[Message]:
        """Have the agent start a child, and yield what that says until it has ended; `deadline_s` is from one word to the next."""
        conversation = self._talk()
        number = conversation.request(do, fields)
        while True:
            message = conversation.answer(number, deadline_s=deadline_s, key="child")
            yield message
            if "ended" in message:
                return

    def deploy(self, order: Order) -> Deployed:
        """Send what is missing, and have the agent switch, check and, where that is bad, go back."""
        standing = self.standing()
        if order.signers:
            self.trust(order.target, order.signers)
        asked = {"sha256": order.sha256, "version": order.version, "signed": _signed(order)}
        try:
            self._ask("admit", asked)
        except UsageError as exc:
            raise too_old(exc.what, standing.floor) from exc
        sent = self._bring(order.model, order.sha256, MODEL, order.name, sound=True)
        if standing.current == order.sha256 and standing.state not in (State.STAGED, State.TRIAL):
            return Deployed(id=standing.id, outcome=State.COMMITTED, unchanged=True, sent_bytes=sent)
        self._bring(order.golden, order.golden_sha256, GOLDEN, order.golden.name, sound=True)
        wishes = {
            **asked,
            "golden": order.golden_sha256,
            "options": asdict(order.options),
            "deadline_s": order.deadline_s,
            "slowest_us": order.slowest_us,
            "protect": order.protected,
        }
        try:
            answer = self._ask("deploy", wishes, deadline_s=order.deadline_s + 2 * GRACE_S)
        except UsageError as exc:
            raise UsageError(exc.what, todo=PROTECT) from exc
        return parse(Deployed, {**answer, "sent_bytes": sent}, source=f"a trial on {self._name}", error=InfrastructureError)

    def confirm(self, trial: str = "") -> None:
        """Have the agent keep the model on trial."""
        try:
            self._ask("confirm", {"trial": trial})
        except UsageError as exc:
            raise no_trial(self._name, self.standing()) from exc

    def rollback(self, reason: str) -> str | None:
        """Have the agent go back."""
        try:
            current: str | None = self._ask("rollback", {"reason": reason})["current"]
        except UsageError as exc:
            standing = self.standing()
            if standing.previous is None:
                raise no_way_back(self._name, standing) from exc
            raise UsageError(exc.what, todo="Deploy another model: that one was ruled out by whoever signed.") from exc
        return current

    def standing(self) -> Standing:
        """Ask for the slots and the last deployment."""
        known = {field.name for field in fields(Standing)}
        answer = {name: value for name, value in self._ask("status", {}).items() if name in known}
        return parse(Standing, answer, source=f"how {self._name} stands", error=InfrastructureError)

    def trust(self, target: str, signers: Sequence[str], *, replace: bool = False) -> tuple[str, ...]:
        """Have the agent demand signatures of these keys from now on, and return their fingerprints.

        Raises SignatureRefused where the board trusts others already, unless they are to be replaced.
        """
        answer = self._ask("trust", {"target": target, "signers": list(signers), "replace": replace})
        return tuple(answer["signers"])

    def protect(self) -> str:
        """Have the agent install what rolls a trial back after a reboot."""
        return str(self._ask("boot_hook", {"wanted": True})["boot_hook"])

    def unprotect(self) -> None:
        """Have the agent take that away again."""
        self._ask("boot_hook", {"wanted": False})

    def stop(self) -> None:
        """Have whatever waits for the agent raise Interrupted."""
        self._stopped = True
        if self._conversation:
            self._conversation.stop()

    def close(self) -> None:
        """End the agent, and with it the lock."""
        if self._conversation:
            self._conversation.end()
            self._conversation = None
        self._transport.close()

    def _talk(self) -> Conversation:
        if self._conversation is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        if self._stopped:
            raise Interrupted(f"{self._name}: stopped")
        return self._conversation

    def _ask(self, do: str, fields: Message, *, deadline_s: float = ASK_S) -> Message:
        return self._talk().ask(do, fields, deadline_s=deadline_s)


def _signed(order: Order) -> Message | None:
    return None if order.signed is None else {**order.signed._asdict(), "checked": bool(order.signers), "now_s": time()}


def _holder() -> str:
    """Return who we are, for the one who finds the board held."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    return f"{user}@{os.uname().nodename}, edgepipe process {os.getpid()}"


def _group(samples: Iterator[Sequence[bytes]], most: int) -> list[bytes]:
    """Return the next samples, at most `most` and about GROUP_BYTES of them; none at the end."""
    group: list[bytes] = []
    for sample in samples:
        group.append(b"".join(sample))
        if len(group) == most or sum(map(len, group)) >= GROUP_BYTES:
            break
    return group


def _next_size(most: int, took_s: float) -> int:
    """Return how many samples the next group may have: a slow board says something every few seconds, and little is asked twice."""
    if took_s < BRISK_S:
        return min(GROUP_SAMPLES, 2 * most)
    return max(1, most // 2) if took_s > 4 * BRISK_S else most


def _cut(whole: bytes, lengths: list[list[int]]) -> Iterator[Prediction]:
    start = 0
    for sample in lengths:
        outputs = []
        for length in sample:
            outputs.append(whole[start : start + length])
            start += length
        yield Prediction(outputs=tuple(outputs))
