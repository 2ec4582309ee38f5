"""What the samples did to an integer file's ranges, in a sentence."""

from __future__ import annotations

from dataclasses import replace

from edgepipe.facts import CalibrationFacts, Claim, ClaimKind, LoneSample
from edgepipe.reports import words

SETTLED = CalibrationFacts(
    samples=200, data_sha256="0" * 64, converged=True, worst_layer="conv", worst_tensor="net/conv/out", range_change=0.021
)
LOUD = LoneSample(layer="conv", tensor="net/conv/out", sample=17, label=3, low=-1.0, high=812.0, low_without=-1.0, high_without=3.4)


def test_settled_ranges_name_the_one_that_moves_most() -> None:
    assert words.calibration(SETTLED) == "ranges from 200 samples, settled: half of them would miss 2.1 % in conv"


def test_ranges_that_still_move_are_called_so() -> None:
    assert "not settled: half of them would miss 40.0 %" in words.calibration(replace(SETTLED, converged=False, range_change=0.4))


def test_a_lone_sample_is_told_with_its_class_and_what_the_others_need() -> None:
    said = words.calibration(replace(SETTLED, constant_samples=2, lone_samples=(LOUD,)))

    assert "2 of them hold one value throughout" in said
    assert "sample 17 (class 3) alone sets conv: -1.00 … 812, the others -1.00 … 3.40" in said


def test_where_no_range_came_from_data_only_their_number_is_told() -> None:
    assert words.calibration(replace(SETTLED, worst_layer="", worst_tensor="")) == "ranges from 200 samples"


def test_a_claim_about_some_layers_names_them() -> None:
    claim = Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted="float32", layers=("conv", "head"))

    assert words.claim(claim) == "quantize: dtype float32 in conv, head"
