"""Every runtime is asked the same; what they answer, where they part and what one refuses is told as it is."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgepipe.errors import GateMissed, Inconclusive, ModelFileError, ModelRejected
from edgepipe.parity import Parity, Runtime, RuntimeOutcome
from edgepipe.pipeline.inspect.flatbuffer import read_facts, read_model
from edgepipe.pipeline.inspect.graph import read_graph
from edgepipe.pipeline.inspect.parity.compare import Question, compare
from edgepipe.pipeline.inspect.parity.cut import cut
from edgepipe.pipeline.inspect.parity.distance import decisions, distance, same
from edgepipe.pipeline.inspect.parity.inputs import drawn, made_up
from edgepipe.pipeline.inspect.parity.run import Part, pack, run
from edgepipe.workflows.parity import require_exact

needs_tflm = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'"
)
LITERT = (Runtime.XNNPACK, Runtime.BUILTIN, Runtime.REFERENCE)
KINDS = {
    Runtime.XNNPACK: OpResolverType.AUTO,
    Runtime.BUILTIN: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    Runtime.REFERENCE: OpResolverType.BUILTIN_REF,
}


def question(content: bytes, samples: int = 8, **more: Any) -> Question:
    facts = read_facts(content)
    rows, words = made_up(facts, samples, 0)
    return Question(content=content, facts=facts, samples=rows, words=words, **more)


def pair_of(found: Parity, a: Runtime, b: Runtime) -> Any:
    return next(pair for pair in found.pairs if (pair.a, pair.b) == (a, b))


# A real network ------------------------------------------------------------------------------------------------------------


@needs_tflm
def test_the_keyword_network_parts_from_tflm_at_its_first_convolution_under_xnnpack_only(kws: Path) -> None:
    content, facts = read_model(kws)
    rows, words = made_up(facts, 40, 0)
    found = compare(Question(content=content, facts=facts, samples=rows, words=words))

    assert [report.outcome for report in found.runtimes] == [RuntimeOutcome.RAN] * 4
    xnnpack = pair_of(found, Runtime.XNNPACK, Runtime.TFLM)
    assert xnnpack.distance.exact < 40
    assert xnnpack.distance.lsb > 1
    assert (xnnpack.first.place.index, xnnpack.first.place.op, xnnpack.first.place.layer) == (0, "CONV_2D", "conv2d")
    assert xnnpack.decisions_changed is not None
    assert pair_of(found, Runtime.BUILTIN, Runtime.TFLM).distance.exact >= 36
    assert any("never with default LiteRT" in text for text in found.advice)
    with pytest.raises(GateMissed, match="not every runtime answers as tflm") as caught:
        require_exact(found, Runtime.TFLM)
    assert "litert-xnnpack differs on" in caught.value.problems[0]


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors:UserWarning")
@pytest.mark.parametrize("runtime", LITERT)
def test_tensors_that_are_shown_are_those_that_litert_preserves(kws: Path, runtime: Runtime) -> None:
    content, facts = read_model(kws)
    rows, _ = made_up(facts, 3, 1)
    shown = run(content, runtime, rows, part=Part(every=True))

    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=KINDS[runtime], experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    for number, row in enumerate(rows):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row.view(np.int8).reshape(1, 49, 10, 1))
        interpreter.invoke()
        for tensor, values in zip(shown.tensors, shown.outputs, strict=True):
            np.testing.assert_array_equal(values[number], interpreter.get_tensor(tensor))


@needs_tflm
def test_cutting_after_each_operator_in_turn_finds_the_operator_that_showing_all_tensors_finds(ad01: Path) -> None:
    content, facts = read_model(ad01)
    rows, words = made_up(facts, 6, 0)
    asked = Question(content=content, facts=facts, samples=rows, words=words)
    first = pair_of(compare(asked, (Runtime.BUILTIN, Runtime.TFLM)), Runtime.BUILTIN, Runtime.TFLM).first

    def alike(ops: int) -> bool:
        a, b = (run(content, runtime, rows, part=Part(ops=ops)) for runtime in (Runtime.BUILTIN, Runtime.TFLM))
        return bool(same(a.outputs[0], b.outputs[0]).all())

    assert first is not None
    assert [alike(first.place.index), alike(first.place.index + 1)] == [True, False]


def test_a_cut_model_holds_the_first_operators_and_all_their_results(kws: Path) -> None:
    content, tensors = cut(kws.read_bytes(), 4, every=True)
    graph = read_graph(content)[0]

    assert [op.name for op in graph.ops] == [op.name for op in read_graph(kws.read_bytes())[0].ops][:4]
    assert graph.outputs == tensors == tuple(output for op in graph.ops for output in op.outputs)


# What a runtime refuses ------------------------------------------------------------------------------------------------------


def chain(tiny: Any, *names: str, answer: tuple[float, int] = (0.1, 0)) -> bytes:
    """A row of operators with one input and output each; `answer` is the scale and zero point of the last."""
    model = tiny()
    tensors = [model.tensor(f"net/layer_{number}/Op", (1, 8), scale=0.1) for number in range(len(names))]
    tensors.append(model.tensor("net/answer/Op", (1, 8), scale=answer[0], zero_point=answer[1]))
    for number, name in enumerate(names):
        model.op(name, [tensors[number]], [tensors[number + 1]])
    model.ports([tensors[0]], [tensors[-1]])
    return bytes(model.build())


@needs_tflm
def test_the_operator_that_a_runtime_does_not_take_is_found(tiny: Any) -> None:
    found = compare(question(chain(tiny, "RELU", "RELU", "GELU", "RELU", "RELU")), (Runtime.BUILTIN, Runtime.TFLM))

    report = found.runtimes[1]
    assert report.outcome is RuntimeOutcome.REJECTED
    assert report.refused_at is not None
    assert (report.refused_at.index, report.refused_at.op) == (2, "GELU")
    assert "GELU" in report.reason
    assert found.pairs == ()
    assert any("microcontroller cannot run" in text for text in found.advice)
    with pytest.raises(ModelRejected, match="tflm does not take the model"):
        require_exact(found, Runtime.TFLM)
    with pytest.raises(Inconclusive):
        require_exact(found, Runtime.BUILTIN)


@needs_tflm
def test_a_model_that_crashes_a_runtime_is_an_outcome(tiny: Any) -> None:
    model = tiny()
    x, y = (model.tensor(name, (1, 4), scale=0.1) for name in "xy")
    model.op("MEAN", [x], [y])  # without the axes that TFLite Micro reads unasked
    model.ports([x], [y])
    found = compare(question(model.build()), (Runtime.BUILTIN, Runtime.TFLM))

    assert found.runtimes[1].outcome is RuntimeOutcome.REJECTED
    assert "crashes it (SIGSEGV)" in found.runtimes[1].reason


def test_a_runtime_that_is_not_done_in_time_is_an_outcome(kws: Path) -> None:
    content, facts = read_model(kws)
    done = run(content, Runtime.REFERENCE, made_up(facts, 50_000, 0)[0], deadline_s=2)

    assert done.report.outcome is RuntimeOutcome.REJECTED
    assert done.report.reason == "was not done after 2 s"


def test_a_damaged_file_reaches_no_runtime(kws: Path) -> None:
    with pytest.raises(ModelFileError):
        run(kws.read_bytes()[:1000], Runtime.BUILTIN, np.zeros((1, 490), np.uint8))


@needs_tflm
def test_runtimes_that_agree_are_said_to_with_what_that_resolves(tiny: Any) -> None:
    found = compare(question(chain(tiny, "RELU", "RELU6"), samples=30))

    assert all(pair.alike and pair.first is None for pair in found.pairs)
    assert len(found.pairs) == 6
    require_exact(found, Runtime.TFLM)
    assert found.advice == ("All that ran answer alike; 0 of 30 differing means fewer than 10 % of such inputs (95 % confidence).",)


# Distances ------------------------------------------------------------------------------------------------------------------------


def test_every_input_counts_once_however_many_of_its_outputs_differ() -> None:
    a = [np.zeros((3, 2), np.int8), np.zeros((3, 1), np.int8)]
    b = [np.array([[0, 0], [1, 0], [0, 0]], np.int8), np.array([[0], [-128], [3]], np.int8)]
    found = distance(a, b)

    assert (found.samples, found.exact, found.lsb, found.ulp) == (3, 1, 128, None)


def test_int8_extremes_are_255_apart() -> None:
    assert distance([np.array([[-128]], np.int8)], [np.array([[127]], np.int8)]).lsb == 255


def test_floats_are_told_apart_in_steps_between_neighbours() -> None:
    one = np.array([[1.0, -1.0, 0.0]], np.float32)
    near = np.array([[np.nextafter(np.float32(1), np.float32(2)), np.nextafter(np.float32(-1), np.float32(0)), -0.0]], np.float32)
    found = distance([one], [near])

    assert (found.exact, found.ulp, found.lsb) == (0, 1, None)
    assert found.absolute == pytest.approx(2**-23)


def test_nan_and_infinity_do_not_hide_a_difference() -> None:
    nan = np.array([[np.nan, np.inf, 1.0]], np.float32)
    other = np.array([[np.nan, np.inf, 3.0]], np.float32)

    assert distance([nan], [nan]).exact == 1
    assert distance([nan], [other]).absolute == 2.0
    assert distance([nan], [np.array([[0, np.inf, 1]], np.float32)]).ulp > 1 << 30


def test_decisions_are_the_largest_of_several_and_one_half_of_one(tiny: Any) -> None:
    port = read_facts(chain(tiny, "LOGISTIC")).outputs[0]

    assert decisions(np.array([[1, 3, 3], [9, 0, 1]], np.int8), port).tolist() == [1, 0]
    assert decisions(np.array([[4], [6]], np.int8), port).tolist() == [False, True]  # 0.4 and 0.6


def test_answers_of_a_classifier_are_decisions_and_others_are_not(tiny: Any) -> None:
    runtimes = (Runtime.BUILTIN, Runtime.REFERENCE)
    sigmoid = chain(tiny, "RELU", "LOGISTIC", answer=(1 / 256, -128))

    assert compare(question(sigmoid), runtimes).pairs[0].decisions_changed is not None
    assert compare(question(chain(tiny, "RELU")), runtimes).pairs[0].decisions_changed is None
    assert compare(question(chain(tiny, "RELU"), classes=True), runtimes).pairs[0].decisions_changed == 0


# Inputs -----------------------------------------------------------------------------------------------------------------------


def test_made_up_inputs_are_the_same_for_a_seed_and_use_every_code(tiny: Any) -> None:
    facts = read_facts(chain(tiny, "RELU"))
    rows = made_up(facts, 500, 4)[0]

    assert (rows == made_up(facts, 500, 4)[0]).all()
    assert (rows != made_up(facts, 500, 5)[0]).any()
    assert set(rows.view(np.int8).ravel().tolist()) == set(range(-128, 128))


def test_several_inputs_stand_one_after_another_in_a_row() -> None:
    rows = pack([np.array([[1, 2], [3, 4]], np.int8), np.array([[1.0], [2.0]], np.float32)])

    assert rows.tolist() == [[1, 2, 0, 0, 128, 63], [3, 4, 0, 0, 0, 64]]


def test_drawn_samples_are_distinct_and_sorted() -> None:
    assert drawn(10, 4, 0).tolist() == sorted(set(drawn(10, 4, 0).tolist()))
    assert drawn(3, 9, 0).tolist() == [0, 1, 2]
