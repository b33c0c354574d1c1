"""Every metric has its page, and the pages say what they must."""

import re
from pathlib import Path

import pytest

from pennet.metrics.catalogue import METRICS
from pipelines.readme import with_index

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "metrics").glob("*.md"))


def test_every_metric_has_a_page_and_every_page_a_metric() -> None:
    assert {page.stem for page in PAGES} == {metric.name for metric in METRICS}


def test_index_of_the_pages_is_the_one_that_the_declarations_make() -> None:
    assert with_index((DOCS / "metrics.md").read_text()) == (DOCS / "metrics.md").read_text(), "run `make readme`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_formula_range_reward_traps_and_source(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# `{page.stem}")
    for part in ("**Formula.**", "**Range.**", "**Rewards**", "**Misleads", "**Source.**"):
        assert part in text


def test_links_of_the_metric_pages_lead_somewhere() -> None:
    for page in [DOCS / "metrics.md", *PAGES]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
