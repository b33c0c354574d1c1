"""The pictures of docs/studio.md: the page with an example filled, on a desktop and on a phone.

    python -m benchmarks.studio_pictures
    python -m benchmarks.studio_pictures --model models/terrain/pennet/seed-2019 --methods default patchmatch mean

Starts the page on a free port of this machine, picks an example in Chromium, fills its hole with some methods, and
writes what can be seen: docs/pictures/studio-desktop.png, studio-phone.png and studio-sources.png, of 256 colours each.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from pennet.atomic import replacing

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
FOLDER = Path("docs/pictures")
COLOURS = 256
TIMEOUT = 180_000
"""Milliseconds."""
EXAMPLE = 1
"""Its number: the canyon."""
POINT = (0.28, 0.80)
"""Of its hole: right and down, of its sides."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Takes the pictures of docs/studio.md.")
    parser.add_argument("--model", action="append", default=[], help="a trained generator to offer too")
    parser.add_argument("--methods", nargs="+", default=["default", "telea"], help="what fills the example's hole")
    chosen = parser.parse_args()
    options = [text for model in chosen.model for text in ("--model", model)]
    command = [sys.executable, "-m", "pennet", "studio", "--port", "0", *options]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        try:
            assert server.stdout is not None
            if not (address := re.search(r"http://\S+", server.stdout.readline())):
                raise SystemExit("the page did not start")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            for name in SIZES:
                _take(browser, address[0], name, chosen.methods)
            browser.close()
        finally:
            server.send_signal(signal.SIGINT)


def _take(browser: Browser, address: str, name: str, methods: list[str]) -> None:
    width, height = SIZES[name]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(TIMEOUT)
    page.goto(address)
    page.locator("#examples button").nth(EXAMPLE).click()
    page.get_by_text("of the photo is hole").first.wait_for()
    for label in page.locator("#models label").all():
        label.locator("input").set_checked(label.inner_text().strip() in methods)
    page.get_by_role("button", name="Fill the hole").click()
    for method in methods:
        page.locator(f"#result-{method.replace('/', '-')} img").first.wait_for()
    page.get_by_role("heading").first.hover()  # nothing else looks pointed at
    _write(page, FOLDER / f"studio-{name}.png")
    if name == "desktop":
        page.get_by_role("tab", name="Sources").click()
        picture = page.locator("#sources-picture img")
        picture.wait_for()
        box = picture.bounding_box()
        assert box is not None
        picture.click(position={"x": POINT[0] * box["width"], "y": POINT[1] * box["height"]})
        page.locator(".level img").last.wait_for()
        _write(page, FOLDER / "studio-sources.png")
    page.close()


def _write(page: Page, path: Path) -> None:
    """The whole page, once nothing moves in it."""
    page.wait_for_timeout(2000)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        raise SystemExit(f"{path}: the page is wider than its window")
    picture = (
        Image.open(io.BytesIO(page.screenshot(full_page=True)))
        .convert("RGB")
        .quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
    print(f"{path}: {picture.width} x {picture.height} px, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
