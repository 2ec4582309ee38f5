"""The host's side of the agent's line protocol: requests, answers, and the heartbeat that keeps the board ours."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

from edgepipe.devices.agent.lines import Message, decode, encode
from edgepipe.devices.protocols import Channel
from edgepipe.errors import DeviceBusy, DeviceUnreachable, EdgepipeError, InfrastructureError, Interrupted, error_for

BEAT_S = 15.0
SILENCE_S = 40.0  # an agent that lives answers every heartbeat
SEND_S = 30.0


class Conversation:
    """One request at a time; a thread of its own sends the heartbeats between and during them."""

    def __init__(self, channel: Channel, device: str, *, beat_s: float = BEAT_S, silence_s: float = SILENCE_S) -> None:
        self._channel, self._device = channel, device
        self._beat_s, self._silence_s = beat_s, silence_s
        self._sending, self._number = threading.Lock(), 0
        self._over, self._stopped = threading.Event(), False
        self._heart = threading.Thread(target=self._beat, name=f"heartbeat {device}", daemon=True)

    def begin(self, *, deadline_s: float) -> None:
        """Wait until the agent holds the board. Raises DeviceBusy with who holds it instead, or DeviceUnreachable."""
        first = self._receive(monotonic() + deadline_s)
        if first.get("error") == DeviceBusy.slug:
            raise DeviceBusy(f"{self._device} is held by {_words(first.get('holder') or {})}")
        if "ready" not in first:
            raise DeviceUnreachable(
                f"{self._device} could not start: {first.get('words', first)}",
                cause="the board was reached, and edgepipe's agent did not start there",
                todo=f"Mend that on the board; `edgepipe farm probe {self._device}` asks it again.",
            )
        self._heart.start()

    def ask(self, do: str, fields: Message, *, deadline_s: float) -> Message:
        """Send a request and return what its answer holds. Raises the error that the agent names."""
        return self.answer(self.request(do, fields), deadline_s=deadline_s)

    def request(self, do: str, fields: Message) -> int:
        """Send a request and return its number."""
        self._check_wanted()
        self._number += 1
        self._send({**fields, "id": self._number, "do": do})
        return self._number

    def send_parts(self, messages: Iterable[Message]) -> None:
        """Send what needs no answer of its own."""
        for message in messages:
            self._send(message)

    def answer(self, number: int, *, deadline_s: float, key: str = "ok") -> Message:
        """Return what the answer to request `number` holds under `key`; whatever else is said meanwhile is passed over."""
        end = monotonic() + deadline_s
        while True:
            if monotonic() >= end:
                raise DeviceUnreachable(f"{self._device} did not answer by its deadline")
            message = self._receive(end)
            self._check_wanted()
            if message.get("id") != number:
                continue
            if "error" in message:
                raise failure(message, self._device)
            if isinstance(message.get(key), dict):
                body: Message = message[key]
                return body

    def stop(self) -> None:
        """Have whoever waits for an answer raise Interrupted: the agent's answer to a heartbeat wakes them. For other threads."""
        self._stopped = True
        with suppress(DeviceUnreachable):
            self._send({"do": "beat"})

    def _check_wanted(self) -> None:
        if self._stopped:
            raise Interrupted(f"{self._device}: stopped")

    def end(self) -> None:
        """Stop the heartbeat and close the channel, at which the agent lets go of the board."""
        self._over.set()
        with self._sending:
            self._channel.close()
        if self._heart.is_alive():
            self._heart.join()

    def _send(self, message: Message) -> None:
        with self._sending:
            self._channel.send(encode(message), deadline_s=SEND_S)

    def _receive(self, end: float) -> Message:
        """Return the next message by `end`; no more than SILENCE_S may pass without any."""
        return understood(self._channel.receive(deadline_s=max(0.0, min(self._silence_s, end - monotonic()))), self._device)

    def _beat(self) -> None:
        while not self._over.wait(self._beat_s):
            try:
                self._send({"do": "beat"})
            except DeviceUnreachable:  # whoever waits for an answer finds the same and says so
                return


def understood(line: bytes, device: str) -> Message:
    """Return the message in a line of an agent's. Raises InfrastructureError for what is none."""
    try:
        return decode(line)
    except ValueError as exc:
        raise InfrastructureError(
            f"{device} said something that is no answer: {line[:60]!r}",
            cause="something else writes to the agent's channel",
        ) from exc


def failure(message: Message, device: str) -> EdgepipeError:
    """Return the error that an agent answered with."""
    return error_for(str(message["error"]))(f"{device}: {message.get('words')}")


def _words(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    who = f" ({holder['holder']})" if holder.get("holder") else ""
    return f"process {holder.get('pid')}{who} since {holder.get('since')}"
