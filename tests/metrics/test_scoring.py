import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from pennet.config import EvaluateConfig
from pennet.metrics import pixel, weights
from pennet.metrics.scoring import Pairs, Scores, score
from pennet.metrics.structure import structure
from tests.metrics.samples import Images, noisy, pictures

CPU = torch.device("cpu")
CONFIG = EvaluateConfig(
    bootstrap_resamples=200,
    seed=7,
    extractors=[],
    inception_weights="",
    is_splits=2,
    kid_subsets=5,
    kid_subset_size=4,
    lpips_nets=[],
    batch_size=3,
    sheet_images=1,
)


def _pairs(fake: Images, real: Images, masks: Images | None = None) -> Pairs:
    names = [f"{i:04}" for i in range(len(real))]
    return Pairs(names, fake.__getitem__, real.__getitem__, None if masks is None else masks.__getitem__)


def _masks(ratios: list[float], side: int) -> Images:
    masks = np.zeros((len(ratios), side * side), np.uint8)
    for mask, ratio in zip(masks, ratios, strict=True):
        mask[: round(ratio * side * side)] = 1
    return masks.reshape(-1, side, side)


def test_score_reports_means_of_the_image_metrics(tmp_path: Path) -> None:
    real = pictures(7, 64, 64)
    fake = noisy(real, 20)
    report, table = score(_pairs(fake, real), CONFIG, CPU, tmp_path)
    assert list(table.values) == ["l1", "l1_relative", "psnr", "ssim", "ms_ssim_3"]
    assert report.overall["psnr"].value == pytest.approx(pixel.psnr(fake, real).mean())
    assert report.overall["ms_ssim_3"].value == pytest.approx(structure(fake, real).ms_ssim.mean())
    assert {m.n for m in report.overall.values()} == {7}
    assert report.overall["psnr"].better == "higher"
    assert report.overall["l1"].better == "lower"
    assert report.bins == {}


def test_score_does_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    real = pictures(7, 32, 32)
    fake, masks = noisy(real, 20), _masks([0.05, 0.15, 0.15, 0.25, 0.35, 0.45, 0.55], 32)

    def scored(batch_size: int) -> Scores:
        config = dataclasses.replace(CONFIG, batch_size=batch_size)
        return score(_pairs(fake, real, masks), config, CPU, tmp_path)

    whole = scored(7)
    for batch_size in (1, 2, 100):
        parts = scored(batch_size)
        assert parts.report == whole.report
        np.testing.assert_equal(parts.per_image.values, whole.per_image.values)


def test_score_groups_by_hole_ratio(tmp_path: Path) -> None:
    real = pictures(5, 32, 32)
    fake, masks = noisy(real, 20), _masks([0.05, 0.25, 0.28, 0.0, 0.9], 32)
    report, table = score(_pairs(fake, real, masks), CONFIG, CPU, tmp_path)
    assert {name: b.n for name, b in report.bins.items()} == {"1-10%": 1, "20-30%": 2}
    assert report.bins["20-30%"].metrics["l1"].value == pytest.approx(table.values["l1"][1:3].mean())
    assert report.bins["1-10%"].metrics["l1"].ci_low is None
    assert table.hole_ratio is not None
    np.testing.assert_allclose(table.hole_ratio, masks.mean(axis=(1, 2)))


def test_score_says_how_many_images_have_no_value(tmp_path: Path) -> None:
    real = pictures(3, 32, 32)
    fake, masks = noisy(real, 20), _masks([0.2, 0.0, 0.2], 32)
    fake[0] = real[0]
    report, _ = score(_pairs(fake, real, masks), CONFIG, CPU, tmp_path)
    psnr, l1_hole = report.overall["psnr"], report.overall["l1_hole"]
    assert (psnr.n, psnr.notes) == (2, ["1 infinite (identical to the truth), left out of the mean"])
    assert (l1_hole.n, l1_hole.notes) == (2, ["1 undefined (empty hole), left out of the mean"])


def test_score_of_identical_images_has_no_psnr(tmp_path: Path) -> None:
    real = pictures(2, 32, 32)
    psnr = score(_pairs(real, real), CONFIG, CPU, tmp_path).report.overall["psnr"]
    assert psnr.value is None
    assert psnr.status == "undefined: no image has a finite value"


def test_score_with_networks_names_them_and_their_doubts(tmp_path: Path) -> None:
    real = pictures(5, 64, 64)
    config = dataclasses.replace(CONFIG, extractors=["efflite0"], lpips_nets=["alex"])
    report, table = score(_pairs(noisy(real, 40), real), config, CPU, tmp_path)
    results = report.overall
    assert results["is_efflite0"].notes == ["2 splits", "noise: n = 5 is below 10 x splits"]
    assert "rank-deficient" in results["fid_efflite0"].notes[0]
    assert results["kid_efflite0"].notes == ["5 subsets of 4 images"]
    for name in ("is_efflite0", "fid_efflite0", "kid_efflite0"):
        assert results[name].extractor == "efflite0"
        assert results[name].ci_low is None
    assert results["lpips_alex"].extractor == "alex"
    assert len(table.values["lpips_alex"]) == 5
    assert "224 px" in report.extractors["efflite0"].preprocessing


@pytest.mark.parametrize(("count", "undefined"), [(1, ["fid", "is", "kid"]), (2, [])])
def test_score_of_tiny_sets_says_what_is_undefined(tmp_path: Path, count: int, undefined: list[str]) -> None:
    real = pictures(count, 32, 32)
    config = dataclasses.replace(CONFIG, extractors=["efflite0"])
    results = score(_pairs(noisy(real, 40), real), config, CPU, tmp_path).report.overall
    statuses = {name: results[f"{name}_efflite0"].status for name in ("fid", "is", "kid")}
    assert [name for name, status in statuses.items() if status.startswith("undefined: ")] == undefined


def test_score_without_weights_reports_why_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    config = dataclasses.replace(
        CONFIG,
        extractors=["inception", "efflite0"],
        inception_weights=str(tmp_path / "absent.pth"),
        lpips_nets=["alex", "vgg"],
    )
    real = pictures(2, 32, 32)
    report, table = score(_pairs(noisy(real, 9), real), config, CPU, tmp_path)
    unavailable = {name for name, m in report.overall.items() if m.status.startswith("unavailable: ")}
    kinds = ("is", "fid", "kid")
    expected = {f"{k}_{e}" for k in kinds for e in ("inception", "efflite0")} | {"lpips_alex", "lpips_vgg"}
    assert unavailable == expected
    assert "--inception-weights" in report.overall["fid_inception"].status
    assert "pip install" in report.overall["lpips_vgg"].status
    assert not any(name.startswith("lpips") for name in table.values)
    assert report.overall["l1"].status == "ok"


def test_score_of_images_too_small_for_lpips_says_so(tmp_path: Path) -> None:
    real = pictures(2, 16, 16)
    config = dataclasses.replace(CONFIG, lpips_nets=["alex"])
    results = score(_pairs(noisy(real, 9), real), config, CPU, tmp_path).report.overall
    assert results["lpips_alex"].status == "undefined: needs a side of 32 px"
    assert "ms_ssim_1" in results


def test_score_refuses_nothing_and_mixed_sizes(tmp_path: Path) -> None:
    real = pictures(2, 32, 32)
    with pytest.raises(ValueError, match="no images"):
        score(_pairs(real[:0], real[:0]), CONFIG, CPU, tmp_path)
    mixed = [real[0], real[1][:16]]
    with pytest.raises(ValueError, match="0001: has shape"):
        score(Pairs(["0000", "0001"], mixed.__getitem__, mixed.__getitem__, None), CONFIG, CPU, tmp_path)


def test_score_needs_no_more_memory_for_more_images(tmp_path: Path) -> None:
    base = pictures(4, 128, 128)

    def peak_bytes(count: int) -> int:
        pairs = Pairs([str(i) for i in range(count)], lambda i: noisy(base[i % 4], 9), lambda i: base[i % 4].copy(), None)
        tracemalloc.start()
        score(pairs, CONFIG, CPU, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(6)
    assert peak_bytes(96) < 1.2 * peak_bytes(12)
