"""Model cards: what they say, and that a version's page has room for it."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np
import pytest

from pennet.cost import Cost
from pennet.metrics.per_image import PerImage, write_per_protocol
from pennet.metrics.report import BinResult, MetricResult, Report, Settings
from pipelines import layout
from pipelines.identity import write_identity
from pipelines.tracking.card import PACKAGES, card, chapters, page, promotion_of, requirements, with_promotion
from tests.prepared import write_prepared
from tests.project import ROOT

RATIOS, L1, LPIPS = np.array([0.05, 0.25, 0.25, 0.25]), np.array([0.1, 0.4, 0.2, 0.3]), np.array([0.5, 0.1, 0.2, np.nan])


def results(members: np.ndarray) -> dict[str, MetricResult]:
    def of(name: str, values: np.ndarray) -> MetricResult:
        mean = float(np.nanmean(values[members]))
        net = "alex" if name == "lpips_alex" else None
        return MetricResult(name, mean, None, int(members.sum()), mean - 0.01, mean + 0.01, "lower", net, [], "ok")

    return {"l1_hole": of("l1_hole", L1), "lpips_alex": of("lpips_alex", LPIPS)}


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    grey = np.full((32, 32, 3), 128, np.uint8)
    write_prepared(layout.prepared_dir("d"), train={"t.png": grey}, val={"v.png": grey}, test={"a.png": grey})
    identity = {"method": "quick", "seed": "3", "recipe.training_mask": "many_sizes", "prepare.image_size_px": "32"}
    write_identity(Path("model") / layout.IDENTITY_FILE, identity)
    values = {"l1_hole": L1, "lpips_alex": LPIPS}
    write_per_protocol(Path("report/per_image.csv"), {"irregular": PerImage(["a", "b/c", "d", "e"], RATIOS, values)})
    small, large = RATIOS < 0.1, RATIOS > 0.1
    bins = {"1-10%": BinResult(0.01, 0.1, 1, results(small)), "20-30%": BinResult(0.2, 0.3, 3, results(large))}
    report = Report(2, 4, 32, 32, Settings(10, 1, 1, 1, 2), {}, results(small | large), bins, 0, None)
    return chapters(
        "d", "m-d", "4", Path("model"), Path("report"), {"irregular": report}, Cost(1234, 5678, 90, "steps", 0.0)
    )


def test_a_card_says_what_it_was_made_of_and_where_it_fails(parts: dict[str, str]) -> None:
    assert "| training masks | many_sizes |" in parts["Training"]
    assert "| trained for pictures of | 32 px |" in parts["Training"]
    assert "| budget | 90 steps |" in parts["Training"]
    assert "| `irregular` | " in parts["Results on the test pictures"]
    assert "| 0.2500 | 0.2400 to 0.2600 | 4 |" in parts["Results on the test pictures"]
    about = json.loads((layout.prepared_dir("d") / "card.json").read_text())
    assert "1 train, 1 val, 1 test pictures. Split: made for a test" in parts["Data"]
    assert f"Licence of the data: {about['licence']}" in parts["Data"]
    everything, small, _ = parts["Where it fails"].splitlines()[4:]
    assert re.findall("`(.*?)`", everything) == ["irregular", "b/c", "e", "d", "a", "d", "b/c"]  # by L1, then by LPIPS
    assert (re.findall("`(.*?)`", small), "hole 1-10%" in small) == (["irregular", "a", "a"], True)
    assert "models:/m-d/4" in parts["How to load it"]


def test_a_page_never_grows_beyond_its_column_and_the_card_has_it_all(parts: dict[str, str]) -> None:
    many = parts | {"Where it fails": "| x |\n" * 2000}
    short = page("head", many, "#/link")
    assert "## Training" in short
    assert "## Where it fails" not in short
    assert "[model card](#/link)" in short
    assert all(f"## {heading}" in card("head", many) for heading in many)
    sections = ["**kept**: no.", "Champion: version 1.", "| long |\n" * 900]
    decided = with_promotion(short, "\n\n".join(sections), is_page=True)
    assert len(decided) <= 5000
    assert promotion_of(decided) == "**kept**: no.\n\nChampion: version 1."
    again = with_promotion(decided, "**promoted**: yes.", is_page=True)
    assert again == with_promotion(short, "**promoted**: yes.", is_page=True)
    old = "a page of before cards, " * 300
    assert len(with_promotion(old, "**promoted**: yes.", is_page=True)) <= 5000
    assert promotion_of(with_promotion(old, "**promoted**: yes.", is_page=True)) == "**promoted**: yes."
    assert promotion_of(short) == ""


def test_requirements_are_pinned_and_hold_all_that_inference_imports() -> None:
    assert requirements() == [f"{name}=={version(name).partition('+')[0]}" for name in PACKAGES]
    allowed, waiting = {"pennet"}, list(PACKAGES)
    while waiting:
        name = re.split(r"[ ;<>=!\[(~]", waiting.pop())[0].lower().replace("_", "-")
        if name not in allowed:
            allowed.add(name)
            needed = [] if name == "torch" else distribution(name).requires or []  # torch is imported before we look
            waiting += [line for line in needed if "extra ==" not in line and "Windows" not in line]
    code = (
        "import sys, torch; before = set(sys.modules)\nimport pennet.inference, pennet.generator_files\n"
        "from importlib.metadata import packages_distributions\n"
        "known = packages_distributions()\n"
        "print(*{d for m in set(sys.modules) - before for d in known.get(m.split('.')[0], [])})"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert {name.lower().replace("_", "-") for name in found.stdout.split()} <= allowed


def test_a_report_without_its_table_says_that_failures_are_not_known(parts: dict[str, str]) -> None:
    Path("report/per_image.csv").unlink()
    report = Report(2, 4, 32, 32, Settings(10, 1, 1, 1, 2), {}, results(RATIOS > 0), {}, None, None)
    without = chapters("d", "m-d", "4", Path("model"), Path("report"), {"irregular": report}, None)
    assert without["Where it fails"] == "Not known: per_image.csv is not beside the report."
    assert "budget" not in without["Training"]
