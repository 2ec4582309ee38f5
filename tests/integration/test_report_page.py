"""The page as a browser shows it: charts, widths, tooltips, colours; and nothing asked of the network."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepipe.records import CompressionRecord, RunOutcome, RunRecord
from edgepipe.reports.render.html import html_report
from edgepipe.reports.store import read_record

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

RECORDS = Path(__file__).parents[1] / "golden" / "records"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


def write_page(folder: Path, name: str = "") -> Path:
    """The golden records as a page; `name` replaces every model's."""
    records = [read_record(path) for path in sorted(RECORDS.glob("*.json"))]
    compressions = [record for record in records if isinstance(record, CompressionRecord)]
    runs = [record for record in records if isinstance(record, RunRecord)]
    if name:
        runs = [dataclasses.replace(run, artefact_name=name) for run in runs]
        compressions = [dataclasses.replace(record, recipe=name) for record in compressions]
    path = folder / "report.html"
    path.write_text(html_report(compressions, runs), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(tmp_path_factory.mktemp("page")).as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


def opened(
    browser: sync_api.Browser, address: str, *, width: int = 1280, scheme: str = "light", touch: bool = False
) -> sync_api.Page:
    """The page in a fresh context; whatever it complains of or asks for is kept in `page.complaints` and `page.requests`."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=touch)
    page = context.new_page()
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(address)
    return page


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_every_chart_is_there_and_the_page_never_scrolls_sideways(browser: sync_api.Browser, address: str, width: int) -> None:
    page = opened(browser, address, width=width)
    boxes = page.eval_on_selector_all("svg.chart", "charts => charts.map(chart => chart.getBoundingClientRect().toJSON())")
    assert len(boxes) >= 10
    assert all(box["width"] > min(200, width / 2) and box["height"] > 50 for box in boxes)
    assert all(box["left"] >= 0 and box["right"] <= width for box in boxes)
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert page.requests == [address]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_mark_of_a_chart_is_empty_or_outside(browser: sync_api.Browser, address: str, width: int) -> None:
    page = opened(browser, address, width=width)
    outside = page.evaluate(
        """() => [...document.querySelectorAll("svg.chart")].flatMap(chart => {
          const frame = chart.getBoundingClientRect();
          return [...chart.querySelectorAll(".mark")].filter(mark => {
            const box = mark.getBoundingClientRect();
            return box.width < 10 || box.height < 10 || box.left < frame.left - 8 || box.right > frame.right + 8;
          }).map(mark => mark.getAttribute("aria-label"));
        })"""
    )
    assert outside == []
    assert page.locator(".mark").count() > 120


def test_text_of_a_chart_is_never_cut_or_laid_over_other_text(browser: sync_api.Browser, address: str) -> None:
    page = opened(browser, address, width=320)
    overlapping = page.evaluate(
        """() => [...document.querySelectorAll(".chart .head")].filter(head => {
          const [name, value] = [...head.children].map(part => part.getBoundingClientRect());
          return name.right > value.left + 1 || value.right > innerWidth;
        }).map(head => head.textContent)"""
    )
    assert overlapping == []


def test_hovering_shows_the_values_and_leaving_hides_them(browser: sync_api.Browser, address: str) -> None:
    page = opened(browser, address)
    assert page.locator("#tip").is_hidden()
    page.locator("svg.chart .mark").nth(5).hover()
    assert "23,312 bytes after gzip -9" in page.locator("#tip").inner_text()
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_a_tooltip_stays_on_the_screen_of_a_phone(browser: sync_api.Browser, address: str) -> None:
    page = opened(browser, address, width=390, touch=True)
    for mark in (page.locator(".ridge").first, page.locator(".cell").last, page.locator(".emulated.mark").first):
        mark.scroll_into_view_if_needed()
        mark.tap()
        box = page.locator("#tip").bounding_box()
        assert box and box["width"] > 150 and box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] >= 0
        assert page.locator("#tip").inner_text() == mark.get_attribute("aria-label")


def test_the_keyboard_reaches_a_chart_once_and_walks_along_it(browser: sync_api.Browser, address: str) -> None:
    page = opened(browser, address)
    assert page.locator('svg.chart [tabindex="0"]').count() == page.locator("svg.chart").count()
    page.keyboard.press("Tab")
    first = page.locator("#tip").inner_text()
    assert first.startswith("float: ")
    page.keyboard.press("ArrowDown")
    assert page.locator("#tip").inner_text().startswith("dynamic: ")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_dark_is_dark_and_light_is_light(browser: sync_api.Browser, address: str) -> None:
    def brightness(scheme: str) -> tuple[float, float]:
        page = opened(browser, address, scheme=scheme)
        colours = [page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color")]
        return tuple(sum(map(int, colour[4:-1].split(","))) / 3 for colour in colours)

    paper, ink = brightness("light")
    assert paper > 230 and ink < 60
    paper, ink = brightness("dark")
    assert paper < 40 and ink > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: sync_api.Browser, address: str, scheme: str) -> None:
    """WCAG 2.2: at least 4.5 to 1 for small text, on the nearest background behind it."""
    page = opened(browser, address, scheme=scheme)
    poor = page.evaluate(
        """() => {
          const parse = text => (text.match(/[0-9.]+/g) || []).map(Number);
          const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
          const behind = element => {
            for (; element; element = element.parentElement) {
              const colour = parse(getComputedStyle(element).backgroundColor);
              if (colour.length && colour[3] !== 0) return colour;
            }
            return [255, 255, 255];
          };
          const poor = new Set();
          for (const element of document.querySelectorAll("main *, header *, footer")) {
            const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
            if (!own || element.closest(".cell, style, script, desc")) continue;
            const style = getComputedStyle(element);
            const ink = light(parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color));
            const paper = light(behind(element.closest("svg") ? element.closest("figure, header") : element));
            const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
            if (ratio < 4.5) poor.add(element.tagName + "." + element.getAttribute("class") + " " + ratio.toFixed(2));
          }
          return [...poor];
        }"""
    )
    assert poor == []


def test_a_long_reason_keeps_its_lines_and_pushes_no_column_out(browser: sync_api.Browser, tmp_path: Path) -> None:
    runs = [record for path in sorted(RECORDS.glob("*.json")) if isinstance(record := read_record(path), RunRecord)]
    reason = f"pi4: the runtime is not installed: /opt/{'x' * 61}/bin/python3\nWhat to do: edgepipe farm provision pi4"
    page_file = tmp_path / "report.html"
    page_file.write_text(html_report([], [dataclasses.replace(run, outcome=RunOutcome.INFRA, reason=reason) for run in runs]))
    page = opened(browser, page_file.as_uri())
    widths = page.eval_on_selector_all("td:has(> span > .reason)", "all => all.map(one => one.offsetWidth)")
    assert widths
    assert max(widths) < 250
    assert "python3\nWhat to do" in page.locator(".reason").first.inner_text()


def test_hostile_names_run_nothing(browser: sync_api.Browser, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)><script>alert(2)</script></title><svg onload=alert(3)>\"'"
    page = opened(browser, write_page(tmp_path, name).as_uri(), width=390)
    page.locator(".ridge").first.hover()
    assert page.complaints == []
    assert len(page.requests) == 1
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert name in page.locator("h1").first.inner_text()


def test_without_its_script_the_page_still_has_every_value(browser: sync_api.Browser, address: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(address)
    titles = page.locator("svg .mark > title").all_text_contents()
    assert len(titles) > 120
    assert all(titles)


def test_print_opens_what_was_folded_and_is_black_on_white(browser: sync_api.Browser, address: str, tmp_path: Path) -> None:
    page = opened(browser, address, scheme="dark")
    page.pdf(path=tmp_path / "report.pdf")
    assert page.eval_on_selector_all("details", "all => all.every(one => one.open)")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 1123})
    assert page.evaluate("document.documentElement.scrollWidth") <= 794, "A4 cuts something off"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
