"""Scores a set of pictures: every metric for every image, then the report. A batch in memory at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pennet.config import EvaluateConfig
from pennet.errors import UserError
from pennet.in_order import ALONE, Workers
from pennet.masks.bins import HOLE_BINS
from pennet.metrics.blocks import Blocks
from pennet.metrics.catalogue import METRICS, find, in_order
from pennet.metrics.distribution import Undefined
from pennet.metrics.features import Extractor, Features, extract, extract_cached, load_extractor
from pennet.metrics.image_scores import Measure, score_images
from pennet.metrics.metric import Metric
from pennet.metrics.pairs import Pairs
from pennet.metrics.per_image import PerImage
from pennet.metrics.pixel import Values
from pennet.metrics.report import SCHEMA_VERSION, BinResult, ExtractorInfo, MetricResult, Report, Settings
from pennet.metrics.summary import bootstrap_interval, jackknife_groups
from pennet.metrics.weights import WeightsUnavailable


class Scores(NamedTuple):
    report: Report
    per_image: PerImage


class _PairFeatures(NamedTuple):
    fake: Features
    real: Features


def score(
    pairs: Pairs,
    config: EvaluateConfig,
    device: torch.device,
    cache_dir: Path,
    inception_weights: Path | None = None,
    workers: Workers = ALONE,
) -> Scores:
    """Every metric of the catalogue for every image, overall and by hole-ratio bin.

    The images are taken in the order of their names, so that the report is the same for every order of `pairs`.

    Args:
        pairs: what to compare.
        config: which metrics and how; the values do not depend on `batch_size`.
        device: where the networks run.
        cache_dir: where features of ground truth are remembered.
        inception_weights: the Inception weights, and where a download goes; None: torch's cache.
        workers: who scores images and extracts features, of pairs that can be reopened; `ALONE`: this process. The rest
            is done here.

    Returns:
        The report, and the values of every image in the order of `pairs`.

    Raises:
        UserError: there are no images, or a picture has not the shape of the first ground truth.
    """
    if len(pairs) == 0:
        raise UserError("there are no images to score")
    height_px, width_px = pairs.real(0).shape[:2]
    side_px = min(height_px, width_px)
    wanted = [
        metric.of(variant)
        for metric in METRICS
        for variant in metric.choose(config, side_px)
        if metric.needs != "hole" or pairs.mask is not None
    ]
    missing: dict[str, str] = {}
    measures = _measures([metric for metric in wanted if metric.needs != "features"], side_px, device, missing)
    of_sets = [metric for metric in wanted if metric.needs == "features"]
    extractors = _extractors(of_sets, device, inception_weights, missing)
    without_value = {key: _without_value(find(key), status) for key, status in missing.items()}

    order = sorted(range(len(pairs)), key=pairs.names.__getitem__)
    blocks = _blocks(pairs, order, config.batch_size, device, workers)
    composited, names, pairs = pairs.composited, pairs.names, pairs.taken(order)
    table = (
        blocks.score_images(pairs.names, measures, pairs.real(0).shape)
        if blocks
        else score_images(pairs, measures, config.batch_size)
    )
    features = {}
    for extractor in extractors:
        results, truth = f"{extractor.name}: results", f"{extractor.name}: ground truth"
        if blocks:
            fake = blocks.extract(extractor, "fake", results, inception_weights)
            compute = partial(blocks.extract, extractor, "real", truth, inception_weights)
        else:
            fake = extract(extractor, pairs.fake, len(pairs), config.batch_size, results)
            compute = partial(extract, extractor, pairs.real, len(pairs), config.batch_size, truth)
        real = extract_cached(extractor, pairs.real, len(pairs), config.batch_size, truth, cache_dir, compute)
        features[extractor.name] = _PairFeatures(fake, real)

    def summary(members: NDArray[np.bool_]) -> dict[str, MetricResult]:
        results = without_value | {key: _mean(find(key), v[members], config) for key, v in table.values.items()}
        for metric in of_sets:
            if metric.variant in features:
                results[metric.key] = _of_set(metric, features[metric.variant], members, config)
        return {key: results[key] for key in in_order(results)}

    bins = {}
    if table.hole_ratio is not None:
        for hole_bin in HOLE_BINS:
            members = hole_bin.holds(table.hole_ratio)
            if members.any():
                bins[hole_bin.name] = BinResult(hole_bin.low, hole_bin.high, int(members.sum()), summary(members))
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
        overall=summary(np.ones(len(pairs), dtype=bool)),
        bins=bins,
        num_outside_bins=None if table.hole_ratio is None else len(pairs) - sum(b.n for b in bins.values()),
        num_composited=None if composited is None else len(composited),
    )
    places = np.argsort(order)
    hole_ratio = None if table.hole_ratio is None else table.hole_ratio[places]
    return Scores(report, PerImage(names, hole_ratio, {name: v[places] for name, v in table.values.items()}))


def _blocks(pairs: Pairs, order: list[int], batch_size: int, device: torch.device, workers: Workers) -> Blocks | None:
    """None where nothing is shared out."""
    if workers.executor is None:
        return None
    if pairs.reopen is None:
        raise ValueError("pairs that cannot be reopened cannot be shared out")
    return Blocks(workers, pairs.reopen, order, batch_size, device)


def _measures(metrics: list[Metric], side_px: int, device: torch.device, missing: dict[str, str]) -> list[Measure]:
    """The metrics of single images with their networks; `missing` gets those that cannot be had, and why."""
    measures = []
    for metric in metrics:
        if side_px < metric.min_side_px:
            missing[metric.key] = f"undefined: needs a side of {metric.min_side_px} px"
            continue
        try:
            measures.append(Measure(metric, metric.load(metric.variant, device) if metric.load else None))
        except WeightsUnavailable as error:
            missing[metric.key] = f"unavailable: {error}"
    return measures


def _extractors(
    metrics: list[Metric], device: torch.device, inception_weights: Path | None, missing: dict[str, str]
) -> list[Extractor]:
    """The networks behind the metrics of sets; `missing` gets the metrics whose network cannot be had, and why."""
    extractors = []
    for name in dict.fromkeys(metric.variant for metric in metrics):
        try:
            extractors.append(load_extractor(name, device, inception_weights))
        except WeightsUnavailable as error:
            missing |= {metric.key: f"unavailable: {error}" for metric in metrics if metric.variant == name}
    return extractors


def _mean(metric: Metric, values: Values, config: EvaluateConfig) -> MetricResult:
    """The mean over the images that have a finite value, with its interval; says how many have none."""
    finite = values[np.isfinite(values)]
    infinite, undefined = int(np.isinf(values).sum()), int(np.isnan(values).sum())
    notes = []
    if infinite:
        notes.append(f"{infinite} infinite (identical to the truth), left out of the mean")
    if undefined:
        notes.append(f"{undefined} undefined ({metric.undefined}), left out of the mean")
    if len(finite) == 0:
        return _without_value(metric, "undefined: no image has a finite value", notes)
    low, high = bootstrap_interval(finite, config.bootstrap_resamples, config.seed) or (None, None)
    value = float(finite.mean())
    return MetricResult(metric.key, value, None, len(finite), low, high, metric.better, metric.network, notes, "ok")


def _of_set(metric: Metric, pair: _PairFeatures, members: NDArray[np.bool_], config: EvaluateConfig) -> MetricResult:
    """A metric of the set of images in `members`, with its interval."""
    fake, real = (Features(*(part[members] for part in features)) for features in pair)
    n = int(members.sum())
    try:
        scored = metric.function(fake, real, jackknife_groups(n, config.seed), config)
    except Undefined as error:
        return _without_value(metric, f"undefined: {error}")
    low, high = scored.interval or (None, None)
    value, notes = scored.value, scored.notes
    return MetricResult(metric.key, value, scored.std, n, low, high, metric.better, metric.network, notes, "ok")


def _without_value(metric: Metric, status: str, notes: list[str] | None = None) -> MetricResult:
    return MetricResult(metric.key, None, None, 0, None, None, metric.better, metric.network, notes or [], status)
