"""Every metric has its page, and the pages say what they must."""

import dataclasses
import re
from pathlib import Path

import pytest

from pennet.metrics import features, weights
from pennet.metrics.scoring import score
from tests.metrics.samples import noisy, pictures
from tests.metrics.test_scoring import CONFIG, CPU, _masks, _pairs

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "metrics").glob("*.md"))


def test_every_metric_of_a_report_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All extractors and nets, without their weights: the names are the same."""
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(features, "INCEPTION_URL", "http://127.0.0.1:1/refused")
    monkeypatch.setattr(features.torch.hub, "get_dir", lambda: str(tmp_path))
    config = dataclasses.replace(CONFIG, extractors=["efflite0", "inception"], lpips_nets=["alex", "vgg"])
    names = set()
    for side in (32, 176):
        real = pictures(2, side, side)
        names |= set(score(_pairs(noisy(real, 9), real, _masks([0.2] * 2, side)), config, CPU, tmp_path).report.overall)
    families = {"ms_ssim" if name.startswith("ms_ssim") else re.sub("^(lpips|is|fid|kid)_.*", r"\1", name) for name in names}
    assert {page.stem for page in PAGES} == families
    assert names >= {"ms_ssim", "ms_ssim_2", "is_inception", "kid_efflite0", "lpips_vgg"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_formula_range_reward_traps_and_source(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# `{page.stem}")
    for part in ("**Formula.**", "**Range.**", "**Rewards**", "**Misleads", "**Source.**"):
        assert part in text
    assert f"(metrics/{page.name})" in (DOCS / "metrics.md").read_text()


def test_links_of_the_metric_pages_lead_somewhere() -> None:
    for page in [DOCS / "metrics.md", *PAGES]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
