"""Scores a set of pictures: every metric for every image, then the report. A batch in memory at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pennet.config import EvaluateConfig
from pennet.errors import UserError
from pennet.masks.bins import HOLE_BINS
from pennet.metrics import pixel
from pennet.metrics.distribution import (
    frechet_distance,
    frechet_distances_without,
    inception_score,
    inception_scores_without,
    kernel_distance,
    kernel_distances_without,
)
from pennet.metrics.features import Extractor, Features, LoadImage, extract, extract_cached, load_extractor
from pennet.metrics.per_image import PerImage
from pennet.metrics.perceptual import LPIPS, MIN_SIDE_PX, NetName
from pennet.metrics.pixel import Images, Values
from pennet.metrics.report import (
    INTERVAL_NOTE,
    SCHEMA_VERSION,
    BinResult,
    ExtractorInfo,
    MetricResult,
    Report,
    Settings,
    better,
)
from pennet.metrics.structure import WINDOW_PX, ms_ssim_name, structure
from pennet.metrics.summary import (
    JACKKNIFE_GROUPS,
    Interval,
    bootstrap_interval,
    jackknife_groups,
    jackknife_interval,
)
from pennet.metrics.weights import WeightsUnavailable


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
    composited: set[int] | None = None
    """Numbers of the pictures whose known pixels differed from the truth's and that `fake` composited; it fills as they are
    loaded. None if `fake` gives them as they came."""

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

    The images are taken in the order of their names, so that the report is the same for every order of `pairs`.

    Args:
        pairs: what to compare.
        config: which metrics and how; the values do not depend on `batch_size`.
        device: where the networks run.
        cache_dir: where features of ground truth are remembered.

    Returns:
        The report, and the values of every image in the order of `pairs`.

    Raises:
        UserError: there are no images, or a picture has not the shape of the first ground truth.
    """
    if len(pairs) == 0:
        raise UserError("there are no images to score")
    height_px, width_px = pairs.real(0).shape[:2]
    missing: list[MetricResult] = []
    if min(height_px, width_px) < WINDOW_PX:
        status = f"undefined: needs a side of {WINDOW_PX} px"
        missing += [_without_value(name, status, None) for name in ("ssim", "ms_ssim")]
    nets = _load_lpips(config.lpips_nets, device, min(height_px, width_px), missing)
    extractors = _load_extractors(config, device, missing)
    without_value = {result.name: result for result in missing}

    order = sorted(range(len(pairs)), key=pairs.names.__getitem__)
    given, pairs = pairs, _reordered(pairs, order)
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
                metrics = _summarise(table, sets, members, config) | without_value
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
        overall=_summarise(table, sets, everything, config) | without_value,
        bins=bins,
        num_outside_bins=None if table.hole_ratio is None else len(pairs) - sum(b.n for b in bins.values()),
        num_composited=None if given.composited is None else len(given.composited),
    )
    places = np.argsort(order)
    hole_ratio = None if table.hole_ratio is None else table.hole_ratio[places]
    return Scores(report, PerImage(given.names, hole_ratio, {name: v[places] for name, v in table.values.items()}))


def _reordered(pairs: Pairs, order: list[int]) -> Pairs:
    mask = pairs.mask
    return Pairs(
        [pairs.names[i] for i in order],
        fake=lambda i: pairs.fake(order[i]),
        real=lambda i: pairs.real(order[i]),
        mask=None if mask is None else lambda i: mask(order[i]),
    )


def score_images(pairs: Pairs, nets: list[LPIPS], batch_size: int) -> PerImage:
    """The metrics that every image has for itself, in the order of the images.

    Raises:
        UserError: a picture or mask has not the shape of the first ground truth.
    """
    shape = pairs.real(0).shape
    starts = range(0, len(pairs), batch_size)
    batches: list[dict[str, Values]] = []
    for start in tqdm(starts, "images", disable=None):
        indices = range(start, min(start + batch_size, len(pairs)))
        real = _stack(pairs.real, indices, pairs.names, "ground truth", shape)
        fake = _stack(pairs.fake, indices, pairs.names, "result", shape)
        mask = None if pairs.mask is None else _stack(pairs.mask, indices, pairs.names, "mask", shape[:2])
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
    if min(fake.shape[1:3]) >= WINDOW_PX:
        values["ssim"], values[ms_ssim_name(*fake.shape[1:3])] = structure(fake, real)
    return values | {f"lpips_{net.net}": net.score(fake, real) for net in nets}


def _stack(load: LoadImage, indices: range, names: list[str], what: str, shape: tuple[int, ...]) -> Images:
    images = []
    for i in indices:
        image = load(i)
        if image.shape != shape:
            needed = f"the first ground truth needs {shape}"
            raise UserError(f"{names[i]}: has shape {image.shape} ({what}), {needed}; all must have one size")
        images.append(image)
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
    return MetricResult(name, value, None, len(finite), low, high, better(name), extractor, notes, "ok")


def _set_metrics(sets: _SetFeatures, members: NDArray[np.bool_], config: EvaluateConfig) -> list[MetricResult]:
    """IS, FID and KID of the images in `members`, with what makes them doubtful."""
    fake, real = (Features(*(part[members] for part in features)) for features in (sets.fake, sets.real))
    extractor, n, groups = sets.extractor.name, int(members.sum()), jackknife_groups(int(members.sum()), config.seed)
    results = [_inception_result(fake.logits, extractor, groups, config)]
    finite = all(np.isfinite(features).all() for features in (fake.features, real.features))
    if n < 2 or not finite:
        status = f"undefined: {'needs at least 2 images' if finite else 'features are not finite'}"
        return [*results, *(_without_value(f"{m}_{extractor}", status, extractor) for m in ("fid", "kid"))]

    # Without one group, two images must be left.
    enough = n > 2
    size = sets.extractor.num_features
    notes = [f"biased: n = {n} does not exceed the {size} features (rank-deficient); prefer KID"] if n <= size else []
    fid = frechet_distance(fake.features, real.features)
    without = frechet_distances_without(fake.features, real.features, groups) if enough else []
    results.append(_of_set(f"fid_{extractor}", fid, None, n, extractor, notes, jackknife_interval(fid, without), 0.0))

    kid, spread = kernel_distance(fake.features, real.features, config.kid_subsets, config.kid_subset_size, config.seed)
    if config.kid_subset_size < n:
        std, notes = spread, [f"{config.kid_subsets} subsets of {config.kid_subset_size} images"]
    else:  # every subset is the whole set, so there is no spread
        std, notes = None, [f"one subset of all {n} images"]
    without = kernel_distances_without(fake.features, real.features, groups) if enough else []
    results.append(_of_set(f"kid_{extractor}", kid, std, n, extractor, notes, jackknife_interval(kid, without)))
    return results


def _inception_result(
    logits: NDArray[np.float32], extractor: str, groups: list[NDArray[np.intp]], config: EvaluateConfig
) -> MetricResult:
    name, n = f"is_{extractor}", len(logits)
    if n < config.is_splits:
        return _without_value(name, f"undefined: {n} images are fewer than the {config.is_splits} splits", extractor)
    if not np.isfinite(logits).all():
        return _without_value(name, "undefined: features are not finite", extractor)
    score, std = inception_score(logits, config.is_splits, config.seed)
    notes = [f"{config.is_splits} splits"]
    if n < 10 * config.is_splits:
        notes.append(f"noise: n = {n} is below 10 x splits")
    try:
        interval = jackknife_interval(score, inception_scores_without(logits, config.is_splits, config.seed, groups))
    except ValueError:
        interval = None
        notes.append("no interval: without a group of images a split has none left")
    return _of_set(name, score, std, n, extractor, notes, interval, 1.0)


def _of_set(
    name: str,
    value: float,
    std: float | None,
    n: int,
    extractor: str,
    notes: list[str],
    interval: Interval | None,
    lowest: float = -math.inf,
) -> MetricResult:
    """A result whose interval ends at the least value that the metric can have."""
    if interval is None:
        return MetricResult(name, value, std, n, None, None, better(name), extractor, notes, "ok")
    notes = [*notes, f"{INTERVAL_NOTE}jackknife over {min(n, JACKKNIFE_GROUPS)} groups of images"]
    low = min(max(interval.low, lowest), value)
    return MetricResult(name, value, std, n, low, interval.high, better(name), extractor, notes, "ok")


def _without_value(name: str, status: str, extractor: str | None, notes: list[str] | None = None) -> MetricResult:
    return MetricResult(name, None, None, 0, None, None, better(name), extractor, notes or [], status)
