"""The mean over seeds against plain numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pennet.metrics.comparison import compare
from pennet.metrics.scoring import score
from pennet.metrics.seeds import Trials
from pennet.metrics.summary import bootstrap_interval
from pennet.metrics.tables import csv_text, markdown
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


def test_a_single_seed_is_left_as_it_is(trials: dict[str, Trials]) -> None:
    for metric, mean in trials["mean"].overall(200, 0).items():
        assert mean.result == trials["mean"].reports[0].overall[metric]
        assert mean.seed_std is None


def test_tables_say_how_many_seeds_and_how_far_apart(trials: dict[str, Trials]) -> None:
    comparison = compare(trials, "pennet", resamples=200, seed=0)
    entry = comparison.sections[0].entries["psnr"]["pennet"]
    text = markdown(comparison, "d", {})
    assert f"**{entry.result.value:.2f}** ± {entry.seed_std:.2f}<br><sub>" in text
    assert "pennet (3): mean over that many seeds" in text
    assert f",3,{entry.seed_std}," in csv_text(comparison)


def test_seeds_of_other_images_are_refused(trials: dict[str, Trials], tmp_path: Path) -> None:
    real, masks = pictures(8, 32, 32), _masks(RATIOS[:8], 32)
    other = score(_pairs(noisy(real, 9), real, masks), CONFIG, torch.device("cpu"), tmp_path)
    mixed = Trials([*trials["pennet"].reports, other.report], [*trials["pennet"].tables, other.per_image])
    with pytest.raises(ValueError, match="pennet and pennet were scored with different images"):
        compare({"pennet": mixed}, "pennet", resamples=10, seed=0)
