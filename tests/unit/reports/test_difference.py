"""Layers are matched by name, and by what they are where names are lost; equal layers are left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgepipe.facts import GraphFacts, Inspection, OpFacts, TensorFacts, TensorRole
from edgepipe.reports.difference import difference, layer_sums
from edgepipe.reports.render import difference as render
from edgepipe.reports.render import sheets


def op(index: int, layer: str, name: str = "CONV_2D", macs: int = 100, dtype: str = "float32") -> OpFacts:
    return OpFacts(index=index, op=name, version=1, layer=layer, macs=macs, input_dtypes=(dtype,), output_dtypes=(dtype,))


def weight(index: int, layer: str, shape: tuple[int, ...] = (8, 8), nonzero: int = 60, dtype: str = "float32") -> TensorFacts:
    size = {"float32": 4, "int8": 1}[dtype] * shape[0] * shape[1]
    return TensorFacts(
        graph=0,
        index=index,
        name=f"{layer}/kernel",
        role=TensorRole.WEIGHT,
        layer=layer,
        dtype=dtype,
        shape=shape,
        elements=shape[0] * shape[1],
        size_bytes=size,
        sha256=f"{layer} {dtype} {nonzero}",
        nonzero=nonzero,
        clusters=nonzero,
    )


def model(sha256: str, ops: list[OpFacts], tensors: list[TensorFacts]) -> Inspection:
    facts = GraphFacts(
        sha256=sha256,
        size_bytes=1000,
        inputs=(),
        outputs=(),
        ops=tuple(ops),
        weights=(),
        float_tensors=(),
        dynamic_tensors=(),
        custom_ops=(),
        flex_ops=(),
    )
    return Inspection(facts=facts, tensors=tuple(tensors))


def of(names: str, sha256: str = "a", **other: object) -> Inspection:
    """One convolution a name."""
    layers = names.split()
    return model(
        sha256, [op(index, name) for index, name in enumerate(layers)], [weight(index, name) for index, name in enumerate(layers)]
    )


def test_equal_files_have_no_difference() -> None:
    found = difference(of("a b"), of("a b"))

    assert (found.equal, found.layers) == (True, ())
    assert render.sheets("x", "y", found) == ()
    assert sheets.markdown(render.sheets("x", "y", found)) == ""


def test_a_layer_is_summed_over_its_operators_and_constants() -> None:
    bias = replace(weight(2, "a"), role=TensorRole.CONSTANT, size_bytes=32, nonzero=0, clusters=1)
    (layer,) = layer_sums(model("a", [op(0, "a"), op(1, "a", "RELU", macs=0)], [weight(0, "a"), weight(1, "a", nonzero=4), bias]))

    assert (layer.ops, layer.macs, layer.bytes) == (("CONV_2D", "RELU"), 100, 2 * 256 + 32)
    assert (layer.weights, layer.nonzero, layer.sparsity, layer.clusters) == (128, 64, 0.5, 60)


def test_only_what_differs_is_shown_with_what_differs() -> None:
    b = of("a b c", sha256="b")
    b = replace(b, tensors=(*b.tensors[:1], weight(1, "b", nonzero=10), *b.tensors[2:]))
    (change,) = difference(of("a b c"), b).layers

    assert (change.name, set(change.changed)) == ("b", {"sparsity", "clusters", "values"})
    assert change.a is not None and change.b is not None
    assert (change.a.nonzero, change.b.nonzero) == (60, 10)


def test_layers_that_only_one_file_has_stand_where_they_were() -> None:
    a, b = of("a gone z"), of("a new z", sha256="b")
    b = replace(b, facts=replace(b.facts, ops=(b.facts.ops[0], op(1, "new", "LOGISTIC"), b.facts.ops[2])))

    assert [(change.name, change.changed) for change in difference(a, b).layers] == [
        ("new", ("only in B",)),
        ("gone", ("only in A",)),
    ]


def test_lost_names_are_matched_by_operators_and_shapes() -> None:
    a = model(
        "a",
        [op(0, "stem"), op(1, "wide"), op(2, "dense", "FULLY_CONNECTED")],
        [weight(0, "stem"), weight(1, "wide", (16, 8)), weight(2, "dense", (4, 8))],
    )
    b = model(
        "b",
        [op(0, "arith.1"), op(1, "arith.2"), op(2, "arith.3", "FULLY_CONNECTED")],
        # The shapes tell the first two apart although they stand the other way round; pruned away, the third has none like it.
        [
            weight(0, "arith.1", (16, 8), dtype="int8"),
            weight(1, "arith.2", dtype="int8"),
            weight(2, "arith.3", (2, 8), dtype="int8"),
        ],
    )
    pairs = {(change.a.name, change.b.name) for change in difference(a, b).layers if change.a and change.b}

    assert pairs == {("stem", "arith.2"), ("wide", "arith.1"), ("dense", "arith.3")}


def test_many_layers_of_one_kind_without_names_are_paired_in_their_order() -> None:
    a, b = of(" ".join(f"a{n}" for n in range(5000))), of(" ".join(f"b{n}" for n in range(5000)), sha256="b")

    assert [
        (change.a.name[1:] if change.a else "", change.b.name[1:] if change.b else "") for change in difference(a, b).layers
    ] == [(str(n), str(n)) for n in range(5000)]


def test_other_bytes_in_equal_layers_are_said_to_be_outside_of_them() -> None:
    found = difference(of("a"), of("a", sha256="b"))

    assert (found.equal, found.layers) == (False, ())
    assert "No layer differs" in sheets.markdown(render.sheets("x", "y", found))


@pytest.mark.parametrize("name", ["evil|table", "[link](https://x)", "@someone", "\x1b[2Jgone", "two\nlines", "‮override"])
def test_names_from_a_model_stay_text(name: str) -> None:
    found = difference(of("a"), of("a", sha256="b"))
    shown = sheets.markdown(render.sheets(name, "y", found))
    line = next(line for line in shown.splitlines() if line.startswith("| − |"))

    assert line.replace("\\|", "").count("|") == 3
    assert not any(mark in shown for mark in ("\x1b", "](http", "@s", "‮", "two\nlines"))


def test_a_terminal_is_told_nothing_but_text() -> None:
    from rich.console import Console

    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    rows = (("−", "\x1b[2J[red]bold[/]\x07\x9b31m\u202e"),)
    console.print(sheets.console((sheets.Sheet(title="\x1b]0;title\x07", rows=rows),)))
    text = console.export_text(styles=False)

    assert "[red]bold[/]" in text
    assert not any(each in text for each in "\x1b\x07\x9b\u202e")


def test_a_terminal_is_not_flooded() -> None:
    from rich.console import Console

    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    many = sheets.Sheet(columns=("a",), rows=(("x",),) * (sheets.MOST_ROWS + 7))
    console.print(sheets.console((many,)))

    assert "7 more; --json lists all" in console.export_text()
