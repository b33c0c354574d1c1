"""Scores a set of pictures: every metric for every image, then the report. A batch in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pennet.config import EvaluateConfig
from pennet.metrics import pixel
from pennet.metrics.distribution import frechet_distance, inception_score, kernel_distance
from pennet.metrics.features import Extractor, Features, LoadImage, extract, extract_cached, load_extractor
from pennet.metrics.per_image import PerImage
from pennet.metrics.perceptual import LPIPS, MIN_SIDE_PX, NetName
from pennet.metrics.pixel import Images, Values
from pennet.metrics.report import SCHEMA_VERSION, BinResult, ExtractorInfo, MetricResult, Report, Settings
from pennet.metrics.structure import ms_ssim_name, structure
from pennet.metrics.summary import HOLE_BINS, bootstrap_interval
from pennet.metrics.weights import WeightsUnavailable

HIGHER_IS_BETTER = ("psnr", "ssim", "ms_ssim", "is_")
"""Starts of the names of metrics of which more is better."""


@dataclass(frozen=True)
class Pairs:
    """Pictures to score, all of one size, loaded when they are needed."""

    names: list[str]
    fake: LoadImage
    """What was made: for a method of this project its composite."""
    real: LoadImage
    """The ground truth."""
    mask: LoadImage | None
    """(H,W), 1 = hole; None if there are none."""

    def __len__(self) -> int:
        return len(self.names)


class Scores(NamedTuple):
    report: Report
    per_image: PerImage


class _SetFeatures(NamedTuple):
    extractor: Extractor
    fake: Features
    real: Features


def score(pairs: Pairs, config: EvaluateConfig, device: torch.device, cache_dir: Path) -> Scores:
    """Every metric of docs/metrics.md for every image, overall and by hole-ratio bin.

    Args:
        pairs: what to compare.
        config: which metrics and how; the values do not depend on `batch_size`.
        device: where the networks run.
        cache_dir: where features of ground truth are remembered.

    Raises:
        ValueError: there are no images, or they differ in size or are smaller than SSIM's window.
    """
    if len(pairs) == 0:
        raise ValueError("there are no images to score")
    height_px, width_px = pairs.real(0).shape[:2]
    missing: list[MetricResult] = []
    nets = _load_lpips(config.lpips_nets, device, min(height_px, width_px), missing)
    extractors = _load_extractors(config, device, missing)

    table = score_images(pairs, nets, config.batch_size)
    sets = []
    for extractor in extractors:
        fake = extract(extractor, pairs.fake, len(pairs), config.batch_size, f"{extractor.name}: results")
        label = f"{extractor.name}: ground truth"
        real = extract_cached(extractor, pairs.real, len(pairs), config.batch_size, label, cache_dir)
        sets.append(_SetFeatures(extractor, fake, real))

    bins = {}
    if table.hole_ratio is not None:
        for hole_bin in HOLE_BINS:
            members = hole_bin.holds(table.hole_ratio)
            if members.any():
                metrics = _summarise(table, sets, members, config)
                bins[hole_bin.name] = BinResult(hole_bin.low, hole_bin.high, int(members.sum()), metrics)
    everything = np.ones(len(pairs), dtype=bool)
    report = Report(
        schema_version=SCHEMA_VERSION,
        num_images=len(pairs),
        height_px=height_px,
        width_px=width_px,
        settings=Settings(
            config.bootstrap_resamples,
            config.seed,
            config.is_splits,
            config.kid_subsets,
            config.kid_subset_size,
        ),
        extractors={e.name: ExtractorInfo(e.preprocessing, e.weights_sha256) for e in extractors},
        overall=_summarise(table, sets, everything, config) | {m.name: m for m in missing},
        bins=bins,
    )
    return Scores(report, table)


def score_images(pairs: Pairs, nets: list[LPIPS], batch_size: int) -> PerImage:
    """The metrics that every image has for itself, in the order of the images."""
    starts = range(0, len(pairs), batch_size)
    batches: list[dict[str, Values]] = []
    for start in tqdm(starts, "images", disable=None):
        indices = range(start, min(start + batch_size, len(pairs)))
        fake, real = _stack(pairs.fake, indices, pairs.names), _stack(pairs.real, indices, pairs.names)
        mask = None if pairs.mask is None else _stack(pairs.mask, indices, pairs.names)
        batches.append(_score_batch(fake, real, mask, nets))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    return PerImage(pairs.names, columns.pop("hole_ratio", None), columns)


def _score_batch(fake: Images, real: Images, mask: NDArray[np.uint8] | None, nets: list[LPIPS]) -> dict[str, Values]:
    values = {"l1": pixel.l1(fake, real)}
    if mask is not None:
        values["hole_ratio"] = (mask > 0).mean(axis=(1, 2))
        values["l1_hole"] = pixel.l1_hole(fake, real, mask)
    values["l1_relative"] = pixel.l1_relative(fake, real)
    values["psnr"] = pixel.psnr(fake, real)
    values["ssim"], values[ms_ssim_name(*fake.shape[1:3])] = structure(fake, real)
    return values | {f"lpips_{net.net}": net.score(fake, real) for net in nets}


def _stack(load: LoadImage, indices: range, names: list[str]) -> Images:
    images = [load(i) for i in indices]
    for i, image in zip(indices, images, strict=True):
        if image.shape != images[0].shape:
            raise ValueError(f"{names[i]}: has shape {image.shape}, the images before it {images[0].shape}")
    return np.stack(images)


def _load_lpips(names: list[NetName], device: torch.device, side_px: int, missing: list[MetricResult]) -> list[LPIPS]:
    nets = []
    for name in names:
        try:
            if side_px < MIN_SIDE_PX:
                missing.append(_without_value(f"lpips_{name}", f"undefined: needs a side of {MIN_SIDE_PX} px", name))
            else:
                nets.append(LPIPS(name).to(device))
        except WeightsUnavailable as error:
            missing.append(_without_value(f"lpips_{name}", f"unavailable: {error}", name))
    return nets


def _load_extractors(config: EvaluateConfig, device: torch.device, missing: list[MetricResult]) -> list[Extractor]:
    extractors = []
    for name in config.extractors:
        try:
            extractors.append(load_extractor(name, device, config.inception_weights))
        except WeightsUnavailable as error:
            missing += [_without_value(f"{m}_{name}", f"unavailable: {error}", name) for m in ("is", "fid", "kid")]
    return extractors


def _summarise(
    table: PerImage, sets: list[_SetFeatures], members: NDArray[np.bool_], config: EvaluateConfig
) -> dict[str, MetricResult]:
    results = [_mean(name, values[members], config) for name, values in table.values.items()]
    for features in sets:
        results += _set_metrics(features, members, config)
    return {result.name: result for result in results}


def _mean(name: str, values: Values, config: EvaluateConfig) -> MetricResult:
    """The mean over the images that have a finite value, with its interval; says how many have none."""
    finite = values[np.isfinite(values)]
    infinite, undefined = int(np.isinf(values).sum()), int(np.isnan(values).sum())
    notes = []
    if infinite:
        notes.append(f"{infinite} infinite (identical to the truth), left out of the mean")
    if undefined:
        notes.append(f"{undefined} undefined (empty hole), left out of the mean")
    extractor = name.removeprefix("lpips_") if name.startswith("lpips_") else None
    if len(finite) == 0:
        return _without_value(name, "undefined: no image has a finite value", extractor, notes)
    interval = bootstrap_interval(finite, config.bootstrap_resamples, config.seed)
    low, high = interval or (None, None)
    value = float(finite.mean())
    return MetricResult(name, value, None, len(finite), low, high, _better(name), extractor, notes, "ok")


def _set_metrics(sets: _SetFeatures, members: NDArray[np.bool_], config: EvaluateConfig) -> list[MetricResult]:
    """IS, FID and KID of the images in `members`, with what makes them doubtful."""
    extractor = sets.extractor.name
    fake, real, n = sets.fake.features[members], sets.real.features[members], int(members.sum())
    results = []

    name = f"is_{extractor}"
    if n < config.is_splits:
        status = f"undefined: {n} images are fewer than the {config.is_splits} splits"
        results.append(_without_value(name, status, extractor))
    else:
        scored = inception_score(sets.fake.logits[members], config.is_splits, config.seed)
        notes = [f"{config.is_splits} splits"]
        if n < 10 * config.is_splits:
            notes.append(f"noise: n = {n} is below 10 x splits")
        results.append(_of_set(name, *scored, n, extractor, notes))

    if n < 2:
        status = "undefined: needs at least 2 images"
        return [*results, *(_without_value(f"{m}_{extractor}", status, extractor) for m in ("fid", "kid"))]
    size = sets.extractor.num_features
    notes = [f"biased: n = {n} does not exceed the {size} features (rank-deficient); prefer KID"] if n <= size else []
    results.append(_of_set(f"fid_{extractor}", frechet_distance(fake, real), None, n, extractor, notes))
    kid, spread = kernel_distance(fake, real, config.kid_subsets, config.kid_subset_size, config.seed)
    if config.kid_subset_size < n:
        notes = [f"{config.kid_subsets} subsets of {config.kid_subset_size} images"]
        results.append(_of_set(f"kid_{extractor}", kid, spread, n, extractor, notes))
    else:  # every subset is the whole set, so there is no spread
        results.append(_of_set(f"kid_{extractor}", kid, None, n, extractor, [f"one subset of all {n} images"]))
    return results


def _of_set(name: str, value: float, std: float | None, n: int, extractor: str, notes: list[str]) -> MetricResult:
    return MetricResult(name, value, std, n, None, None, _better(name), extractor, notes, "ok")


def _without_value(name: str, status: str, extractor: str | None, notes: list[str] | None = None) -> MetricResult:
    return MetricResult(name, None, None, 0, None, None, _better(name), extractor, notes or [], status)


def _better(name: str) -> Literal["lower", "higher"]:
    return "higher" if name.startswith(HIGHER_IS_BETTER) else "lower"
