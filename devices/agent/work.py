"""Long loops for a power meter: idle, windows of invocations, idle, each with its beginning and end on the board's clock.

Windows are marked by a GPIO line too, where one is named. Times are CLOCK_MONOTONIC in nanoseconds; the host knows how that runs
beside its own.
"""

from contextlib import contextmanager
from time import monotonic_ns, sleep
from typing import Any, Callable, Iterator, List, Optional

from .block import seeded_inputs, warm_up
from .gpio import output_line
from .job import Job, run_job

GAP_S = 0.5  # between two windows, so that a marker falls
NAP_S = 0.25
WARMUP_S = 2.0
IDLE, WINDOW = "idle", "window"


def main() -> int:
    """Be the child process for one series of loops."""
    return run_job(_work)


def _work(job: Job) -> None:
    request = job.request
    model = job.load()
    model.feed(seeded_inputs(model.inputs, request["seed"]))
    warm_up(model.invoke, request["least_inferences"], WARMUP_S, job.alive)
    stretches: List[List[Any]] = []
    with _marker(request["marker_gpio"]) as mark:
        stretches.append(_rest(request["idle_s"], job.alive))
        for _ in range(request["windows"]):
            _rest(GAP_S, job.alive)
            stretches.append(loop(model.invoke, request["window_s"], request["least_inferences"], mark, job.alive))
        _rest(GAP_S, job.alive)
        stretches.append(_rest(request["idle_s"], job.alive))
    job.answer({"stretches": stretches, "marked": request["marker_gpio"] is not None})


def loop(
    invoke: Callable[[], Any], least_s: float, least: int, mark: Callable[[bool], None], alive: Callable[[], None]
) -> List[Any]:
    """Invoke for at least `least_s` and `least` times, marked; returns [kind, begin, end, invocations]."""
    count, now = 0, 0
    mark(True)
    began = monotonic_ns()
    end = began + int(least_s * 1e9)
    while now < end or count < least:
        invoke()
        count += 1
        now = monotonic_ns()
        alive()
    mark(False)
    return [WINDOW, began, now, count]


def _rest(seconds: float, alive: Callable[[], None]) -> List[Any]:
    """Do nothing for so long; returns [kind, begin, end, 0]."""
    began = now = monotonic_ns()
    end = began + int(seconds * 1e9)
    while now < end:
        sleep(min(NAP_S, (end - now) / 1e9))
        alive()
        now = monotonic_ns()
    return [IDLE, began, now, 0]


@contextmanager
def _marker(line: Optional[int]) -> Iterator[Callable[[bool], None]]:
    if line is None:
        yield lambda high: None
    else:
        with output_line(line) as mark:
            yield mark
