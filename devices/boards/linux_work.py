"""Long loops on a Linux board: its agent runs them and says when on the board's clock, which is mapped to this machine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TypeAlias

from edgepipe.devices.clock_map import ClockMap, exchange
from edgepipe.devices.work import Stretch, StretchKind, Work, WorkRequest
from edgepipe.errors import InfrastructureError, ModelRejected

Message: TypeAlias = dict[str, Any]
NS = 1_000_000_000


def work_on(
    name: str,
    sha256: str,
    request: WorkRequest,
    *,
    ask: Callable[[str, Message], Message],
    follow: Callable[[str, Message], Iterator[Message]],
) -> Work:
    """Have the agent of the board `name` run the loops. Raises ModelRejected, InfrastructureError."""
    fields = asdict(request)
    options = fields.pop("options")

    def read_ns() -> int:
        return int(ask("clock", {})["monotonic_ns"])

    before = exchange(read_ns)
    said: Message = {}
    for message in follow("work", {"sha256": sha256, "options": options, "request": fields}):
        said.update(message)
    result = said.get("result")
    if result is None:
        raise _failure(name, said)
    clock = ClockMap(before=before, after=exchange(read_ns))
    try:
        stretches = tuple(_stretch(one, clock) for one in result["stretches"])
        return Work(stretches=stretches, marked=bool(result["marked"]), logged=True)
    except (KeyError, TypeError, ValueError) as exc:
        raise InfrastructureError(f"{name} said something of its loops that is none", cause="an agent of another version") from exc


def _stretch(told: list[Any], clock: ClockMap) -> Stretch:
    kind, began_ns, ended_ns, inferences = told
    return Stretch(
        kind=StretchKind(kind),
        start_s=clock.host_s(began_ns / NS),
        end_s=clock.host_s(ended_ns / NS),
        uncertainty_s=clock.uncertainty_s,
        inferences=int(inferences),
    )


def _failure(name: str, said: Message) -> Exception:
    if "broken" in said:
        return InfrastructureError(f"{name} cannot run models: {said['broken']}")
    reason = said.get("rejected") or said.get("ended") or "it ended without an answer"
    if "cannot be the marker" in str(reason):
        return InfrastructureError(f"{name}: {reason}", todo="Correct marker_gpio in the inventory, or leave it out.")
    return ModelRejected(f"{name} could not run the model: {reason}")
