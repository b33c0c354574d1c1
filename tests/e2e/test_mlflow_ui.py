"""MLflow's own page for comparing runs, in a real browser: do our runs line up there?"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import MARKS, chromium
from tests.project import environment
from tests.stack.stack import free_port

pytestmark = MARKS
TIMEOUT = 120_000  # milliseconds: a page of MLflow is quick, a busy machine is not


@pytest.fixture(scope="module")
def address(demo: Path) -> Iterator[str]:
    port = free_port()
    command = ["-m", "mlflow", "ui", "--backend-store-uri", "sqlite:///mlflow.db", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, *command], cwd=demo, env=environment(demo), **quiet) as process:
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(url, timeout=30):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"{url} did not answer in time")


@pytest.fixture(scope="module")
def runs(demo: Path) -> list:
    """Three of the runs: two trained methods and a classical one."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{demo}/mlflow.db")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("pennet-studio-terrain")
    found = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'")
    return [run for run in found if run.data.tags["method"] in ("pennet", "gntipt", "mean")]


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page(viewport={"width": 1600, "height": 2400})


def test_compare_page_shows_three_methods_and_their_metrics(address: str, runs: list, page: Page) -> None:
    assert len(runs) == 3
    ids, experiments = json.dumps([run.info.run_id for run in runs]), json.dumps([runs[0].info.experiment_id])
    query = urllib.parse.urlencode({"runs": ids, "experiments": experiments}, quote_via=urllib.parse.quote)
    page.goto(f"{address}/#/compare-runs?{query}", timeout=TIMEOUT)
    page.get_by_text("Comparing 3 Runs").wait_for(timeout=TIMEOUT)
    for run in runs:
        page.get_by_text(run.info.run_name).first.wait_for(timeout=TIMEOUT)
    page.get_by_text("Parallel Coordinates Plot").first.wait_for(timeout=TIMEOUT)
    scroll_table_to(page, "test/fid_efflite0", "test/l1_hole")
    text = page.inner_text("body")
    for run in runs:
        assert f"{run.data.metrics['test/l1_hole']:.3f}"[:5] in text


def scroll_table_to(page: Page, shown: str, wanted: str) -> None:
    """The table of metrics has only the rows that are in view: turns the wheel over it, from a row that is."""
    first = page.get_by_text(shown, exact=True).last
    first.scroll_into_view_if_needed(timeout=TIMEOUT)
    box = first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 10)  # over the values: the names do not scroll
    deadline = time.monotonic() + TIMEOUT / 1000
    while not page.get_by_text(wanted, exact=True).count():
        assert time.monotonic() < deadline, f"{wanted} did not appear"
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(300)


def test_chart_page_shows_the_same_picture_by_three_methods(address: str, runs: list, page: Page) -> None:
    """The image grids are the last charts of the page, and exist once they come into view."""
    page.goto(f"{address}/#/experiments/{runs[0].info.experiment_id}/runs?compareRunsMode=CHART", timeout=TIMEOUT)
    page.get_by_text("Model metrics", exact=True).last.scroll_into_view_if_needed(timeout=TIMEOUT)
    for run in runs:
        picture = page.locator(f"img[src*='composite_0000'][src*='{run.info.run_id}']").first
        page.mouse.move(800, 1200)
        deadline = time.monotonic() + TIMEOUT / 1000
        while not picture.count() or not picture.evaluate("image => image.naturalWidth"):  # 0 until it is loaded and decoded
            assert time.monotonic() < deadline, f"the picture of {run.info.run_name} did not appear"
            page.mouse.wheel(0, 200)
            page.wait_for_timeout(500)
