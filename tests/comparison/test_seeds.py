"""The mean over seeds against plain numpy."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from pennet.comparison.compare import compare
from pennet.comparison.seeds import Trials
from pennet.comparison.tables import csv_text, markdown
from pennet.metrics.scoring import score
from pennet.metrics.summary import bootstrap_interval
from tests.metrics.samples import noisy, pictures
from tests.metrics.test_scoring import CONFIG, _masks, _pairs

RATIOS = [0.05] * 5 + [0.25] * 4


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trials]:
    real, masks, cache = pictures(9, 32, 32), _masks(RATIOS, 32), tmp_path_factory.mktemp("cache")

    def trained(*sigmas: float) -> Trials:
        scored = [
            score(_pairs(noisy(real, sigma, seed=i), real, masks), CONFIG, torch.device("cpu"), cache)
            for i, sigma in enumerate(sigmas)
        ]
        return Trials([s.report for s in scored], [s.per_image for s in scored])

    return {"pennet": trained(10, 14, 12), "mean": trained(30)}


def test_value_of_several_seeds_is_their_mean_and_its_spread_their_standard_deviation(trials: dict[str, Trials]) -> None:
    for metric, mean in trials["pennet"].overall(200, 0).items():
        values = [report.overall[metric].value for report in trials["pennet"].reports]
        assert mean.result.value == pytest.approx(np.mean(values))
        assert mean.seed_std == pytest.approx(np.std(values, ddof=1))


def test_interval_is_over_images_of_their_means_over_seeds(trials: dict[str, Trials]) -> None:
    means = np.mean([table.values["psnr"] for table in trials["pennet"].tables], axis=0)
    expected = bootstrap_interval(means, 200, 0)
    result = trials["pennet"].overall(200, 0)["psnr"].result
    assert (result.ci_low, result.ci_high) == expected
    expected = bootstrap_interval(means[5:], 200, 0)
    result = trials["pennet"].of_bin("20-30%", 200, 0)["psnr"].result
    assert (result.ci_low, result.ci_high) == expected


def test_an_image_without_a_value_for_one_seed_is_left_out_of_value_interval_and_n(
    trials: dict[str, Trials], tmp_path: Path
) -> None:
    """The first image is identical to the truth for one seed: its PSNR is infinite."""
    real, masks = pictures(9, 32, 32), _masks(RATIOS, 32)
    fake = noisy(real, 14, seed=5)
    fake[0] = real[0]
    other = score(_pairs(fake, real, masks), CONFIG, torch.device("cpu"), tmp_path)
    three = trials["pennet"]
    mixed = Trials([*three.reports, other.report], [*three.tables, other.per_image])
    values = np.array([table.values["psnr"][1:] for table in mixed.tables])
    mean = mixed.overall(200, 0)["psnr"]
    assert mean.result.value == pytest.approx(values.mean())
    assert (mean.result.ci_low, mean.result.ci_high) == bootstrap_interval(values.mean(axis=0), 200, 0)
    assert mean.result.n == 8
    assert mean.seed_std == pytest.approx(np.std(values.mean(axis=1), ddof=1))
    assert mean.result.notes == ["1 without a finite value for every seed, left out of the mean"]
    assert mixed.of_bin("1-10%", 200, 0)["psnr"].result.n == 4
    assert mixed.of_bin("20-30%", 200, 0)["psnr"].result.notes == []


def test_images_without_a_value_for_some_seed_each_leave_no_mean(tmp_path: Path) -> None:
    real = pictures(2, 32, 32)
    scored = []
    for i in range(2):
        fake = noisy(real, 10)
        fake[i] = real[i]
        scored.append(score(_pairs(fake, real), CONFIG, torch.device("cpu"), tmp_path))
    mean = Trials([s.report for s in scored], [s.per_image for s in scored]).overall(200, 0)["psnr"]
    assert (mean.result.value, mean.result.n, mean.seed_std) == (None, 0, None)
    assert mean.result.status == "undefined: no image has a finite value for every seed"


def test_a_metric_that_one_seed_lacks_has_no_mean_but_its_status(trials: dict[str, Trials]) -> None:
    """As where LPIPS' weights were missing when one seed was evaluated."""
    status = "unavailable: no weights; get them"
    first, *others = trials["pennet"].reports
    lacking = dataclasses.replace(first.overall["ssim"], value=None, n=0, ci_low=None, ci_high=None, notes=[], status=status)
    report = dataclasses.replace(first, overall=first.overall | {"ssim": lacking})
    tables = list(trials["pennet"].tables)
    tables[0] = dataclasses.replace(tables[0], values={k: v for k, v in tables[0].values.items() if k != "ssim"})
    mixed = Trials([*others, report], [*tables[1:], tables[0]])
    assert mixed.overall(200, 0)["ssim"].result.status == status
    assert "ssim" not in mixed.per_image.values
    entries = compare({"centre": {"pennet": mixed, "mean": trials["mean"]}}, "pennet", 200, 0).sections[0].entries["ssim"]
    assert (entries["pennet"].rank, entries["mean"].rank) == (None, 1)


def test_a_single_seed_is_left_as_it_is(trials: dict[str, Trials]) -> None:
    for metric, mean in trials["mean"].overall(200, 0).items():
        assert mean.result == trials["mean"].reports[0].overall[metric]
        assert mean.seed_std is None


def test_tables_say_how_many_seeds_and_how_far_apart(trials: dict[str, Trials]) -> None:
    comparison = compare({"centre": trials}, "pennet", resamples=200, seed=0)
    entry = comparison.sections[0].entries["psnr"]["pennet"]
    text = markdown(comparison, "d", {})
    assert f"**{entry.result.value:.2f}** ± {entry.seed_std:.2f}<br><sub>" in text
    assert "pennet (3): mean over that many seeds" in text
    assert entry.seed_std == round(entry.seed_std or 0, 2)
    assert f",3,{entry.seed_std}," in csv_text(comparison)


def test_seeds_of_other_images_are_refused(trials: dict[str, Trials], tmp_path: Path) -> None:
    real, masks = pictures(8, 32, 32), _masks(RATIOS[:8], 32)
    other = score(_pairs(noisy(real, 9), real, masks), CONFIG, torch.device("cpu"), tmp_path)
    mixed = Trials([*trials["pennet"].reports, other.report], [*trials["pennet"].tables, other.per_image])
    with pytest.raises(ValueError, match="pennet and pennet were scored with different images"):
        compare({"centre": {"pennet": mixed}}, "pennet", resamples=10, seed=0)
