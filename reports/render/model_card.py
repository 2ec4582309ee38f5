"""A model card as Markdown. Names come from models and recipes: none of them makes a link, a mention or a table."""

from __future__ import annotations

import json
from collections.abc import Iterator

from edgepipe.bundles import Card, Lineage, Preprocessing
from edgepipe.facts import TensorPort
from edgepipe.reports import words
from edgepipe.reports.render.markdown import escape, table

NOT_STATED = "not stated; make the bundle again with `--licence`"


def model_card(card: Card) -> str:
    """Return the card."""
    parts = (
        f"# {escape(card.name)}",
        f"A model for the target {escape(card.target)}, sha256 `{escape(card.model_sha256)}`.",
        f"**Licence:** {escape(card.licence) or NOT_STATED}",
        "## What goes in and comes out\n\n" + table(("", "name", "dtype", "shape", "real values"), tuple(_ports(card))),
        "## Before the model\n\n" + "\n".join(f"- {line}" for line in _before(card.preprocessing)),
        "## Figures\n\n"
        + table(
            ("", "", "how it was made"),
            [tuple(escape(cell) for cell in (each.what, each.value, each.how)) for each in card.figures],
        ),
        "## Limits\n\n" + "\n".join(f"- {escape(limit)}" for limit in card.limits),
        "## Golden answers\n\n" + _golden(card),
        "## Where it came from\n\n" + _lineage(card.lineage),
    )
    return "\n\n".join(parts) + "\n"


def _ports(card: Card) -> Iterator[tuple[str, ...]]:
    for side, ports in (("input", card.inputs), ("output", card.outputs)):
        for port in ports:
            yield side, escape(port.name), escape(port.dtype), words.shape(port.shape), _real(port)


def _real(port: TensorPort) -> str:
    codes = port.code_range
    if codes is None:
        return "as they are"
    return f"{port.real(codes[0]):.6g} to {port.real(codes[1]):.6g}, in steps of {port.scale:.6g}"


def _before(preprocessing: Preprocessing) -> Iterator[str]:
    if preprocessing.divided_by is None:
        yield "What raw values were divided by is not known."
    else:
        yield f"Raw values divided by {preprocessing.divided_by:g}" + (
            "." if not preprocessing.mean else f", then minus {preprocessing.mean:g}."
        )
    if preprocessing.model_rescales is None:
        yield "Whether the network rescales its inputs itself is not known."
    elif preprocessing.model_rescales:
        yield "The network begins with a layer that rescales or normalises: it takes values as they are."
    else:
        yield "The network does not rescale its inputs itself."
    yield f"Layout: {escape(preprocessing.layout)}."
    yield f"Known from: {escape(preprocessing.known_from)}."


def _golden(card: Card) -> str:
    golden = card.golden
    answers = f"the answers of {escape(golden.runtime)} {escape(golden.version)}, bit for bit"
    few = f"; the first {golden.in_c} are C arrays too." if golden.in_c else "."
    return f"{golden.samples} inputs ({escape(golden.inputs)}) with {answers}{few}"


def _lineage(lineage: Lineage) -> str:
    source = (
        "" if lineage.source is None else f"Trained model: {escape(lineage.source)}, sha256 {_hash(lineage.source_sha256)}.\n\n"
    )
    rows = [
        (
            escape(step.stage),
            _hash(step.sha256),
            escape(json.dumps(step.parameters, sort_keys=True)),
            ", ".join(f"{escape(split)} {_hash(sha256)}" for split, sha256 in sorted(step.data_sha256.items())) or words.DASH,
        )
        for step in lineage.steps
    ]
    steps = table(("stage", "sha256 of the .tflite", "parameters", "data"), rows) if rows else ""
    gap = f"\n\nThe trail ends: {escape(lineage.missing)}." if lineage.missing else ""
    return f"{source}{steps}{gap}".strip()


def _hash(sha256: str | None) -> str:
    return words.DASH if sha256 is None else f"`{escape(sha256[:16])}`"
