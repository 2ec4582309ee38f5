"""The built-in engine, built for this machine: it answers what TFLite Micro answers, and keeps to its arena."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.firmware import tflm
from tests.firmware.host_engine import SOURCES, HostEngine, Refusal, build, compiler

MODELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "models"
REAL = {"kws_ref_model": (1, 49, 10, 1), "ad01_int8": (1, 640)}
ARENA_TOO_SMALL = 5

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C compiler: apt-get install gcc")
needs_models = pytest.mark.skipif(not MODELS.exists(), reason="needs ../shared/data/models beside the checkout")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> HostEngine:
    return HostEngine(build(tmp_path_factory.mktemp("engine")))


def real(name: str) -> bytes:
    return (MODELS / f"{name}.tflite").read_bytes()


@needs_models
@pytest.mark.parametrize("name", REAL)
def test_a_real_model_is_answered_as_by_tflite_micro_bit_for_bit(engine: HostEngine, name: str) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    random = np.random.default_rng(7)
    flat = [(random.integers(-128, 128, REAL[name], np.int8),) for _ in range(20)]
    bell = [(np.clip(random.normal(0, 30, REAL[name]), -128, 127).astype(np.int8),) for _ in range(20)]
    case = tflm.Case(model=real(name), rows=(*flat, *bell))
    (expected,) = tflm.answers([case])
    loaded = engine.load(case.model)
    assert expected is not None
    assert [loaded.answer(row) for row in case.rows] == expected
    assert len({bytes(row[0]) for row in expected}) > 20
    loaded.check(case.model)


@needs_models
@pytest.mark.parametrize(("name", "most"), [("kws_ref_model", 22_916), ("ad01_int8", 2_676)])
def test_the_smallest_arena_is_enough_and_one_byte_less_is_refused(engine: HostEngine, name: str, most: int) -> None:
    used = engine.load(real(name)).arena_used
    assert used <= most
    assert engine.load(real(name), used).arena_used == used
    with pytest.raises(Refusal) as caught:
        engine.load(real(name), used - 1)
    assert (caught.value.status, caught.value.needed_bytes) == (ARENA_TOO_SMALL, used)


@needs_models
def test_ticks_are_told_for_each_operator_in_order(engine: HostEngine) -> None:
    loaded = engine.load(real("kws_ref_model"), ticks=True)
    loaded.answer([np.zeros(490, np.int8)])
    names = [name for name, _ in loaded.steps]
    assert names == ["CONV_2D", *["DEPTHWISE_CONV_2D", "CONV_2D"] * 4, "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert {ticks for _, ticks in loaded.steps} == {7}


def test_every_source_says_its_idea_in_its_first_line() -> None:
    for source in SOURCES.glob("*.[ch]"):
        assert source.read_text().startswith("/* "), source.name
