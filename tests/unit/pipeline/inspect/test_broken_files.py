"""A damaged or hostile file ends in ModelFileError after little work, never in anything else."""

from __future__ import annotations

import random
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.errors import ModelFileError
from edgepipe.pipeline.inspect import graph
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS

WEIGHTS = np.arange(64, dtype=np.int8).reshape(8, 8)
CPU_SECONDS_IN_ALL = 60  # a bound against loops and giant allocations, an order of magnitude above what it takes


def cpu_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"TFL3", "identifier"),
        (b"\x1c\x00\x00\x00TFL2" + bytes(64), "identifier"),
        (b"PK\x03\x04" + bytes(64), "a zip, as Keras models are"),
    ],
)
def test_what_is_no_tflite_is_said_to_be_none(content: bytes, says: str) -> None:
    with pytest.raises(ModelFileError, match=says):
        read_facts(content)


def test_every_truncation_of_a_small_file_is_refused_or_read(tiny: Any) -> None:
    content = tiny.dense(WEIGHTS)
    refused = 0
    for length in range(len(content)):
        try:
            read_facts(content[:length])
        except ModelFileError:
            refused += 1

    assert refused > 0.9 * len(content)


def test_a_tensor_whose_values_are_missing_is_named(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1)
    model.tensor("too short", (4, 4), data=np.zeros(15, np.int8))
    model.ports([x], [x])

    with pytest.raises(ModelFileError, match=r'"too short" should hold 16 bytes and holds 15'):
        read_facts(model.build())


@pytest.mark.parametrize("shape", [(-2, 4), (1 << 30, 1 << 30), (1,) * 40])
def test_an_impossible_shape_is_refused(tiny: Any, shape: tuple[int, ...]) -> None:
    model = tiny()
    x = model.tensor("x", shape, scale=0.1)
    model.ports([x], [x])

    with pytest.raises(ModelFileError, match='"x" has'):
        read_facts(model.build())


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -1.0])
def test_a_scale_that_is_no_number_is_refused(tiny: Any, scale: float) -> None:
    with pytest.raises(ModelFileError, match="scale"):
        read_facts(tiny.dense(WEIGHTS, scale=scale))


def test_an_operator_on_a_tensor_that_does_not_exist_is_refused(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1)
    model.op("RELU", [x], [77])
    model.ports([x], [x])

    with pytest.raises(ModelFileError, match="does not exist"):
        read_facts(model.build())


def test_a_buffer_behind_the_end_of_the_file_is_refused(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1)
    w = model.tensor("w", (4, 4), data=np.zeros(16, np.int8))
    model.model.buffers[1].data = None
    model.model.buffers[1].offset, model.model.buffers[1].size = 1 << 40, 16
    model.op("FULLY_CONNECTED", [x, w, -1], [x])
    model.ports([x], [x])

    with pytest.raises(ModelFileError, match="past the end"):
        read_facts(model.build())


def test_more_tensors_than_any_model_has_are_refused_before_they_are_read(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1)
    model.graph.tensors += [model.graph.tensors[0]] * (graph.LARGEST_COUNT + 1)
    model.ports([x], [x])

    with pytest.raises(ModelFileError, match="entries in all"):
        read_facts(model.build())


def test_a_thousand_operators_on_the_same_megabyte_are_counted_once(tiny: Any) -> None:
    model = tiny()
    x, y = (model.tensor(name, (1, 1000), scale=0.1) for name in "xy")
    w = model.tensor("w", (1000, 1000), data=np.ones((1000, 1000), np.int8))
    for _ in range(1000):
        model.op("FULLY_CONNECTED", [x, w, -1], [y])
    model.ports([x], [y])
    began = cpu_seconds()

    assert len(read_facts(model.build()).weights) == 1
    assert cpu_seconds() - began < CPU_SECONDS_IN_ALL


def test_a_thousand_views_of_the_same_megabyte_are_refused(tiny: Any) -> None:
    model = tiny()
    first = model.tensor("w", (1000, 1000), data=np.ones((1000, 1000), np.int8))
    buffer = model.graph.tensors[first].buffer
    for rows in range(2, 1000):
        if 1_000_000 % rows == 0:
            other = model.tensor(f"w{rows}", (rows, 1_000_000 // rows))
            model.graph.tensors[other].buffer = buffer
            x, y = model.tensor(f"x{rows}", (1, 1), scale=0.1), model.tensor(f"y{rows}", (1, 1), scale=0.1)
            model.op("FULLY_CONNECTED", [x, other, -1], [y])

    with pytest.raises(ModelFileError, match="over and over"):
        read_facts(model.build())


def test_a_megabyte_of_name_used_ten_thousand_times_costs_little(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1)
    y = model.tensor("a/b;" * 250_000, (1, 4), scale=0.1)
    model.op("RELU", [x], [y])
    model.graph.operators *= 10_000
    model.ports([x], [y])
    began = cpu_seconds()

    assert len(read_facts(model.build(), layers=["a"]).ops) == 10_000
    assert cpu_seconds() - began < CPU_SECONDS_IN_ALL


def test_a_name_cannot_command_the_terminal(tiny: Any) -> None:
    facts = read_facts(tiny.dense(WEIGHTS, name="model/\x1b[2J\u202eanswer/MatMul"))

    assert facts.weights[0].name.isprintable()


def mutations(content: bytes, seed: int) -> bytes:
    """Return a damaged copy: flipped bits, an extreme word, a cut, or one part over another."""
    rng = random.Random(seed)
    broken = bytearray(content)
    match seed % 4:
        case 0:
            for _ in range(rng.randint(1, 8)):
                broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        case 1:
            at = rng.randrange(len(broken) - 4)
            broken[at : at + 4] = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32))).to_bytes(4, "little")
        case 2:
            del broken[rng.randrange(len(broken)) :]
        case _:
            size = rng.randint(4, 256)
            source, target = rng.randrange(len(broken) - size), rng.randrange(len(broken) - size)
            broken[target : target + size] = broken[source : source + size]
    return bytes(broken)


@pytest.mark.parametrize("original", ["tiny", "kws"])
def test_five_hundred_mutations_raise_nothing_but_model_file_errors(original: str, request: pytest.FixtureRequest) -> None:
    given = request.getfixturevalue(original)
    content = given.read_bytes() if isinstance(given, Path) else given.dense(WEIGHTS, scale=0.1)
    refused = 0
    began = cpu_seconds()
    for seed in range(500):
        try:
            verify(read_facts(mutations(content, seed)), TARGETS["mcu"])
        except ModelFileError:
            refused += 1

    assert 100 < refused < 500, "the damage must be such that some files are still read"
    assert cpu_seconds() - began < CPU_SECONDS_IN_ALL
