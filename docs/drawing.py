"""Draws panels of points, lines and bars as one SVG that needs no script and no font of its own, and reads in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from edgepipe.reports.render import charts

WIDTH, GAP, LEFT, RIGHT = 860, 30, 46, 26  # pixels
LEGEND, TITLE, FOOT, NOTE = 40, 26, 42, 22
DODGE, ROW_DODGE, WHISKER, CHARACTER = 5, 8, 3, 7.3
ROW_HEIGHT = 14  # of values below the axis
STYLE = """
text { font: 12px ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; fill: #55636f; }
.card { fill: #ffffff; stroke: #dfe5ea; } .grid { stroke: #e9eef2; } .zero { stroke: #8794a0; stroke-dasharray: 4 3; }
.title { font-weight: 600; fill: #15212c; } .name { fill: #15212c; } .note { font-size: 11px; }
.s0 { --ink: #0a63b0; } .s1 { --ink: #b8480a; } .s2 { --ink: #00704f; } .s3 { --ink: #6d45a8; }
.line { fill: none; stroke: var(--ink); stroke-width: 1.8; } .range { stroke: var(--ink); stroke-width: 1.3; fill: none; }
.mark { fill: var(--ink); } .beyond { fill: var(--ink); font-size: 11px; }
@media (prefers-color-scheme: dark) {
  text { fill: #9dadb9; } .card { fill: #161e26; stroke: #2b3742; } .grid { stroke: #2b3742; } .zero { stroke: #7d8b97; }
  .title, .name { fill: #e5ecf2; }
  .s0 { --ink: #63b3ff; } .s1 { --ink: #ff9d5c; } .s2 { --ink: #52cfa6; } .s3 { --ink: #c2a5ff; }
}
"""
SHAPES = (
    '<circle class="mark" cx="{x}" cy="{y}" r="4"/>',
    '<rect class="mark" x="{x}" y="{y}" width="7" height="7" transform="translate(-3.5 -3.5)"/>',
    '<path class="mark" d="M-5 0 0 -5 5 0 0 5Z" transform="translate({x} {y})"/>',
    '<path class="mark" d="M-4.5 3.5 0 -4.5 4.5 3.5Z" transform="translate({x} {y})"/>',
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A value at a place, with its interval where it has one."""

    at: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Series:
    """Marks of one name; its `colour` is the same in every panel. `joined` by a line, or drawn as `bars` from the axis' start."""

    name: str
    colour: int
    marks: tuple[Mark, ...]
    joined: bool = True
    bars: bool = False


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high`, evenly or by their logarithm; `zero` is a line to hold them against."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False
    zero: float | None = None

    def share(self, value: float) -> float:
        """Return where a value lies, 0 at `low`, 1 at `high`."""
        low, high, at = (
            (math.log2(each) for each in (self.low, self.high, value)) if self.logarithmic else (self.low, self.high, value)
        )
        return (at - low) / (high - low)


def even(label: str, low: float, high: float, words: Callable[[float], str], *, count: int = 5, zero: float | None = None) -> Axis:
    """Return an axis with about `count` round ticks."""
    found = charts.ticks(charts.Scale(low=low, high=high), words, count)
    return Axis(
        label=label, low=low, high=high, zero=zero, ticks=tuple((low + (high - low) * each.x / 100, each.label) for each in found)
    )


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot. `places` is the axis of what was set, `values` that of what was found.

    With `rows`, places are names one under another and values go to the right; `names` tells whether the names are written.
    """

    title: str
    places: Axis
    values: Axis
    series: tuple[Series, ...]
    rows: bool = False
    names_width: int = 0


def rows(names: Sequence[str]) -> Axis:
    """Return the axis of names one under another, from 0."""
    return Axis(label="", low=-0.5, high=len(names) - 0.5, ticks=tuple(enumerate(names)))


@dataclass(frozen=True, kw_only=True)
class _Box:
    """Where a panel's marks go, in pixels."""

    panel: Panel
    left: float
    top: float
    width: float
    height: float

    def point(self, at: float, value: float) -> tuple[float, float]:
        along, up = self.panel.places.share(at), self.panel.values.share(value)
        if self.panel.rows:
            return self.left + up * self.width, self.top + along * self.height
        return self.left + along * self.width, self.top + (1 - up) * self.height


def draw(title: str, panels: Sequence[Panel], note: str, *, height: int = 250) -> str:
    """Return the SVG of panels side by side under one legend. `title` is read to those who do not see; `note` stands below."""
    whole = LEGEND + TITLE + height + FOOT + NOTE
    names = sum(panel.names_width for panel in panels)
    inner = (WIDTH - LEFT - RIGHT - names - (len(panels) - 1) * (GAP + LEFT)) / len(panels)
    parts = [_legend(panels)]
    left = 0.0
    for number, panel in enumerate(panels):
        left += panel.names_width + (LEFT if number == 0 else GAP + LEFT)
        parts += _panel(_Box(panel=panel, left=left, top=LEGEND + TITLE, width=inner, height=height), number)
        left += inner
    parts.append(f'<text class="note" x="16" y="{whole - 10}">{escape(note)}</text>')
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" width="{WIDTH}" height="{whole}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{whole - 1}" rx="8"/>\n{body}\n</svg>\n'
    )


def _legend(panels: Sequence[Panel]) -> str:
    """Return the names of all series in a line; nothing where there is one only."""
    known = {series.colour: series.name for panel in panels for series in panel.series}
    parts, x = [], 22.0
    for colour, name in sorted(known.items()):
        shape = SHAPES[colour].format(x=_px(x), y="22")
        parts.append(f'<g class="s{colour}">{shape}</g><text class="name" x="{_px(x + 10)}" y="26">{escape(name)}</text>')
        x += 34 + CHARACTER * len(name)
    return "".join(parts)


def _panel(box: _Box, number: int) -> Iterator[str]:
    panel = box.panel
    yield f'<text class="title" x="{_px(box.left)}" y="{_px(box.top - 12)}">{escape(panel.title)}</text>'
    yield from _axes(box)
    yield (
        f'<clipPath id="c{number}"><rect x="{_px(box.left - 6)}" y="{_px(box.top - 6)}" '
        f'width="{_px(box.width + 12)}" height="{_px(box.height + 12)}"/></clipPath>'
    )
    for order, series in enumerate(panel.series):
        step = ROW_DODGE if panel.rows else DODGE if any(mark.low is not None for mark in series.marks) else 0
        offset = (order - (len(panel.series) - 1) / 2) * step
        yield f'<g class="s{series.colour}">{"".join(_series(box, series, offset, number))}</g>'


def _axes(box: _Box) -> Iterator[str]:
    panel, right, bottom = box.panel, box.left + box.width, box.top + box.height
    across, up = (panel.values, panel.places) if panel.rows else (panel.places, panel.values)
    lines = [(value, "grid", text) for value, text in across.ticks] + (
        [(across.zero, "zero", "")] if across.zero is not None else []
    )
    for value, kind, text in lines:
        x = _px(box.left + across.share(value) * box.width)
        if panel.rows or kind == "zero":
            yield f'<path class="{kind}" d="M{x} {_px(box.top)}V{_px(bottom)}"/>'
        yield f'<text x="{x}" y="{_px(bottom + 17)}" text-anchor="middle">{escape(text)}</text>' if text else ""
    lines = [(value, "grid", text) for value, text in up.ticks] + ([(up.zero, "zero", "")] if up.zero is not None else [])
    for value, kind, text in lines:
        y = box.top + (up.share(value) if panel.rows else 1 - up.share(value)) * box.height
        if not panel.rows:
            yield f'<path class="{kind}" d="M{_px(box.left)} {_px(y)}H{_px(right)}"/>'
        if text and not (panel.rows and not panel.names_width):
            named = ' class="name"' if panel.rows else ""
            yield f'<text{named} x="{_px(box.left - 10)}" y="{_px(y + 4)}" text-anchor="end">{escape(text)}</text>'
    yield f'<text x="{_px(box.left + box.width / 2)}" y="{_px(bottom + 35)}" text-anchor="middle">{escape(across.label)}</text>'


def _series(box: _Box, series: Series, offset: float, number: int) -> Iterator[str]:
    values = box.panel.values
    spots = []
    for mark in series.marks:
        x, y = box.point(mark.at, mark.value)
        x, y = (x, y + offset) if box.panel.rows else (x + offset, y)
        spots.append((x, y))
        if mark.low is not None and mark.high is not None and values.low <= mark.value <= values.high:
            yield _range(box, (x, y), max(mark.low, values.low), min(mark.high, values.high))
    if series.bars:
        for x, y in spots:
            yield f'<rect class="mark" x="{_px(box.left)}" y="{_px(y - 5)}" width="{_px(x - box.left)}" height="10" rx="1"/>'
        return
    if series.joined and len(spots) > 1:
        path = "L".join(f"{_px(x)} {_px(y)}" for x, y in spots)
        yield f'<path class="line" clip-path="url(#c{number})" d="M{path}"/>'
    for mark, (x, y) in zip(series.marks, spots, strict=True):
        if values.low <= mark.value <= values.high:
            yield SHAPES[series.colour].format(x=_px(x), y=_px(y))
        else:
            yield _beyond(box, mark.value, (x, y), series.colour)


def _range(box: _Box, spot: tuple[float, float], low: float, high: float) -> str:
    """Return an interval with its two ends."""
    end, shares = WHISKER, [box.panel.values.share(each) for each in (low, high)]
    if box.panel.rows:
        y, (a, b) = _px(spot[1]), (_px(box.left + share * box.width) for share in shares)
        return f'<path class="range" d="M{a} {y}m0-{end}v{2 * end}M{a} {y}H{b}m0-{end}v{2 * end}"/>'
    x, (a, b) = _px(spot[0]), (_px(box.top + (1 - share) * box.height) for share in shares)
    return f'<path class="range" d="M{x} {a}m-{end} 0h{2 * end}M{x} {a}V{b}m-{end} 0h{2 * end}"/>'


def _beyond(box: _Box, value: float, spot: tuple[float, float], row: int) -> str:
    """Return an arrow at the edge for a value that lies below the axis, with the value in figures; each series has its row."""
    text = f"{value:.0f}".replace("-", "−")
    if box.panel.rows:
        return f'<text class="beyond" x="{_px(box.left + 2)}" y="{_px(spot[1] + 4)}">◂ {text}</text>'
    x, y = spot[0], box.top + box.height - ROW_HEIGHT * row
    arrow = f'<path class="mark" d="M-5 -8h10L0 0Z" transform="translate({_px(x)} {_px(y)})"/>'
    return f'{arrow}<text class="beyond" x="{_px(x + 7)}" y="{_px(y)}">{text}</text>'


def _px(value: float) -> str:
    """Return a length in pixels with one decimal, and none where it is whole; never '-0'."""
    return f"{round(value, 1) + 0:g}"
