"""Draws the pictures of docs/techniques and writes the tables beside them: python docs/plots.py

Everything is made of benchmarks/results/technique_curves.json, which `python -m benchmarks.technique_curves` measures. A table
stands on its page between `<!-- figures: NAME -->` and `<!-- end -->`; the rest of a page is by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from drawing import Axis, Mark, Panel, Series, draw, even, rows

from edgepipe.reports import words

DOCS = Path(__file__).resolve().parent
PAGES = DOCS / "techniques"
RESULT = DOCS.parent / "benchmarks" / "results" / "technique_curves.json"
MARKED = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
POINTS, GZIP = "accuracy against float, points", "file after gzip -9, kB"
ROW = 34  # pixels

Point = Mapping[str, Any]
Figures = Mapping[str, Any]


def pictures(figures: Figures) -> dict[str, str]:
    """Return the SVG of every page by its name."""
    return {name: picture(figures) for name, picture in PICTURES.items()}


def brought_up_to_date(page: str, figures: Figures) -> str:
    """Return the page with every table made again. Raises KeyError for a NAME that means nothing."""
    return MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]](figures)}{found[3]}", page)


def _pruning(figures: Figures) -> str:
    across = Axis(
        label="weights set to zero, %", low=0, high=1, ticks=tuple((each / 10, f"{10 * each}") for each in range(0, 11, 2))
    )
    return draw(
        "Accuracy and packed size of the digits network by sparsity",
        (
            Panel(title=POINTS, places=across, values=_points(-18, 1), series=_lines(figures["pruning"], _difference)),
            Panel(title=GZIP, places=across, values=_kilobytes(300), series=_lines(figures["pruning"], _gzip)),
        ),
        _note(figures, figures["pruning"], "leftmost: 1 % zeros, trained on as long; arrows: below the axis"),
    )


def _clustering(figures: Figures) -> str:
    counts = sorted({point["x"] for point in figures["clustering"]})
    across = Axis(
        label="distinct values in each layer", low=1.6, high=80, logarithmic=True, ticks=tuple((each, f"{each}") for each in counts)
    )
    return draw(
        "Accuracy and packed size of the digits network by the number of clusters and where they start",
        (
            Panel(title=POINTS, places=across, values=_points(-8, 1), series=_lines(figures["clustering"], _difference)),
            Panel(title=GZIP, places=across, values=_kilobytes(120), series=_lines(figures["clustering"], _gzip)),
        ),
        _note(figures, figures["clustering"], "arrows: below the axis"),
    )


def _quantising(figures: Figures) -> str:
    points = figures["quantising"]
    places = rows([point["series"] for point in points])
    found = tuple(_mark(point, number, _difference) for number, point in enumerate(points) if "points" in point)
    sizes = tuple(Mark(at=number, value=_gzip(point)) for number, point in enumerate(points) if "points" in point)
    name = "digits network, healthy"
    return draw(
        "Accuracy and packed size of the digits network by mode of quantisation",
        (
            Panel(
                title=POINTS, places=places, values=_points(-2, 1, label="points"), rows=True, names_width=88,
                series=(Series(name=name, colour=0, marks=found, joined=False),),
            ),
            Panel(
                title=GZIP, places=places, values=_kilobytes(140, label="kB"), rows=True,
                series=(Series(name=name, colour=0, marks=sizes, bars=True),),
            ),
        ),
        _note(figures, points, f"float: {_mean(figures['float']['healthy'], 'gzip_bytes_by_seed') / 1000:.0f} kB"),
        height=ROW * len(points),
    )  # fmt: skip


def _qat(figures: Figures) -> str:
    epochs = sorted({point["x"] for point in figures["qat"]})
    across = Axis(
        label="epochs of training with quantisation (0: int8 without)", low=-0.5, high=max(epochs) + 0.5,
        ticks=tuple((each, f"{each}") for each in epochs),
    )  # fmt: skip
    lines = _lines(figures["qat"], _difference)
    return draw(
        "Accuracy of int8 networks by epochs of training with quantisation",
        (
            Panel(title=POINTS, places=across, values=_points(-5, 1), series=lines[:2]),
            Panel(title="the same, networks with one loud channel", places=across, values=_points(-100, 5), series=lines[2:]),
        ),
        _note(figures, figures["qat"][:1], f"on the right {figures['qat'][-1]['samples']:,} answers"),
    )


def _calibration(figures: Figures) -> str:
    points = figures["calibration"]
    across = Axis(
        label="calibration samples", low=0.8, high=640, logarithmic=True, ticks=tuple((p["x"], f"{p['x']}") for p in points)
    )
    pooled = replace(_lines(points, _difference)[0], name="int8, all networks")
    shares = tuple(Mark(at=point["x"], value=100 * fmean(point["range_share_by_seed"])) for point in points)
    each = tuple(Mark(at=point["x"], value=100 * share) for point in points for share in point["range_share_by_seed"])
    return draw(
        "Accuracy and width of the ranges of the digits network in int8 by calibration samples",
        (
            Panel(title=POINTS, places=across, values=_points(-2, 1), series=(pooled,)),
            Panel(
                title="width of the ranges, % of those from 512 samples", places=across,
                values=even("", 0, 105, _whole),
                series=(
                    Series(name=pooled.name, colour=0, marks=shares),
                    Series(name="each network", colour=1, marks=each, joined=False),
                ),
            ),
        ),
        _note(figures, points, ""),
    )  # fmt: skip


def _remedies(figures: Figures) -> str:
    points = figures["remedies"]
    names = list(dict.fromkeys(point["rung"] for point in points))
    kinds = list(dict.fromkeys(point["poison"] for point in points))
    series = tuple(
        Series(
            name=kind, colour=colour, joined=False,
            marks=tuple(
                Mark(at=names.index(point["rung"]), value=100 * answer)
                for point in points if point["poison"] == kind
                for answer in point["test_by_network"] if answer is not None
            ),
        )
        for colour, kind in enumerate(kinds)
    )  # fmt: skip
    floating = 100 * fmean({answer for point in points for answer in point["float_test_by_network"]})
    networks = len(points[0]["test_by_network"])
    return draw(
        "Accuracy of poisoned networks on each rung of the ladder of remedies",
        (
            Panel(
                title="right answers on test data, %", places=rows(names), rows=True, names_width=110, series=series[:1],
                values=even("%", 0, 100, _whole, zero=floating),
            ),
            Panel(
                title="the same, closer", places=rows(names), rows=True, series=series[1:],
                values=even("%", 80, 96, _whole, zero=floating),
            ),
        ),
        f"{networks} networks of each kind, a mark each, 597 test answers; dashed: float, {floating:.1f} %",
        height=ROW * len(names),
    )  # fmt: skip


def _lines(points: Sequence[Point], value: Callable[[Point], float]) -> tuple[Series, ...]:
    names = list(dict.fromkeys(point["series"] for point in points))
    return tuple(
        Series(
            name=name,
            colour=colour,
            marks=tuple(_mark(point, point["x"], value) for point in points if point["series"] == name and "points" in point),
        )
        for colour, name in enumerate(names)
    )


def _mark(point: Point, at: float, value: Callable[[Point], float]) -> Mark:
    interval = (point["low"], point["high"]) if value is _difference else (None, None)
    return Mark(at=at, value=value(point), low=interval[0], high=interval[1])


def _difference(point: Point) -> float:
    return float(point["points"])


def _gzip(point: Point) -> float:
    return _mean(point, "gzip_bytes_by_seed") / 1000


def _mean(point: Point, key: str) -> float:
    return fmean(point[key])


def _points(low: float, high: float, *, label: str = "") -> Axis:
    return even(label, low, high, _tick, zero=0.0)


def _tick(value: float) -> str:
    return words.signed(value, 0 if float(value).is_integer() else 1)


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _kilobytes(high: float, *, label: str = "") -> Axis:
    return even(label, 0, high, _whole)


def _note(figures: Figures, points: Sequence[Point], more: str) -> str:
    samples = next(point["samples"] for point in points if "samples" in point)
    seeds = f"{figures['seeds']} networks from {figures['seeds']} seeds, {samples:,} test answers; bars: 95 % interval, paired"
    return f"{seeds}; {more}" if more else seeds


def _table(name: str, heading: str, label: Callable[[Point], str]) -> Callable[[Figures], str]:
    """Return what writes the Markdown table of a plot's points."""

    def lines(figures: Figures) -> Iterator[str]:
        yield f"| {heading} | accuracy against float, points (95 %) | after gzip | smaller than float |"
        yield "|---|---|---|---|"
        for point in figures[name]:
            if "failed" in point:
                yield f"| {label(point)} | {point['failed']} | | |"
                continue
            before = figures["float"]["healthy"]["gzip_bytes_by_seed"]
            times = fmean(old / new for old, new in zip(before, point["gzip_bytes_by_seed"], strict=True))
            found = f"{words.signed(point['points'])} [{words.signed(point['low'])}, {words.signed(point['high'])}]"
            yield f"| {label(point)} | {found} | {words.kilobytes(1000 * _gzip(point))} | {words.factor(times)} |"

    return lambda figures: "".join(f"{line}\n" for line in lines(figures))


def _by_setting(point: Point) -> str:
    return f"{point['series']}, {100 * point['x']:.0f} %"


def _calibration_table(figures: Figures) -> str:
    lines = [
        "| samples | accuracy against float, points (95 %) | width of the ranges | said to have settled |",
        "|---|---|---|---|",
    ]
    for point in figures["calibration"]:
        found = f"{words.signed(point['points'])} [{words.signed(point['low'])}, {words.signed(point['high'])}]"
        settled = f"{sum(point['settled_by_seed'])} of {len(point['settled_by_seed'])}"
        lines.append(f"| {point['x']} | {found} | {words.percent(fmean(point['range_share_by_seed']), 0)} | {settled} |")
    return "".join(f"{line}\n" for line in lines)


def _qat_table(figures: Figures) -> str:
    epochs = list(dict.fromkeys(point["x"] for point in figures["qat"]))
    heads = ["int8" if not each else "qat, 1 epoch" if each == 1 else f"qat, {each} epochs" for each in epochs]
    lines = [f"| network | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for name in dict.fromkeys(point["series"] for point in figures["qat"]):
        cells = [_cell(point) for point in figures["qat"] if point["series"] == name]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


def _cell(point: Point) -> str:
    if "failed" in point:
        return str(point["failed"])
    return f"{words.signed(point['points'])} [{words.signed(point['low'])}, {words.signed(point['high'])}]"


def _remedies_table(figures: Figures) -> str:
    points = figures["remedies"]
    kinds = list(dict.fromkeys(point["poison"] for point in points))
    lines = [f"| rung | {' | '.join(kinds)} |", "|---" * (1 + len(kinds)) + "|"]
    answers = {(point["rung"], point["poison"]): point["test_by_network"] for point in points}
    answers |= {("float", point["poison"]): point["float_test_by_network"] for point in points}
    for rung in ("float", *dict.fromkeys(point["rung"] for point in points)):
        cells = (" · ".join(words.percent(each) for each in answers[rung, kind]) for kind in kinds)
        lines.append(f"| {rung} | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


PICTURES: dict[str, Callable[[Figures], str]] = {
    "pruning": _pruning,
    "clustering": _clustering,
    "quantising": _quantising,
    "qat": _qat,
    "calibration": _calibration,
    "remedies": _remedies,
}
TABLES: dict[str, Callable[[Figures], str]] = {
    "pruning": _table("pruning", "zeros", _by_setting),
    "clustering": _table("clustering", "clusters", lambda point: f"{point['x']}, {point['series']}"),
    "quantising": _table("quantising", "mode", lambda point: str(point["series"])),
    "qat": _qat_table,
    "calibration": _calibration_table,
    "remedies": _remedies_table,
}


def main() -> None:
    """Write every picture, and every page with its tables made again."""
    figures = json.loads(RESULT.read_text(encoding="utf-8"))["figures"]
    for name, svg in pictures(figures).items():
        (PAGES / f"{name}.svg").write_text(svg, encoding="utf-8")
    for page in PAGES.glob("*.md"):
        page.write_text(brought_up_to_date(page.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
