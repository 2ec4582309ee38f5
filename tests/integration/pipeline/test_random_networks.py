"""Whatever small network is drawn comes out as integers only and runs in TFLite Micro, as the doctor said: a slice of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.random_networks import Outcome, outcomes_of
from tests.random_networks import drawn, networks, unusual_networks
from tests.small_networks import Network

pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
USUAL = drawn(networks(), 6, seed=3)
RUNS = {"activation softplus": False, "top values": False, "two outputs": True}  # with data that has no labels
UNUSUAL = [drawn(unusual_networks(name), 1, seed=3)[0] for name in RUNS]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return list(outcomes_of([*USUAL, *UNUSUAL], Path(tmp_path_factory.mktemp("networks"))))


def test_a_description_says_everything_about_a_network() -> None:
    assert [Network.from_json(network.to_json()) for network in USUAL] == USUAL
    assert len({network.to_json() for network in USUAL}) == len(USUAL)


@pytest.mark.parametrize("number", range(len(USUAL)))
def test_a_random_network_runs_on_integers_only_as_the_doctor_said(outcomes: list[Outcome], number: int) -> None:
    outcome = outcomes[number]
    assert outcome.reached, (USUAL[number].to_json(), outcome)
    assert outcome.doctor_fits, (USUAL[number].to_json(), outcome.doctor_found)


@pytest.mark.parametrize("name", RUNS)
def test_of_an_unusual_network_the_doctor_says_what_then_happens(outcomes: list[Outcome], name: str) -> None:
    outcome = outcomes[len(USUAL) + list(RUNS).index(name)]
    assert (outcome.reached, outcome.doctor_fits) == (RUNS[name], RUNS[name]), outcome
    assert outcome.reached or outcome.message or outcome.problems_for_mcu
