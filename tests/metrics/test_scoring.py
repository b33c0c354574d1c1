import dataclasses
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pennet.config import EvaluateConfig
from pennet.metrics import features, perceptual, pixel, scoring, weights
from pennet.metrics.features import Features
from pennet.metrics.pairs import Pairs
from pennet.metrics.perceptual import LPIPS, NetName
from pennet.metrics.report import write_report
from pennet.metrics.scoring import Scores, score
from pennet.metrics.structure import structure
from tests.metrics.samples import Images, noisy, pictures

CPU = torch.device("cpu")
CONFIG = EvaluateConfig(
    bootstrap_resamples=200,
    seed=7,
    extractors=[],
    weights_dir="weights",
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
    assert report.num_outside_bins == 2
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
    jackknife = "interval: jackknife over 5 groups of images"
    assert results["is_efflite0"].notes == ["2 splits", "noise: n = 5 is below 10 x splits", jackknife]
    assert "rank-deficient" in results["fid_efflite0"].notes[0]
    assert results["kid_efflite0"].notes == ["5 subsets of 4 images", jackknife]
    for name, lowest in (("is_efflite0", 1.0), ("fid_efflite0", 0.0), ("kid_efflite0", -np.inf)):
        result = results[name]
        assert result.extractor == "efflite0"
        assert result.value is not None and result.ci_low is not None and result.ci_high is not None
        assert lowest <= result.ci_low < result.value < result.ci_high
    assert [results[name].std is None for name in ("is_efflite0", "fid_efflite0", "kid_efflite0")] == [False, True, False]
    assert results["lpips_alex"].extractor == "alex"
    assert len(table.values["lpips_alex"]) == 5
    assert "224 px" in report.extractors["efflite0"].preprocessing


def test_score_without_an_interval_for_is_says_why(tmp_path: Path) -> None:
    real = pictures(2, 32, 32)
    config = dataclasses.replace(CONFIG, extractors=["efflite0"])
    result = score(_pairs(noisy(real, 40), real), config, CPU, tmp_path).report.overall["is_efflite0"]
    assert (result.status, result.ci_low) == ("ok", None)
    assert result.notes[-1] == "no interval: without a group of images a split has none left"


@pytest.mark.parametrize(("count", "undefined"), [(1, ["fid", "is", "kid"]), (2, [])])
def test_score_of_tiny_sets_says_what_is_undefined(tmp_path: Path, count: int, undefined: list[str]) -> None:
    real = pictures(count, 32, 32)
    config = dataclasses.replace(CONFIG, extractors=["efflite0"])
    results = score(_pairs(noisy(real, 40), real), config, CPU, tmp_path).report.overall
    statuses = {name: results[f"{name}_efflite0"].status for name in ("fid", "is", "kid")}
    assert [name for name, status in statuses.items() if status.startswith("undefined: ")] == undefined


def test_score_without_weights_reports_why_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(features, "INCEPTION_URL", "http://127.0.0.1:1/refused")
    config = dataclasses.replace(
        CONFIG,
        extractors=["inception", "efflite0"],
        lpips_nets=["alex", "vgg"],
    )
    real = pictures(2, 32, 32)
    pairs = _pairs(noisy(real, 9), real, _masks([0.15] * 2, 32))
    report, table = score(pairs, config, CPU, tmp_path, tmp_path / "absent.pth")
    write_report(tmp_path / "report.json", report)
    assert set(report.bins["10-20%"].metrics) == set(report.overall)
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


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ("fake", r"0002: has shape \(16, 32, 3\) \(result\)"),
        ("real", r"0002: has shape .* \(ground truth\)"),
        ("both", r"0002: has shape .* \(ground truth\)"),
        ("mask", r"0002: has shape \(16, 32\) \(mask\), the first ground truth needs \(32, 32\)"),
    ],
)
def test_score_refuses_another_size_whatever_the_batch(tmp_path: Path, batch_size: int, odd: str, message: str) -> None:
    real, masks = pictures(3, 32, 32), _masks([0.2] * 3, 32)
    sets = {"fake": list(real), "real": list(real), "mask": list(masks)}
    for name in ("fake", "real") if odd == "both" else (odd,):
        sets[name][2] = sets[name][2][:16]
    pairs = Pairs(["0000", "0001", "0002"], *(sets[name].__getitem__ for name in ("fake", "real", "mask")))
    with pytest.raises(ValueError, match=message):
        score(pairs, dataclasses.replace(CONFIG, batch_size=batch_size), CPU, tmp_path)


@pytest.fixture(scope="module")
def networks() -> Iterator[EvaluateConfig]:
    """efflite0 and LPIPS, loaded once for all sets that are scored."""
    extractor, net = features.EffLite0(CPU), LPIPS("alex")

    def lpips(name: NetName) -> LPIPS:
        return net

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "load_extractor", lambda *arguments: extractor)
        patch.setattr(perceptual, "LPIPS", lpips)
        yield dataclasses.replace(CONFIG, extractors=["efflite0"], lpips_nets=["alex"])


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(6)), batch_size=st.integers(1, 7))
def test_score_does_not_depend_on_order_or_batch_size(
    tmp_path_factory: pytest.TempPathFactory, networks: EvaluateConfig, seed: int, order: list[int], batch_size: int
) -> None:
    real = pictures(6, 32, 32, seed)
    fake, masks = noisy(real, 30, seed), _masks([0.05, 0.15, 0.15, 0.25, 0.25, 0.7], 32)
    pairs = _pairs(fake, real, masks)
    permuted = Pairs(
        [pairs.names[i] for i in order], fake[order].__getitem__, real[order].__getitem__, masks[order].__getitem__
    )
    whole = score(pairs, networks, CPU, tmp_path_factory.mktemp("whole"))
    again = score(permuted, networks, CPU, tmp_path_factory.mktemp("permuted"))
    assert again.report == whole.report
    assert again.per_image.names == permuted.names
    for name, values in whole.per_image.values.items():
        np.testing.assert_array_equal(again.per_image.values[name], values[order])

    config = dataclasses.replace(networks, batch_size=batch_size)
    parts = score(permuted, config, CPU, tmp_path_factory.mktemp("parts")).report
    for name, result in whole.report.overall.items():
        assert parts.overall[name].value == pytest.approx(result.value, rel=1e-3, abs=1e-5), name
        assert (parts.overall[name].n, parts.overall[name].status) == (result.n, result.status)


def test_score_of_images_smaller_than_the_window_says_so(tmp_path: Path) -> None:
    real = pictures(2, 10, 16)
    report, table = score(_pairs(noisy(real, 9), real), CONFIG, CPU, tmp_path)
    write_report(tmp_path / "metrics.json", report)
    for name in ("ssim", "ms_ssim"):
        assert report.overall[name].status == "undefined: needs a side of 11 px"
        assert name not in table.values
    assert report.overall["psnr"].status == "ok"


def test_score_of_grey_images_is_that_of_three_equal_channels(tmp_path: Path, networks: EvaluateConfig) -> None:
    real = pictures(4, 32, 32)[..., :1]
    fake = noisy(real, 30)
    grey = score(_pairs(fake, real), networks, CPU, tmp_path).report
    colour = score(_pairs(fake.repeat(3, axis=3), real.repeat(3, axis=3)), networks, CPU, tmp_path).report
    for name, result in colour.overall.items():
        assert grey.overall[name].value == pytest.approx(result.value, rel=1e-5), name


@pytest.mark.parametrize("broken", ["features", "logits"])
def test_score_of_features_that_are_not_finite_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    class Broken:
        name, preprocessing, weights_sha256, device = "efflite0", "none", "0" * 64, CPU

        def __call__(self, images: Images) -> Features:
            means = images.mean(axis=(1, 2), dtype=np.float32)
            return Features(means, means)._replace(**{broken: np.full_like(means, np.nan)})

    monkeypatch.setattr(scoring, "load_extractor", lambda *arguments: Broken())
    real = pictures(4, 16, 16)
    config = dataclasses.replace(CONFIG, extractors=["efflite0"])
    results = score(_pairs(noisy(real, 9), real), config, CPU, tmp_path).report.overall
    wrong = {name for name, result in results.items() if result.status == "undefined: features are not finite"}
    assert wrong == ({"fid_efflite0", "kid_efflite0"} if broken == "features" else {"is_efflite0"})


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
