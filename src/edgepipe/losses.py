"""Where accuracy went when a model was quantised: one entry a layer, and what became of the answers.

Frozen, keyword-only dataclasses made of JSON's types, as in `edgepipe.facts`. SQNR is the signal's power over the error's, in dB:
6 dB are one bit. None in its place: there is no error at all.
"""

from __future__ import annotations

from dataclasses import dataclass

HURTS_DB = 30.0  # an error of a thirtieth of the answer's own size, from one layer alone


@dataclass(frozen=True, kw_only=True)
class WeightLoss:
    """The weights of one operator before and after: `sqnr_db` of all, `worst_channel_db` of the worst output channel.

    `steps_off` is the largest difference in steps of its own scale: rounding alone makes at most half a step. `spread`: the widest
    output channel's largest weight over the middle one's; `per_channel` whether each has a scale of its own.
    """

    sqnr_db: float | None
    worst_channel_db: float | None
    steps_off: float
    spread: float
    per_channel: bool


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """One tensor that a layer computes; `layer` is the Keras layer, `op` the operator, INPUT for the model's input.

    `effect_db`: SQNR at the model's answer when this layer alone is quantised; what `rank` goes by, 1 being the worst. `own_db`: at
    the layer's output, when it is fed what its float twin is fed. `total_db`: there, when everything before it is quantised too.
    `flips`: decisions that this layer alone changes. `rms_steps` and `max_steps`: its own error in steps of the output's scale.
    `saturated`: share of float values that the tensor cannot store; `range_used`: share of what it can store that they fill.
    `cause` and `remedy` are words, empty where nothing stands out.
    """

    layer: str
    op: str
    tensor: str
    dtype: str
    rank: int
    effect_db: float | None
    own_db: float | None
    total_db: float | None
    flips: int
    rms_steps: float | None
    max_steps: float | None
    cosine: float
    saturated: float
    range_used: float | None
    weights: WeightLoss | None
    cause: str
    remedy: str

    @property
    def hurts(self) -> bool:
        """Whether this layer alone is felt at the answer."""
        return self.flips > 0 or (self.effect_db is not None and self.effect_db < HURTS_DB)


@dataclass(frozen=True, kw_only=True)
class QuantisationLoss:
    """A quantised file held against its float twin on real data: `samples` taken apart, `answers` only answered.

    `answer_db`: SQNR of the answer. `changed` of `answers` are decided otherwise, `right_float` and `right_quantised` are right;
    None where the model decides nothing or the data has no labels.
    `unmatched`: operators of the quantised file without a float tensor to hold against.
    """

    samples: int
    answers: int
    answer_db: float | None
    changed: int | None
    right_float: int | None
    right_quantised: int | None
    layers: tuple[LayerLoss, ...]
    unmatched: tuple[str, ...]

    @property
    def ranked(self) -> tuple[LayerLoss, ...]:
        """The layers, the one that hurts most first."""
        return tuple(sorted(self.layers, key=lambda each: each.rank))


@dataclass(frozen=True, kw_only=True)
class RungResult:
    """One rung of the ladder of remedies. `why_not` says why it was not tried; then the figures are None.

    `validation` and `test` are shares of right answers, or the mean squared error of numbers; `points`, with its 95 % interval from
    `low` to `high`, is the validation accuracy less the float model's, in percentage points. The choice is made on these alone.
    `fits`: the file runs on the target. `meets`: it fits, and loses no more than was allowed.
    """

    name: str
    does: str
    why_not: str = ""
    validation: float | None = None
    points: float | None = None
    low: float | None = None
    high: float | None = None
    test: float | None = None
    size_bytes: int | None = None
    fits: bool = False
    meets: bool = False
    cached: bool = False
    seconds: float | None = None
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Remedies in order, up to the first that loses at most `max_drop_points` against float on the validation data.

    `chosen` is its name, "" where none does. `validation_samples` are what it was chosen on.
    """

    target: str
    max_drop_points: float
    metric: str
    validation_samples: int
    float_validation: float
    float_test: float | None
    rungs: tuple[RungResult, ...]
    chosen: str
