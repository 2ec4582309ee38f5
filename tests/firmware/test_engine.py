"""The built-in engine, built for this machine: it answers what TFLite Micro answers, and keeps to its arena."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.firmware import tflm
from tests.firmware.engine_size import engine_size
from tests.firmware.graph import Graph
from tests.firmware.host_engine import SOURCES, STRICT, HostEngine, Refusal, build, compiler
from tests.firmware.random_filters import convolution
from tests.firmware.random_models import MAKERS, random_model, softmax
from tests.real_models import SHAPES, real_model

BAD_MODEL, UNKNOWN_OPERATOR, UNKNOWN_VERSION, UNSUPPORTED, ARENA_TOO_SMALL = 1, 2, 3, 4, 5
SEEDS = (0, 1, 2, 3, 188)  # 188: a HARD_SWISH with a tie that factors in single precision get wrong
MORE_SEEDS = {"CONV_2D": range(4, 40), "DEPTHWISE_CONV_2D": range(4, 24)}  # windows, groups and rests are many

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C compiler: apt-get install gcc")


@pytest.fixture(scope="module", params=[(), ("-DENGINE_PAIRS",)], ids=["plain", "in pairs"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HostEngine:
    """The engine in plain C, and as machines with instructions for pairs of 16 bits run it."""
    return HostEngine(build(tmp_path_factory.mktemp("engine"), flags=(*STRICT, *request.param)))


def seeds(name: str) -> tuple[int, ...]:
    return (*SEEDS, *MORE_SEEDS.get(name, ()))


def real(name: str) -> bytes:
    return real_model(name).read_bytes()


@pytest.mark.parametrize("name", SHAPES)
def test_a_real_model_is_answered_as_by_tflite_micro_bit_for_bit(engine: HostEngine, name: str) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    random = np.random.default_rng(7)
    flat = [(random.integers(-128, 128, SHAPES[name], np.int8),) for _ in range(20)]
    bell = [(np.clip(random.normal(0, 30, SHAPES[name]), -128, 127).astype(np.int8),) for _ in range(20)]
    case = tflm.Case(model=real(name), rows=(*flat, *bell))
    (expected,) = tflm.answers([case])
    loaded = engine.load(case.model)
    assert expected is not None
    assert [loaded.answer(row) for row in case.rows] == expected
    assert len({bytes(row[0]) for row in expected}) > 20
    loaded.check(case.model)


@pytest.mark.parametrize(("name", "most"), [("kws_ref_model", 22_916), ("ad01_int8", 2_676)])
def test_the_smallest_arena_is_enough_and_one_byte_less_is_refused(engine: HostEngine, name: str, most: int) -> None:
    used = engine.load(real(name)).arena_used
    assert used <= most
    assert engine.load(real(name), used).arena_used == used
    with pytest.raises(Refusal) as caught:
        engine.load(real(name), used - 1)
    assert (caught.value.status, caught.value.needed_bytes) == (ARENA_TOO_SMALL, used)


def test_ticks_are_told_for_each_operator_in_order(engine: HostEngine) -> None:
    loaded = engine.load(real("kws_ref_model"), ticks=True)
    loaded.answer([np.zeros(490, np.int8)])
    names = [name for name, _ in loaded.steps]
    assert names == ["CONV_2D", *["DEPTHWISE_CONV_2D", "CONV_2D"] * 4, "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert {ticks for _, ticks in loaded.steps} == {7}


@pytest.fixture(scope="module")
def expected() -> dict[tuple[str, int], list[list[bytes]] | None]:
    """What TFLite Micro answers to each random model, all asked in one go."""
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    asked = [(name, seed) for name in MAKERS for seed in seeds(name)]
    models = [random_model(name, seed) for name, seed in asked]
    found = tflm.answers([tflm.Case(model=model, rows=rows) for model, rows in models])
    return dict(zip(asked, found, strict=True))


@pytest.mark.parametrize("name", MAKERS)
def test_random_models_are_answered_bit_for_bit(
    engine: HostEngine, expected: dict[tuple[str, int], list[list[bytes]] | None], name: str
) -> None:
    for seed in seeds(name):
        model, rows = random_model(name, seed)
        loaded = engine.load(model)
        assert expected[name, seed] is not None, seed
        assert [loaded.answer(row) for row in rows] == expected[name, seed], seed
        loaded.check(model)


def test_every_operator_of_the_engine_has_its_random_models(engine: HostEngine) -> None:
    assert set(engine.operators()) == set(MAKERS) - {"a chain", "large factors"}
    assert all(0 < first <= last for _, first, last in engine.operators().values())


def test_a_smaller_arena_is_never_written_outside_of(engine: HostEngine) -> None:
    model, rows = random_model("a chain", 3)
    whole = engine.load(model)
    used, answer = whole.arena_used, whole.answer(rows[0])
    for arena_bytes in range(0, used, 13):
        with pytest.raises(Refusal) as caught:
            engine.load(model, arena_bytes)
        assert caught.value.status == ARENA_TOO_SMALL
        assert arena_bytes < caught.value.needed_bytes <= used
    assert engine.load(model, used).answer(rows[0]) == answer


def test_an_operator_that_it_does_not_have_is_named_with_its_place(engine: HostEngine) -> None:
    graph = Graph(np.random.default_rng(0))
    shares = softmax(graph)
    sines = graph.like(shares, graph.shape(shares))
    graph.step("SIN", [shares], [sines], version=3)
    with pytest.raises(Refusal) as caught:
        engine.load(graph.finish([sines]))
    refusal = caught.value
    assert (refusal.status, refusal.operator_index, refusal.builtin, refusal.version) == (UNKNOWN_OPERATOR, 1, 66, 3)
    assert refusal.reason == "this engine does not have the operator"


def test_a_version_that_it_does_not_know_is_refused(engine: HostEngine) -> None:
    graph = Graph(np.random.default_rng(0))
    source = graph.input((1, 4))
    target = graph.tensor((1, 4), scales=[1 / 256], zero_point=-128)
    graph.step("SOFTMAX", [source], [target], version=99, of="SoftmaxOptions", beta=1.0)
    with pytest.raises(Refusal) as caught:
        engine.load(graph.finish([target]))
    assert (caught.value.status, caught.value.operator_index, caught.value.version) == (UNKNOWN_VERSION, 0, 99)


def test_a_float_convolution_is_refused_with_the_reason(engine: HostEngine) -> None:
    graph = Graph(np.random.default_rng(0))
    target = convolution(graph)
    graph.tensors[graph.inputs[0]].type = 0
    with pytest.raises(Refusal) as caught:
        engine.load(graph.finish([target]))
    assert (caught.value.status, caught.value.reason) == (UNSUPPORTED, "input and output must be int8")


@pytest.mark.parametrize("tensor", ["weights", "input"])
def test_a_model_that_writes_where_it_must_not_is_refused(engine: HostEngine, tensor: str) -> None:
    graph = Graph(np.random.default_rng(0))
    source = graph.input((1, 4))
    weights = graph.constant(np.zeros((1, 4), np.int8), scales=[0.1])
    graph.step("RELU6", [source], [weights if tensor == "weights" else source])
    with pytest.raises(Refusal) as caught:
        engine.load(graph.finish([source]))
    assert caught.value.status == BAD_MODEL


def test_a_cut_model_is_refused_at_every_length(engine: HostEngine) -> None:
    model = real("kws_ref_model")
    for length in (*range(64), *range(64, len(model) - 4, 997)):
        with pytest.raises(Refusal):
            engine.load(model[:length])


def test_damaged_models_never_touch_what_is_not_theirs(tmp_path: Path) -> None:
    program = tmp_path / "fuzz_load"
    sources = [*map(str, sorted(SOURCES.glob("*.c"))), str(Path(__file__).with_name("fuzz_load.c"))]
    flags = ["-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DFUZZ_FILES"]
    flags += ["-DENGINE_PAIRS", f"-I{SOURCES}"]
    built = subprocess.run(["gcc", *flags, *sources, "-o", str(program)], capture_output=True, text=True)
    if "cannot find" in built.stderr and "san" in built.stderr:
        pytest.skip("needs AddressSanitizer: apt-get install gcc, which brings it on Debian")
    assert built.returncode == 0, built.stderr
    files = []
    for name in MAKERS:
        files.append(tmp_path / f"{name.replace(' ', '_')}.tflite")
        files[-1].write_bytes(random_model(name, 0)[0])
    ran = subprocess.run([str(program), "600", *map(str, files)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    executions, loaded = (int(word) for word in ran.stdout.split() if word.isdigit())
    assert executions == 601 * len(files)
    assert loaded > executions // 20


def test_a_cortex_m4_has_it_with_the_compilers_helpers_in_32_kb(tmp_path: Path) -> None:
    if compiler("arm-none-eabi-gcc") is None:
        pytest.skip("needs a cross compiler: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    size = engine_size(tmp_path)
    assert 0 < size.helpers_bytes < size.code_bytes <= 32_768
    assert (size.data_bytes, size.bss_bytes) == (0, 0)


def test_every_source_says_its_idea_in_its_first_line() -> None:
    for source in SOURCES.glob("*.[ch]"):
        assert source.read_text().startswith("/* "), source.name
