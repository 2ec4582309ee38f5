"""Where the accuracy went: a quantised model against its float twin on real data, layer by layer, each charged with its own error.

An error that shows at the end of a layer may have been handed to it. So every layer is run by itself, fed what its float twin is
fed; and what it adds is carried alone through the float network to the answer. Layers are ranked by what arrives there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgepipe.documents import parse_json
from edgepipe.errors import ModelRejected
from edgepipe.events import Emit, silent, step
from edgepipe.losses import LayerLoss, QuantisationLoss
from edgepipe.pipeline.data import Dataset, ordered
from edgepipe.pipeline.inspect.flatbuffer import read_facts, read_file
from edgepipe.pipeline.inspect.graph import Subgraph, read_graph
from edgepipe.pipeline.inspect.losses.causes import constants, decibels, explain, range_used
from edgepipe.pipeline.inspect.losses.pairs import ANSWERS, Pair, Pairing, pair
from edgepipe.pipeline.inspect.losses.tally import Seen
from edgepipe.pipeline.inspect.losses.trial import Request, Trial

MEMORY_LIMIT_BYTES = 8 << 30
ANSWERED = 16  # times as many samples are answered as are taken apart: it costs that much less


@dataclass(frozen=True, kw_only=True)
class Twins:
    """A float `.tflite` and the quantised one made from it, with the Keras model's layer names where they are known."""

    wide: Path
    narrow: Path
    layers: tuple[str, ...] = ()


def find_losses(
    twins: Twins, data: Dataset, *, samples: int = 64, emit: Emit = silent, deadline_s: float = 1800.0
) -> QuantisationLoss:
    """Return what quantisation cost, layer by layer. `data` holds values in the model's own units, with labels or without.

    Raises ModelFileError and UnsupportedModel for files that are damaged or no twins, DataError for data that does not fit, and
    ModelRejected for a model that the interpreter refuses, that crashes it, or that is not done after `deadline_s` seconds.
    """
    wide, narrow = read_graph(read_file(twins.wide)), read_graph(read_file(twins.narrow))
    pairing = pair(wide, narrow, twins.layers)
    ordered(data, read_facts(read_file(twins.wide)).inputs)
    # Drawn, since files are often sorted by class; by the raw stream of PCG64, which no version of NumPy changes.
    order = np.argsort(np.random.PCG64(0).random_raw(data.samples), kind="stable")
    asked = data.take(order[: samples * ANSWERED])
    with tempfile.TemporaryDirectory(prefix="edgepipe-losses-") as folder:
        asked.save(Path(folder) / "data")
        request = Request(
            wide=str(twins.wide.absolute()),
            narrow=str(twins.narrow.absolute()),
            data=str(Path(folder) / "data"),
            layers=twins.layers,
            samples=samples,
            answers=asked.samples,
            decides=_decides(wide[0], asked),
        )
        trial = _run(request, Path(folder), emit, deadline_s)
    return _losses(wide[0], narrow[0], pairing, trial)


def _decides(graph: Subgraph, data: Dataset) -> bool:
    """Whether the answer is a class: a softmax or sigmoid at the end of [1, classes], or labels that are whole numbers."""
    if len(graph.outputs) != 1 or len(graph.tensors[graph.outputs[0]].shape) > 2:
        return False
    if data.labels is not None:
        return data.labels.dtype.kind in "iub" and data.labels.size == data.samples
    return any(op.name in ANSWERS and graph.outputs[0] in op.outputs for op in graph.ops)


def _run(request: Request, folder: Path, emit: Emit, deadline_s: float) -> Trial:
    asked, answer, log = folder / "request.json", folder / "answer.json", folder / "stderr"
    asked.write_text(json.dumps(asdict(request)), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "edgepipe.pipeline.inspect.losses.trial", str(asked), str(answer)]
    name = f"take {Path(request.narrow).name} apart"
    with step(emit, name, total=100, unit="%") as advance, log.open("wb") as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=_limit
        )
        clock = threading.Timer(deadline_s, child.kill)
        clock.start()
        try:
            assert child.stdout is not None
            for line in child.stdout:
                done, total = line.split()
                advance(100 * int(done) / int(total))
            child.wait()
        finally:
            late = not clock.is_alive()
            clock.cancel()
            child.kill()
            child.wait()
    if child.returncode:
        last = [line.strip()[:300] for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][-1:]
        what = f"was not done after {deadline_s:.0f} s" if late else f"could not be run (exit status {child.returncode})"
        raise ModelRejected(
            f"{Path(request.narrow).name} or its float twin {what}",
            problems=last,
            todo="Give fewer --samples." if late else "`edgepipe verify MODEL` and `edgepipe eval MODEL` tell which of them it is.",
        )
    return parse_json(Trial, answer.read_bytes(), source="the answer of the trial")


def _limit() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def _losses(wide: Subgraph, narrow: Subgraph, pairing: Pairing, trial: Trial) -> QuantisationLoss:
    order = sorted(range(len(trial.seen)), key=lambda index: (-trial.seen[index].effect, index))
    ranks = {index: rank for rank, index in enumerate(order, 1)}
    layers = [
        _layer(each, seen, ranks[index], wide, narrow)
        for index, (each, seen) in enumerate(zip(pairing.pairs, trial.seen, strict=True))
    ]
    return QuantisationLoss(
        samples=trial.samples,
        answers=trial.answers,
        answer_db=decibels(trial.answer_ratio, 1.0),
        changed=trial.changed,
        right_float=trial.right_float,
        right_quantised=trial.right_quantised,
        layers=tuple(layers),
        unmatched=_unmatched(narrow, pairing.pairs),
    )


def _layer(each: Pair, seen: Seen, rank: int, wide: Subgraph, narrow: Subgraph) -> LayerLoss:
    held = constants(wide, narrow, each)
    scale = each.codes.scale
    loss = LayerLoss(
        layer=each.layer,
        op=each.op,
        tensor=each.name,
        dtype=each.codes.dtype,
        rank=rank,
        effect_db=decibels(seen.effect, 1.0),
        own_db=decibels(seen.own_power, seen.signal_power),
        total_db=decibels(seen.total_power, seen.signal_power),
        flips=seen.flips,
        rms_steps=None if scale is None else seen.own_power**0.5 / scale,
        max_steps=None if scale is None else seen.own_max / scale,
        cosine=seen.cosine,
        saturated=seen.saturated,
        range_used=range_used(each, seen),
        weights=held.loss if held else None,
        cause="",
        remedy="",
    )
    if not loss.hurts:
        return loss
    cause, remedy = explain(each, seen, held, wide)
    return LayerLoss(**{**vars(loss), "cause": cause, "remedy": remedy})


def _unmatched(narrow: Subgraph, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return the operators whose result stands for no float tensor; what only changes the coding is none of them."""
    matched = {each.quant_tensor for each in pairs}
    constant = narrow.unpacked()
    return tuple(
        op.name
        for op in narrow.ops
        if op.name not in ("QUANTIZE", "DEQUANTIZE") and not any(output in matched or output in constant for output in op.outputs)
    )
