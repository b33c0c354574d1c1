"""The page in a real browser: upload, paint, fill, compare, download, sources, every error, two people at once."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from pennet.generator_files import save_generator
from tests.browser import MARKS, chromium
from tests.studio.running import Studio, running, wait_until, write_mask, write_photo
from tests.test_sources import COPYING, built

pytestmark = MARKS
TIMEOUT = 60_000  # milliseconds: the page is quick, a busy machine is not
expect.set_options(timeout=TIMEOUT)
NETWORK = "tiny/network"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, a comparison, photos and masks."""
    folder = tmp_path_factory.mktemp("studio")
    save_generator(built(COPYING), COPYING, folder / NETWORK)
    (folder / "comparison").mkdir()
    (folder / "comparison/comparison.md").write_text(
        "# Methods compared\n\n| method | L1 |\n| --- | ---: |\n| telea | 0.5 |\n"
    )
    write_photo(folder / "comparison/side_by_side.png", 5)
    for seed, name in enumerate(["a.png", "b.png", "c.jpg"]):
        write_photo(folder / name, seed)
    write_mask(folder / "mask.png")
    write_mask(folder / "small_mask.png", side=64)
    (folder / "words.png").write_text("no photo at all")
    Image.new("L", (1200, 1100)).save(folder / "wide.png")
    (folder / "heavy.bmp").write_bytes(b"BM" + bytes(2 * 2**20))
    return folder


@pytest.fixture(scope="module")
def studio(folder: Path) -> Iterator[Studio]:
    options = ["--model", f"{folder}/{NETWORK}", "--comparison", f"{folder}/comparison", "--device", "cpu"]
    with running(folder / "started", *options, "--max-megabytes", "1", "--max-megapixels", "1") as studio:
        yield studio


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def visit(browser: Browser, studio: Studio) -> Iterator[Callable[..., Page]]:
    """Opens the page as somebody new each time; in the end, no browser has asked any other server for anything."""
    asked: list[str] = []
    context = browser.new_context(accept_downloads=True)  # its cache is shared: a page is a visitor of its own anyhow
    context.set_default_timeout(TIMEOUT)
    context.on("request", lambda request: asked.append(request.url))

    def visit(width: int = 1280, height: int = 900) -> Page:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.goto(studio.url)
        expect(page.get_by_role("button", name="Fill the hole")).to_be_visible(timeout=TIMEOUT)
        return page

    yield visit
    context.close()
    assert asked
    assert [url for url in asked if not url.removeprefix("blob:").startswith((studio.url, "data:"))] == []


@pytest.fixture
def page(visit: Callable[..., Page]) -> Iterator[Page]:
    page = visit()
    yield page
    page.close()


def upload(page: Page, photo: Path) -> None:
    page.locator("#photo input[type=file]").set_input_files(photo)
    expect(page.locator("#about")).to_contain_text(photo.name, timeout=TIMEOUT)


def upload_mask(page: Page, mask: Path) -> None:
    page.locator("#mask-part button").first.click()
    page.locator("#mask input[type=file]").set_input_files(mask)


def choose(page: Page, *names: str) -> None:
    for label in page.locator("#models label").all():
        label.locator("input").set_checked(label.inner_text().strip() in names)


def fill(page: Page) -> None:
    page.get_by_role("button", name="Fill the hole").click()


def download(page: Page, name: str) -> Path:
    button = result_of(page, name).get_by_role("button", name="Download")
    button.wait_for(timeout=TIMEOUT)
    with page.expect_download(timeout=TIMEOUT) as waiting:
        button.click()
    path = Path(waiting.value.path())
    return path.rename(path.with_name(waiting.value.suggested_filename))


def paint(page: Page, below: float = 0) -> None:
    """A stroke from left to right through the middle of the photo, or below it by a share of the editor's height."""
    canvas = page.locator("#editor canvas").last
    canvas.evaluate("canvas => canvas.scrollIntoView({block: 'center'})")
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * (0.5 + below)
    page.mouse.move(x - 30, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=8)
    page.mouse.up()


def editor_shows(page: Page) -> np.ndarray:
    """The canvas of the editor as it is on the screen, (H, W, 3)."""
    screen = page.locator("#editor canvas").last.screenshot(timeout=TIMEOUT)
    return np.array(Image.open(io.BytesIO(screen)).convert("RGB")).astype(int)


def result_of(page: Page, name: str) -> Locator:
    return page.locator(f"#result-{name.replace('/', '-')}")


def known_pixels_differ(photo: Path, filled: Path, mask: np.ndarray) -> int:
    before, after = (np.array(Image.open(path)) for path in (photo, filled))
    assert before.shape == after.shape
    return int((before != after).any(axis=2)[mask == 0].sum())


def test_a_photo_is_painted_on_filled_compared_and_downloaded(folder: Path, page: Page) -> None:
    upload(page, folder / "a.png")
    wait_until(lambda: len(np.unique(editor_shows(page).reshape(-1, 3), axis=0)) > 100)  # the photo
    paint(page)
    choose(page, NETWORK, "mean")
    fill(page)
    where = []
    for name in (NETWORK, "mean"):
        result = result_of(page, name)
        expect(result.locator("img")).to_have_count(2, timeout=TIMEOUT)  # before and after
        expect(result.locator(".slider, [class*=slider]").first).to_be_visible()
        expect(result).to_contain_text(re.compile(r"\d\.\d\d s; hole \d+\.\d %"))
        path = download(page, name)
        assert path.suffix == ".png"
        filled, photo = np.array(Image.open(path)), np.array(Image.open(folder / "a.png"))
        where.append((filled != photo).any(axis=2))
    expect(result_of(page, "telea")).to_have_count(0)  # was not chosen
    hole = where[0] | where[1]
    lines, columns = (np.flatnonzero(hole.any(axis=axis)) for axis in (1, 0))
    assert 64 - 26 <= lines.min() < 50  # the brush is 24 px wide to both sides, and a little more
    assert 78 < lines.max() <= 64 + 26
    assert columns.min() >= 64 - 34
    assert columns.max() <= 64 + 34
    assert hole.mean() > 0.1


def test_a_mask_is_uploaded_and_a_jpeg_comes_back_as_one(folder: Path, page: Page) -> None:
    upload(page, folder / "c.jpg")
    upload_mask(page, folder / "mask.png")
    expect(page.locator("#about")).to_contain_text("6.2 % of the photo is hole", timeout=TIMEOUT)
    choose(page, NETWORK)
    fill(page)
    path = download(page, NETWORK)
    assert path.suffix == ".jpg"
    with Image.open(path) as filled, Image.open(folder / "c.jpg") as photo:
        assert filled.format == "JPEG"
        assert filled.quantization == photo.quantization
        apart = np.abs(np.array(filled).astype(int) - np.array(photo))
    hole = np.array(Image.open(folder / "mask.png")) > 0
    assert apart[hole].mean() > 5 * apart[:32].mean()


def test_a_mask_is_erased_as_what_was_painted(folder: Path, page: Page) -> None:
    page.locator("#examples button").first.click()  # what the editor held before moves nothing
    expect(page.locator("#about")).to_contain_text("coffee.jpg", timeout=TIMEOUT)
    page.locator("#photo").get_by_label("Clear").first.click()
    upload(page, folder / "a.png")
    upload_mask(page, folder / "mask.png")
    expect(page.locator("#about")).to_contain_text("6.2 % of the photo is hole", timeout=TIMEOUT)
    page.wait_for_timeout(1000)  # the editor draws photo and mask
    page.locator("#editor").get_by_label("Erase").click()
    paint(page, below=0.25)
    choose(page, "mean")
    fill(page)
    expect(page.locator("#status")).to_contain_text(re.compile(r"Hole: [2-5]\.\d % of the photo"), timeout=TIMEOUT)
    before, after = (np.array(Image.open(path)) for path in (folder / "a.png", download(page, "mean")))
    changed = (before != after).any(axis=2)
    assert changed[48:64, 48:80].all()  # the mask's upper half, to the pixel
    assert not changed[78:, 56:72].any()  # where the eraser went
    changed[48:80, 48:80] = False
    assert not changed.any()
    paint(page, below=-0.25)  # the eraser once more, after a fill
    fill(page)
    expect(page.locator("#status")).to_contain_text(re.compile(r"Hole: [34]\.\d % of the photo"), timeout=TIMEOUT)
    again = (before != np.array(Image.open(download(page, "mean")))).any(axis=2)
    assert again[60:68, 48:80].all()  # what both strokes left
    assert not again[:50, 56:72].any()
    assert not again[78:, 56:72].any()


def test_a_clicked_point_says_where_it_was_copied_from(folder: Path, page: Page) -> None:
    page.get_by_role("tab", name="Sources").click()
    expect(page.locator("#sources-words")).to_contain_text("Nothing was filled yet", timeout=TIMEOUT)
    page.get_by_role("tab", name="Fill").click()
    upload(page, folder / "a.png")
    upload_mask(page, folder / "mask.png")
    choose(page, NETWORK)
    fill(page)
    expect(result_of(page, NETWORK).locator("img")).to_have_count(2, timeout=TIMEOUT)
    page.get_by_role("tab", name="Sources").click()
    page.locator("#sources-model").get_by_label(NETWORK).check()
    picture = page.locator("#sources-picture img")
    box = picture.bounding_box(timeout=TIMEOUT)
    assert box is not None
    picture.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    for level, cell_px in ((3, 8), (2, 4), (1, 2)):
        expect(page.get_by_text(f"Level {level}, cells of {cell_px} px")).to_be_visible(timeout=TIMEOUT)
    expect(page.locator(".level img")).to_have_count(3)
    picture.click(position={"x": box["width"] / 10, "y": box["height"] / 10})
    expect(page.get_by_text("this point is outside of the hole")).to_be_visible(timeout=TIMEOUT)


def test_every_mistake_is_told_and_can_be_mended(folder: Path, page: Page) -> None:

    def told(words: str) -> None:
        expect(page.locator(".toast-body").filter(has_text=words)).to_be_visible(timeout=TIMEOUT)

    def replaced(photo: str) -> None:
        page.locator("#photo").get_by_label("Clear").first.click()
        page.locator("#photo input[type=file]").set_input_files(folder / photo)

    choose(page, "mean")
    fill(page)
    told("no photo: upload one, or pick an example")
    page.locator("#photo input[type=file]").set_input_files(folder / "words.png")
    told("words.png: ")
    replaced("wide.png")
    told("wide.png: 1200 x 1100 px are 1.3 megapixels; this page takes photos of at most 1")
    replaced("a.png")
    expect(page.locator("#about")).to_contain_text("a.png: 128 × 128 px", timeout=TIMEOUT)
    fill(page)
    told("no hole: paint over what is to be filled, or upload a mask")
    upload_mask(page, folder / "small_mask.png")
    told("small_mask.png: 64 x 64 px, but the photo has 128 x 128 px")
    page.get_by_label("Resize to the photo’s size").check()
    expect(page.locator("#about")).to_contain_text("of the photo is hole", timeout=TIMEOUT)
    choose(page)
    fill(page)
    told("no model: choose at least one")
    choose(page, "mean")
    fill(page)
    expect(result_of(page, "mean").locator("img")).to_have_count(2, timeout=TIMEOUT)
    replaced("heavy.bmp")
    told("maximum")


def test_two_people_at_once_get_their_own_photos_back(folder: Path, visit: Callable[..., Page]) -> None:
    people = {name: visit() for name in ("a.png", "b.png")}
    for name, page in people.items():
        upload(page, folder / name)
        upload_mask(page, folder / "mask.png")
        choose(page, NETWORK, "mean")
        expect(page.locator("#about")).to_contain_text("of the photo is hole", timeout=TIMEOUT)
    for page in people.values():
        fill(page)
    mask = np.array(Image.open(folder / "mask.png"))
    for name, page in people.items():
        for model in (NETWORK, "mean"):
            path = download(page, model)
            assert path.name.startswith(Path(name).stem + "-")
            assert known_pixels_differ(folder / name, path, mask) == 0


def test_the_comparison_shows_its_table_and_pictures(page: Page) -> None:
    page.get_by_role("tab", name="Comparison").click()
    expect(page.get_by_role("heading", name="Methods compared")).to_be_visible(timeout=TIMEOUT)
    expect(page.locator("#comparison td").filter(has_text="telea")).to_be_visible()
    picture = page.locator(".compared img")
    expect(picture).to_be_visible(timeout=TIMEOUT)
    wait_until(lambda: picture.evaluate("image => image.naturalWidth") == 128)


def test_a_phone_shows_an_example_without_scrolling_sideways(visit: Callable[..., Page]) -> None:
    page = visit(390, 844)
    page.locator("#examples button").first.click()
    expect(page.locator("#about")).to_contain_text("coffee.jpg: 512 × 341 px; 3.3 % of the photo is hole", timeout=TIMEOUT)
    choose(page, "mean")
    fill(page)
    expect(result_of(page, "mean").locator("img")).to_have_count(2, timeout=TIMEOUT)
    for tab in ("Fill", "Sources", "Comparison"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_in_the_end_nothing_is_left(studio: Studio) -> None:
    """The last test of this file: whatever the others uploaded is there, and goes with the page."""
    assert studio.kept()
    assert studio.end(signal.SIGINT) == 130
    assert list(studio.temporary.iterdir()) == []
