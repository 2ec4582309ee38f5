"""One measurement in a few figures: medians over its good blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepipe.records import Block, RunOutcome, RunRecord, RuntimeIdentity, unpack_samples_ns
from edgepipe.reports import stats, words

UNTOLD = "unknown"  # what a record has in the place of what a board did not say


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Medians over blocks; `p90_ns` and `mad_ns` are medians of each block's own. None: not measured, or too few samples."""

    blocks_ok: int
    median_ns: float | None
    p90_ns: float | None
    mad_ns: float | None
    min_ns: float | None
    max_ns: float | None
    load_ns: float | None
    first_ns: float | None
    peak_memory_bytes: float | None
    smallest_visible_change: float | None


def of(record: RunRecord) -> Summary:
    """Summarise the blocks whose outcome is ok; the others are counted, never averaged in."""
    good = good_blocks(record)
    spreads = [spread(block) for block in good]
    medians = [block.median_ns for block in good if block.median_ns is not None]
    return Summary(
        blocks_ok=len(good),
        median_ns=_median(medians),
        p90_ns=_median([item.p90_ns for item in spreads]),
        mad_ns=_median([item.mad_ns for item in spreads]),
        min_ns=min((item.min_ns for item in spreads if item.min_ns is not None), default=None),
        max_ns=max((item.max_ns for item in spreads if item.max_ns is not None), default=None),
        load_ns=_median([block.load_ns for block in good]),
        first_ns=_median([block.first_ns for block in good]),
        peak_memory_bytes=_median([block.peak_memory_bytes for block in good]),
        smallest_visible_change=stats.smallest_visible_change(medians),
    )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The samples of one block in figures; None where there are too few."""

    p90_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    mad_ns: float | None
    min_ns: float | None
    max_ns: float | None


def spread(block: Block) -> Spread:
    """Return the figures of one block's samples. Raises ValueError for damaged samples."""
    samples = np.asarray(unpack_samples_ns(block.samples_ns_zlib), dtype=float)

    def when_any(figure: Callable[[NDArray[np.float64]], float]) -> float | None:
        return float(figure(samples)) if len(samples) else None

    return Spread(
        p90_ns=stats.quantile(samples, 0.90),
        p95_ns=stats.quantile(samples, 0.95),
        p99_ns=stats.quantile(samples, 0.99),
        mad_ns=when_any(stats.mad),
        min_ns=when_any(np.min),
        max_ns=when_any(np.max),
    )


def good_blocks(record: RunRecord) -> tuple[Block, ...]:
    """Return the blocks that count."""
    return tuple(block for block in record.blocks if block.outcome is RunOutcome.OK)


def is_told(runtime: RuntimeIdentity) -> bool:
    """Whether a board told what it runs models with: one that never answered did not."""
    return runtime.version != UNTOLD


def runtime_words(runtime: RuntimeIdentity) -> str:
    """'ai-edge-litert 2.3.0, xnnpack, 1 thread on CPU 2'; 'not known' of a board that never answered."""
    if not is_told(runtime):
        return "not known"
    threads = "1 thread" if runtime.threads == 1 else f"{runtime.threads} threads"
    pinned = f" on CPU {','.join(map(str, runtime.affinity))}" if runtime.affinity else ""
    return f"{runtime.name} {runtime.version}, {runtime.delegate or 'no delegate'}, {threads}{pinned}"


def is_timed(record: RunRecord) -> bool:
    """Whether a record has a row among those of times: one with blocks, or one that says what went wrong."""
    return bool(record.blocks) or record.outcome is not RunOutcome.OK


def accuracy_words(record: RunRecord) -> str:
    """'kws.tflite on pi4: accuracy 91.6 % of 1,000 samples'; "" for a run that judged no answers."""
    found = record.accuracy
    if found is None:
        return ""
    value = words.share(found.metric, found.value)
    return f"{record.artefact_name} on {record.device.name}: {found.metric} {value} of {words.whole(found.samples)} samples"


def edge_tpu_words(record: RunRecord) -> str:
    """'98.2 % of the multiply-accumulates on the Edge TPU; its delegate loads in 2.81 s'; "" for a run without one."""
    if record.runtime.delegate != "edgetpu" or not good_blocks(record):
        return ""
    loading = _median([block.delegate_ns for block in good_blocks(record)])
    delegate = "" if loading is None else f"; its delegate loads in {words.time(loading)}"
    if record.tpu_mac_share is None:
        return f"share on the Edge TPU not known: what it was compiled from is not beside it{delegate}"
    return f"{100 * record.tpu_mac_share:.1f} % of the multiply-accumulates on the Edge TPU{delegate}"


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return stats.median(known) if known else None
