"""The process that runs a float model and its quantised twin, and is free to crash: python -m … request.json answer.json.

Three runs a sample: both networks as they are; then both cut open at every pair of tensors and fed the float network's values,
rounded to what the quantised one can store, so that each layer shows its own error and none that it was handed. Then, layer by
layer, the float network with that layer's own error alone in it, to see what becomes of the answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepipe.documents import parse_json
from edgepipe.pipeline.data import Dataset, ordered
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.graph import read_graph
from edgepipe.pipeline.inspect.losses.cut import Cut, Values, open_model
from edgepipe.pipeline.inspect.losses.pairs import Codes, Pair, codes_of, pair
from edgepipe.pipeline.inspect.losses.tally import Real, Seen, Tally

LARGEST_KEPT_BYTES = 1 << 30  # of activations; fewer samples where a network is too wide for as many as were asked for


@dataclass(frozen=True, kw_only=True)
class Request:
    """Both files, a dataset's folder, the Keras layers' names, and how many samples to take apart and how many to answer.

    `decides`: the answers are classes, so that a changed one can be counted.
    """

    wide: str
    narrow: str
    data: str
    layers: tuple[str, ...]
    samples: int
    answers: int
    decides: bool


@dataclass(frozen=True, kw_only=True)
class Trial:
    """All pairs in their order, of `samples` samples; and of `answers` samples the noise to signal of the answer.

    Where answers are decisions: how many of them changed, and how many were right before and after where there are labels.
    """

    seen: tuple[Seen, ...]
    samples: int
    answers: int
    answer_ratio: float
    changed: int | None
    right_float: int | None
    right_quantised: int | None


def main(request: Path, answer: Path) -> None:
    """Answer one request: the fields of a `Request` in, those of a `Trial` out; "done total" on stdout after each piece of work."""
    asked = parse_json(Request, request.read_bytes(), source=str(request))
    answer.write_text(json.dumps(asdict(_Bench(asked).run())), encoding="utf-8")


class _Bench:
    """Both models, ready to be cut open, and the data."""

    def __init__(self, asked: Request) -> None:
        contents = Path(asked.wide).read_bytes(), Path(asked.narrow).read_bytes()
        wide, narrow = (read_graph(content) for content in contents)
        self._graph = wide[0]
        self._pairing = pair(wide, narrow, asked.layers)
        self._pairs = self._pairing.pairs
        self._wide, self._narrow = (open_model(content) for content in contents)
        self._ports = [
            (ours, theirs, codes_of(narrow[0].tensors[theirs]))
            for ours, theirs in zip(wide[0].inputs, narrow[0].inputs, strict=True)
        ]
        self._outputs = [
            (ours, theirs, codes_of(narrow[0].tensors[theirs]) or Codes(dtype=narrow[0].tensors[theirs].dtype))
            for ours, theirs in self._pairing.outputs
        ]
        data = Dataset.open(Path(asked.data))
        self._labels = data.labels
        self._columns = ordered(data, read_facts(contents[0]).inputs)
        kept = sum(4 * self._graph.tensors[each.float_tensor].elements for each in self._pairs)
        self._samples = max(1, min(asked.samples, data.samples, LARGEST_KEPT_BYTES // max(kept, 1)))
        self._answers = min(asked.answers, data.samples)
        self._decides = asked.decides
        self._total = self._samples * (len(self._pairs) + 1) + self._answers
        self._done = 0

    def run(self) -> Trial:
        """Return everything that was seen."""
        tallies, fed, judged = self._take_apart()
        seen = []
        for each, tally in zip(self._pairs, tallies, strict=True):
            effect, flips = self._effect(each, fed[each.float_tensor], judged)
            seen.append(tally.seen(tally.own_ratio if effect is None else effect, flips))
        ratio, changed, rights = self._answer()
        return Trial(
            seen=tuple(seen),
            samples=self._samples,
            answers=self._answers,
            answer_ratio=ratio,
            changed=changed if self._decides else None,
            right_float=rights[0] if self._decides and self._labels is not None else None,
            right_quantised=rights[1] if self._decides and self._labels is not None else None,
        )

    def _take_apart(self) -> tuple[list[Tally], dict[int, Real], list[Values]]:
        """Return for each pair its tally, its values with only its own error in them, and the values that errors are weighed at."""
        inner = [each for each in self._pairs if each.float_op is not None]
        ours, theirs = [each.float_tensor for each in inner], [each.quant_tensor for each in inner]
        whole = Cut(self._wide, (), tuple(dict.fromkeys((*ours, *self._pairing.judged)))), Cut(self._narrow, (), theirs)
        lone = (
            Cut(self._wide, [each.float_tensor for each in self._pairs], ours),
            Cut(self._narrow, [each.quant_tensor for each in self._pairs], theirs),
        )
        tallies = [Tally(each.codes) for each in self._pairs]
        fed: dict[int, Real] = {}
        judged = []
        for index in range(self._samples):
            sample = self._sample(index)
            coded = self._coded(sample)
            real: Values = {**sample, **whole[0](sample)}
            reached: Values = {**coded, **whole[1](coded)}
            codes: Values = {each.quant_tensor: each.codes.encode(_real(real[each.float_tensor])) for each in self._pairs}
            rounded: Values = {each.float_tensor: each.codes.decode(codes[each.quant_tensor]) for each in self._pairs}
            wanted: Values = {**sample, **lone[0]({**sample, **rounded})}
            given: Values = {**coded, **lone[1]({**coded, **codes})}
            for each, tally in zip(self._pairs, tallies, strict=True):
                x, z = _real(real[each.float_tensor]), _real(wanted[each.float_tensor])
                y, total = each.codes.decode(given[each.quant_tensor]), each.codes.decode(reached[each.quant_tensor])
                tally.add(x, z, y, total)
                fed.setdefault(each.float_tensor, np.empty((self._samples, *x.shape), np.float32))[index] = x + (y - z)
            judged.append({tensor: real[tensor] for tensor in self._pairing.judged})
            self._advance()
        return tallies, fed, judged

    def _effect(self, each: Pair, fed: Real, judged: Sequence[Values]) -> tuple[float | None, int]:
        """Return (noise to signal at the answer, changed decisions) of the float network with one layer's own error in it.

        None for a softmax at the end itself, which comes after the place where errors are weighed.
        """
        places = self._pairing.judged
        last = each.float_tensor not in places and each.float_tensor in [ours for ours, _ in self._pairing.outputs]
        beyond = [place for place in places if place != each.float_tensor]
        tail = Cut(self._wide, (each.float_tensor,), beyond) if beyond and not last else None
        noise = signal = 0.0
        flips = 0
        for index in range(self._samples):
            values: Values = {**self._sample(index), each.float_tensor: fed[index]}
            answer = {**values, **(tail(values) if tail else {})}
            for place in () if last else places:
                true, got = (self._centred(_real(held[place])) for held in (judged[index], answer))
                noise, signal = noise + float(np.sum((got - true) ** 2)), signal + float(np.sum(true**2))
            if self._decides:
                before = _decision(judged[index][places[0]], self._pairing.threshold)
                after = _decision(fed[index], 0.5) if last else _decision(answer[places[0]], self._pairing.threshold)
                flips += before != after
            self._advance()
        return None if last else noise / signal if signal else 0.0, flips

    def _answer(self) -> tuple[float, int, list[int]]:
        """Return the answer's noise to signal, the changed decisions, and the right ones before and after."""
        whole = (
            Cut(self._wide, (), [ours for ours, _, _ in self._outputs]),
            Cut(self._narrow, (), [theirs for _, theirs, _ in self._outputs]),
        )
        noise = signal = 0.0
        changed, right = 0, [0, 0]
        for index in range(self._answers):
            sample = self._sample(index)
            answers = whole[0](sample), whole[1](self._coded(sample))
            both = [(_real(answers[0][ours]), codes.decode(answers[1][theirs])) for ours, theirs, codes in self._outputs]
            noise += sum(float(np.sum((y - x) ** 2)) for x, y in both)
            signal += sum(float(np.sum(x**2)) for x, _ in both)
            if self._decides:
                decisions = [_decision(values, 0.5) for values in both[0]]
                changed += decisions[0] != decisions[1]
                if self._labels is not None:
                    right = [
                        count + (made == int(self._labels[index].item())) for count, made in zip(right, decisions, strict=True)
                    ]
            self._advance()
        return noise / signal if signal else 0.0, changed, right

    def _sample(self, index: int) -> Values:
        return {
            tensor: np.asarray(column[index])
            .reshape([max(size, 1) for size in self._graph.tensors[tensor].shape])
            .astype(self._graph.tensors[tensor].dtype)
            for (tensor, _, _), column in zip(self._ports, self._columns, strict=True)
        }

    def _coded(self, sample: Values) -> Values:
        return {theirs: sample[ours] if how is None else how.encode(_real(sample[ours])) for ours, theirs, how in self._ports}

    def _centred(self, values: Real) -> Real:
        return values - values.mean(axis=-1, keepdims=True) if self._pairing.centred else values

    def _advance(self) -> None:
        self._done += 1
        if self._done % max(1, self._total // 100) == 0:
            sys.stdout.write(f"{self._done} {self._total}\n")
            sys.stdout.flush()


def _real(values: NDArray[np.generic]) -> Real:
    return values.astype(np.float32)


def _decision(answer: NDArray[np.generic], threshold: float) -> int:
    return int(np.argmax(answer)) if answer.size > 1 else int(answer.ravel()[0] > threshold)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
