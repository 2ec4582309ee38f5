"""The health check as the agent sees it: one child, and what it is that is wrong with the model.

Crashed, hung, out of memory, wrong output and slow are different answers, since each has another cure.
"""

import re
from selectors import BaseSelector
from typing import Any, Callable, Dict, NamedTuple, Optional

from .child import Child
from .limits import memory_available_bytes
from .lines import Message

CRASHED, HUNG, OUT_OF_MEMORY, WRONG_OUTPUT, SLOW = "crashed", "hung", "out of memory", "wrong output", "slow"
REFUSED, BROKEN = "refused", "broken"  # by the runtime; no runtime
MEMORY_WORDS = re.compile(r"bad_alloc|memory|failed to allocate|cannot allocate", re.IGNORECASE)
MORE = 16  # times the limit: what runs with that much, and not with the limit, was short of memory


class Verdict(NamedTuple):
    """What the check found: `finding` is empty where the model is healthy."""

    finding: str
    reason: str
    measured: Dict[str, Any]


class Health:
    """One check; `done` is given the verdict. Where the child fails, one with more memory tells whether that was the cause."""

    def __init__(
        self,
        selector: BaseSelector,
        job: Message,
        slowest_us: Optional[float],
        done: Callable[[Verdict], None],
        again: Callable[[Child], None],
    ) -> None:
        self._selector, self._job, self._slowest_us = selector, job, slowest_us
        self._done, self._again = done, again
        self._said: Message = {}
        self._first: Optional[Verdict] = None

    def start(self) -> Child:
        """Start the child."""
        self._said = {}
        return Child(self._selector, "check", self._job, self._said.update, self._ended)

    def _ended(self, reason: str) -> None:
        verdict = judge(self._said, reason, self._slowest_us)
        if self._first:
            if verdict.finding not in (CRASHED, REFUSED, HUNG):
                words = "it needs more memory than it may take: %s" % self._first.reason
                verdict = Verdict(OUT_OF_MEMORY, words, {})
            else:
                verdict = self._first
        elif verdict.finding in (CRASHED, REFUSED):
            self._first = verdict
            limit = self._job["memory_limit_bytes"]
            self._job = dict(self._job, memory_limit_bytes=MORE * (memory_available_bytes() if limit is None else limit))
            self._again(self.start())
            return
        self._done(verdict)


def judge(said: Message, reason: str, slowest_us: Optional[float]) -> Verdict:
    """Return what a child's words and the way it ended say of the model."""
    result = said.get("result")
    if result and not reason:
        if result["wrong"]:
            return Verdict(WRONG_OUTPUT, "; ".join(result["wrong"]), {})
        measured = {"samples": result["samples"], "median_us": result["median_us"]}
        if slowest_us is not None and result["median_us"] > slowest_us:
            return Verdict(SLOW, "it takes %.0f us where %.0f us are allowed" % (result["median_us"], slowest_us), measured)
        return Verdict("", "", measured)
    if "broken" in said:
        return Verdict(BROKEN, said["broken"], {})
    words = reason or said.get("rejected") or "it ended without an answer"
    if "did not answer within" in reason:
        return Verdict(HUNG, words, {})
    if MEMORY_WORDS.search(words):
        return Verdict(OUT_OF_MEMORY, words, {})
    return Verdict(CRASHED if reason else REFUSED, words, {})
