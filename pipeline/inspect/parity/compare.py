"""The same inputs in every runtime: who answers alike, how far the others are off, and at which layer they part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edgepipe.events import Emit, silent, step
from edgepipe.facts import ModelFacts
from edgepipe.parity import Distance, Divergence, PairReport, Parity, Place, Runtime, RuntimeOutcome, RuntimeReport
from edgepipe.pipeline.inspect.graph import STORED_BITS, Subgraph, read_graph
from edgepipe.pipeline.inspect.parity.distance import decisions, distance, same
from edgepipe.pipeline.inspect.parity.run import Part, Rows, Run, run

Array = NDArray[np.generic]
CLASSIFIERS = frozenset({"SOFTMAX", "LOGISTIC", "LOG_SOFTMAX"})  # an answer that comes out of one of these is a choice
CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
TRACED = 16  # samples whose every tensor is compared
TRACED_BYTES = 128 << 20  # of all their tensors together, in one runtime


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """What is asked: a model's bytes and facts, samples as rows of bytes, in words what they are, whether answers are classes.

    `classes` None: told from the operator that computes the answer.
    """

    content: bytes
    facts: ModelFacts
    samples: Rows
    words: str
    classes: bool | None = None
    deadline_s: float = 600.0


def compare(question: Question, runtimes: Sequence[Runtime] = tuple(Runtime), *, emit: Emit = silent) -> Parity:
    """Return how `runtimes` answer, and for each two of them how far they are apart and where they part.

    A runtime that refuses the model, crashes on it or is not installed is part of the answer. Raises ModelFileError.
    """
    runs = [answers(question, runtime, emit) for runtime in runtimes]
    answered = [each for each in runs if each.ran]
    pairs = [_pair(question, a, b) for a, b in combinations(answered, 2)]
    traced = _Traces(question, emit)
    pairs = [pair if pair.alike else traced.explain(pair, *_of(answered, pair)) for pair in pairs]
    reports = tuple(each.report for each in runs)
    return Parity(
        model_sha256=question.facts.sha256,
        samples=len(question.samples),
        inputs=question.words,
        runtimes=reports,
        pairs=tuple(pairs),
        advice=tuple(_advice(reports, pairs)),
    )


def answers(question: Question, runtime: Runtime, emit: Emit = silent) -> Run:
    """Return what a runtime answers, or why not, with the operator that it does not take. Raises ModelFileError."""
    with step(emit, f"answers of {runtime}", total=len(question.samples), unit="samples") as advance:
        done = run(question.content, runtime, question.samples, deadline_s=question.deadline_s, answered=advance)
    if done.report.outcome is not RuntimeOutcome.REJECTED or done.report.reason.startswith("was not done"):
        return done
    with step(emit, f"the operator that {runtime} does not take"):
        return replace(done, report=replace(done.report, refused_at=_refused_at(question, runtime)))


def _refused_at(question: Question, runtime: Runtime) -> Place | None:
    """Return the first operator without which the part before it runs, found by halving; None where the whole runs in parts."""
    places = places_of(question)
    one = question.samples[:1]
    works, fails = 0, len(places)
    if not places or run(question.content, runtime, one, part=Part(ops=fails), deadline_s=question.deadline_s).ran:
        return None
    while fails - works > 1:
        middle = (works + fails) // 2
        if run(question.content, runtime, one, part=Part(ops=middle), deadline_s=question.deadline_s).ran:
            works = middle
        else:
            fails = middle
    return places[fails - 1]


def places_of(question: Question) -> tuple[Place, ...]:
    """Return the operators of the main graph in the order of execution."""
    count = len(read_graph(question.content)[0].ops)
    return tuple(Place(index=op.index, op=op.op, layer=op.layer) for op in question.facts.ops[:count])


def _of(runs: Sequence[Run], pair: PairReport) -> tuple[Run, Run]:
    by_name = {each.report.runtime: each for each in runs}
    return by_name[pair.a], by_name[pair.b]


def _pair(question: Question, a: Run, b: Run) -> PairReport:
    apart, changed = agreement(question, a.outputs, b.outputs)
    return PairReport(a=a.report.runtime, b=b.report.runtime, distance=apart, decisions_changed=changed)


def agreement(question: Question, a: Sequence[Array], b: Sequence[Array]) -> tuple[Distance, int | None]:
    """Return how far two sets of answers lie apart, and how many decisions changed; None where answers are no classes.

    Each holds one array an output, of shape [samples, …]; both have the same shapes and dtypes.
    """
    changed = None
    if _decides(question):
        chosen = [decisions(outputs[0], question.facts.outputs[0]) for outputs in (a, b)]
        changed = int((chosen[0] != chosen[1]).sum())
    return distance(a, b), changed


def _decides(question: Question) -> bool:
    if len(question.facts.outputs) != 1:
        return False
    if question.classes is not None:
        return question.classes
    return _answering(read_graph(question.content)[0]) in CLASSIFIERS


def _answering(graph: Subgraph) -> str:
    """Return the operator that computes the answer; one that only changes its dtype is passed over."""
    tensor, name = graph.outputs[0], ""
    for op in reversed(graph.ops):
        if tensor in op.outputs:
            name = op.name
            if name not in CONVERSIONS or not op.inputs:
                break
            tensor = op.inputs[0]
    return name


class _Traces:
    """Every tensor of some samples in each runtime, computed once per runtime and set of samples."""

    def __init__(self, question: Question, emit: Emit) -> None:
        self._question = question
        self._emit = emit
        self._places = places_of(question)
        self._graph = read_graph(question.content)[0]
        self._known: dict[tuple[Runtime, tuple[int, ...]], Run] = {}

    def explain(self, pair: PairReport, a: Run, b: Run) -> PairReport:
        """Return the pair with the first operator at which the two part."""
        alike = np.logical_and.reduce([same(left, right) for left, right in zip(a.outputs, b.outputs, strict=True)])
        chosen = np.flatnonzero(~alike)[: self._affordable()]
        traces = [self._trace(each, chosen) for each in (a, b)]
        for each, plain in zip(traces, (a, b), strict=True):
            if not each.ran:
                return replace(pair, untraced=f"{plain.report.runtime} does not show its tensors: {each.report.reason}")
            if not self._unmoved(each, plain, chosen):
                return replace(pair, untraced=f"{plain.report.runtime} answers otherwise when its tensors are looked at")
        return replace(pair, first=self._first(*traces))

    def _affordable(self) -> int:
        computed = [self._graph.tensors[each] for op in self._graph.ops for each in op.outputs]
        size = sum(tensor.elements * STORED_BITS.get(tensor.dtype, 32) // 8 for tensor in computed)
        return max(1, min(TRACED, TRACED_BYTES // max(size, 1)))

    def _trace(self, plain: Run, chosen: NDArray[np.intp]) -> Run:
        key = plain.report.runtime, tuple(chosen.tolist())
        if key not in self._known:
            question = self._question
            with step(self._emit, f"every tensor of {len(chosen)} samples in {plain.report.runtime}"):
                self._known[key] = run(
                    question.content, key[0], question.samples[chosen], part=Part(every=True), deadline_s=question.deadline_s
                )
        return self._known[key]

    def _unmoved(self, trace: Run, plain: Run, chosen: NDArray[np.intp]) -> bool:
        shown = dict(zip(trace.tensors, trace.outputs, strict=True))
        answers = ((shown.get(tensor), plain.outputs[k][chosen]) for k, tensor in enumerate(self._graph.outputs))
        return all(seen is None or bool(same(seen, answer).all()) for seen, answer in answers)

    def _first(self, a: Run, b: Run) -> Divergence | None:
        """Return the first operator in the order of execution with a result that differs: whatever it was fed is then alike."""
        values = {tensor: (left, right) for tensor, left, right in zip(a.tensors, a.outputs, b.outputs, strict=True)}
        for op, place in zip(self._graph.ops, self._places, strict=True):
            results = [values[each] for each in op.outputs if each in values]
            if any(not same(left, right).all() for left, right in results):
                lefts, rights = zip(*results, strict=True)
                return Divergence(place=place, distance=distance(lefts, rights))
        return None


def _advice(reports: Sequence[RuntimeReport], pairs: Sequence[PairReport]) -> Iterator[str]:
    by_name = {report.runtime: report for report in reports}
    micro = by_name.get(Runtime.TFLM)
    if micro is not None and micro.outcome is RuntimeOutcome.MISSING:
        yield "What a microcontroller answers was not asked: pip install 'edgepipe[micro]' (x86-64 Linux)."
    elif micro is not None and micro.outcome is RuntimeOutcome.REJECTED:
        yield "A microcontroller cannot run this file; `edgepipe verify MODEL --target mcu` lists all that is in the way."
    for pair in pairs:
        if pair.b is Runtime.TFLM and pair.a is Runtime.XNNPACK and not pair.alike:
            yield (
                "A microcontroller answers as tflm does. Predict its accuracy with --runtime tflm, never with default LiteRT, "
                f"which answers {pair.distance.samples - pair.distance.exact} of {pair.distance.samples} inputs otherwise."
            )
        if pair.a is Runtime.XNNPACK and pair.b is Runtime.REFERENCE and not pair.alike:
            yield (
                "LiteRT answers as litert-xnnpack unless told otherwise (--delegate none): compare like with like. "
                "Another processor may bring other kernels still; `edgepipe eval --device` asks the board itself."
            )
    if pairs and all(pair.alike for pair in pairs):
        yield _all_alike(pairs[0].distance)


def _all_alike(found: Distance) -> str:
    rarely = f"{300 / found.samples:.2g} %"  # rule of three: 0 of n, with 95 % confidence below 3/n
    return f"All that ran answer alike; 0 of {found.samples} differing means fewer than {rarely} of such inputs (95 % confidence)."
