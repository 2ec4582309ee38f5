"""Takes the README's pictures of a real report: python docs/picture.py edgepipe-results/reports/NAME.html"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT, COLOURS = 1180, 1130, 128
CHIP = "h2:text('On the chip') ~ .grid3 figure"


def main(page: Path) -> None:
    """Write docs/report.png, the upper part of the page, and docs/chip.png, its first microcontroller."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        window.goto(page.absolute().as_uri())
        shots = {"report": window.screenshot(), "chip": window.locator(CHIP).first.screenshot()}
        browser.close()
    for name, shot in shots.items():
        target = Path(__file__).parent / f"{name}.png"
        Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
