"""One block: a fresh process that loads a model, warms it up, and times it (METHODS: blocks are the unit of statistics).

The model is fed once, before the first invocation; what is timed is the runtime's own `invoke`, with nothing between the two clock
readings and it.
"""

import gc
import hashlib
import zlib
from array import array
from base64 import b64encode
from time import perf_counter_ns
from typing import Any, Callable, List, Sequence, Tuple

from .conditions import cool_down
from .job import Job, run_job
from .limits import reset_peak, status_bytes
from .runtimes.model import Port

WINDOW = 5
SETTLED = 0.02  # the medians of the last five and of the five before differ by less
SAMPLES_KEPT = 20000
LONGEST_NS = 0xFFFFFFFF


def main() -> int:
    """Be the child process for one block."""
    return run_job(_block)


def _block(job: Job) -> None:
    request = job.request
    wishes = request.get("conditions", {})
    cooled_s = cool_down(wishes.get("cool_below_c"), wishes.get("cool_longest_s", 0.0), job.alive, request.get("root", "/"))
    job.starts()
    reset_peak()
    before_bytes = status_bytes("VmRSS")
    began = perf_counter_ns()
    model = job.load()
    load_ns = perf_counter_ns() - began
    model.feed(seeded_inputs(model.inputs, request["seed"]))
    began = perf_counter_ns()
    model.invoke()
    first_ns = perf_counter_ns() - began
    output_sha256 = hashlib.sha256(b"".join(model.answers())).hexdigest()
    job.alive()
    warmup, settled = warm_up(model.invoke, request["warmup_min"], request["warmup_max_s"], job.alive)
    peak_bytes = status_bytes("VmHWM")
    samples = timed(model.invoke, request["min_invocations"], request["min_s"], job.alive)
    packed, stride = pack(samples)
    job.answer(
        {
            "cooled_s": cooled_s,
            "delegate_ns": job.delegate_ns,
            "load_ns": load_ns,
            "first_ns": first_ns,
            "warmup_invocations": warmup,
            "warmup_settled": settled,
            "invocations": len(samples),
            "stride": stride,
            "samples_ns_zlib": packed,
            "median_ns": median(samples),
            "peak_memory_bytes": peak_bytes,
            "model_memory_bytes": peak_bytes - before_bytes,
            "output_sha256": output_sha256,
            "artefact_sha256": job.sha256,
        }
    )


def seeded_inputs(ports: List[Port], seed: int) -> List[Any]:
    """Return the same random inputs on every board: RandomState's stream is frozen (NEP 19).

    Floats lie in 0..1 and 8- or 16-bit integers span their range; wider integers are indices or counts and are 0, since a model may
    index with them.
    """
    import numpy

    source = numpy.random.RandomState(seed)
    arrays: List[Any] = []
    for shape, dtype in ports:
        if dtype in ("int8", "uint8", "int16", "uint16"):
            limits = numpy.iinfo(dtype)
            arrays.append(source.randint(limits.min, limits.max + 1, size=shape).astype(dtype))
        elif dtype.startswith("float"):
            arrays.append(source.random_sample(shape).astype(dtype))
        else:
            arrays.append(numpy.zeros(shape, dtype))
    return arrays


def warm_up(
    invoke: Callable[[], Any], least: int, longest_s: float, alive: Callable[[], None], clock: Callable[[], int] = perf_counter_ns
) -> Tuple[int, bool]:
    """Invoke until the times have settled, at least `least` times, at most `longest_s`; returns (invocations, settled)."""
    times: List[int] = []
    end = clock() + int(longest_s * 1e9)
    while True:
        began = clock()
        invoke()
        now = clock()
        times.append(now - began)
        alive()
        if len(times) >= max(least, 2 * WINDOW):
            last, earlier = median(times[-WINDOW:]), median(times[-2 * WINDOW : -WINDOW])
            if abs(last - earlier) < SETTLED * earlier:
                return len(times), True
        if len(times) >= least and now >= end:
            return len(times), False


def timed(
    invoke: Callable[[], Any],
    least: int,
    least_s: float,
    alive: Callable[[], None],
    clock: Callable[[], int] = perf_counter_ns,
) -> Sequence[int]:
    """Return the nanoseconds of each of at least `least` invocations, and at least `least_s` of them.

    Signs of life are given once a second and between invocations, so that a slow model is not taken for a hung one.
    """
    samples = array("Q")
    gc.collect()
    gc.disable()
    now = clock()
    end, next_sign = now + int(least_s * 1e9), now + 1000000000
    while now < end or len(samples) < least:
        began = clock()
        invoke()
        now = clock()
        samples.append(now - began)
        if now >= next_sign:
            alive()
            next_sign = now + 1000000000
    gc.enable()
    return samples


def median(values: Sequence[int]) -> float:
    """Return the median, the mean of the middle two for an even number."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def pack(samples: Sequence[int]) -> Tuple[str, int]:
    """Return base64 of zlib of every k-th sample as little-endian uint32, and k; at most 20,000 are kept."""
    stride = max(1, -(-len(samples) // SAMPLES_KEPT))
    kept = b"".join(min(sample, LONGEST_NS).to_bytes(4, "little") for sample in samples[::stride])
    return b64encode(zlib.compress(kept)).decode(), stride
