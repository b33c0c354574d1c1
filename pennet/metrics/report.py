"""The schema of `report.json`, checked on write and on read. docs/metrics.md describes it.

A `Report` is of one set of pictures and their masks. Where the pictures are filled once for each test protocol, the file
holds a report for each, the headline first.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pennet.atomic import write_json
from pennet.config import ConfigError, config_from_mapping
from pennet.errors import UserError
from pennet.masks.bins import HoleBin
from pennet.metrics.catalogue import find
from pennet.metrics.metric import Direction

SCHEMA_VERSION = 2
_ROUNDING = 1e-9


@dataclass(frozen=True)
class MetricResult:
    """One metric over a set of images."""

    name: str
    value: float | None
    """null unless `status` is `ok`."""
    std: float | None
    """Spread over splits (IS) or subsets (KID); null for all others."""
    n: int
    """Images that the value is made of."""
    ci_low: float | None
    """95 % interval over the images: bootstrap of the mean, jackknife for IS, FID and KID; null for too few images."""
    ci_high: float | None
    better: Direction
    extractor: str | None
    """Network behind the metric; null if there is none."""
    notes: list[str]
    """What a reader must know before trusting the value."""
    status: str
    """`ok`, `undefined: why` or `unavailable: why, how to get it`."""


@dataclass(frozen=True)
class BinResult:
    low: float
    """Hole ratios above this."""
    high: float
    """Hole ratios up to this."""
    n: int
    metrics: dict[str, MetricResult]


@dataclass(frozen=True)
class ExtractorInfo:
    preprocessing: str
    weights_sha256: str


@dataclass(frozen=True)
class Settings:
    """What of `evaluate` in params.yaml the values depend on."""

    bootstrap_resamples: int
    seed: int
    is_splits: int
    kid_subsets: int
    kid_subset_size: int


@dataclass(frozen=True)
class Report:
    schema_version: int
    num_images: int
    height_px: int
    width_px: int
    settings: Settings
    extractors: dict[str, ExtractorInfo]
    overall: dict[str, MetricResult]
    """By metric name."""
    bins: dict[str, BinResult]
    """By hole-ratio bin, for example `20-30%`; only bins with images."""
    num_outside_bins: int | None
    """Images with a hole ratio that no bin holds (1 % and less, above 60 %); null without masks."""
    num_composited: int | None
    """Pictures that differed from the truth in known pixels, which were taken from the truth before scoring; null where the
    pictures were scored as they came."""


def rounded_values(report: Report) -> dict[str, float]:
    """The value of every metric that has one, over all images, with the digits that it declares."""
    return {key: find(key).rounded(result.value) for key, result in report.overall.items() if result.value is not None}


def write_report(path: Path, report: Report) -> None:
    """Writes `report.json`: whole, valid, and with the same bytes for the same report.

    Raises:
        ConfigError: the report breaks its own schema.
    """
    mapping = dataclasses.asdict(report)
    report_from_mapping(mapping, str(path))
    write_json(path, mapping)


def write_reports(path: Path, reports: Mapping[str, Report]) -> None:
    """Writes the reports of several protocols as one file: `protocols`, their names in order, and `reports` by name.

    Raises:
        ConfigError: a report breaks the schema.
    """
    mapping = {"protocols": list(reports), "reports": {name: dataclasses.asdict(of) for name, of in reports.items()}}
    _reports_from_mapping(mapping, str(path))
    write_json(path, mapping)


def read_report(path: Path) -> Report:
    """Reads what `write_report` wrote.

    Raises:
        ConfigError: no JSON, another schema version, or any breach of the schema, each by its path.
        OSError: it cannot be read.
    """
    return report_from_mapping(_json(path), str(path))


def read_reports(path: Path) -> dict[str, Report]:
    """Reads what `write_reports` wrote: by protocol, the headline first.

    Raises:
        ConfigError, OSError: see `read_report`.
    """
    return _reports_from_mapping(_json(path), str(path))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"not JSON: {error}; run the evaluation again"], str(path)) from error


def _reports_from_mapping(mapping: Any, source: str) -> dict[str, Report]:
    names, reports = (mapping.get(key) if isinstance(mapping, dict) else None for key in ("protocols", "reports"))
    if not isinstance(names, list) or not isinstance(reports, dict) or not names or sorted(names) != sorted(reports):
        problem = "protocols: must name the entries of reports, at least one; run the evaluation again"
        raise ConfigError([problem], source)
    return {name: report_from_mapping(reports[name], f"{source}, {name}") for name in names}


def report_from_mapping(mapping: Any, source: str) -> Report:
    """Builds a report from JSON's types, strictly.

    Raises:
        ConfigError: see `read_report`.
    """
    version = mapping.get("schema_version") if isinstance(mapping, dict) else None
    if version != SCHEMA_VERSION:
        problem = f"schema_version: {version!r}, this version reads {SCHEMA_VERSION}; run the evaluation again"
        raise ConfigError([problem], source)
    report = config_from_mapping(Report, mapping, source)
    problems = [
        f"{key}: {getattr(report, key)} is not positive"
        for key in ("num_images", "height_px", "width_px")
        if getattr(report, key) < 1
    ]
    problems += _metric_problems("overall", report.overall, report.num_images, report.extractors)
    for name, hole_bin in report.bins.items():
        problems += _metric_problems(f"bins.{name}.metrics", hole_bin.metrics, hole_bin.n, report.extractors)
    problems += _bin_problems(report)
    if problems:
        raise ConfigError(problems, source)
    return report


def _bin_problems(report: Report) -> list[str]:
    """Bins that cannot be, and images that are in none or in two of them."""
    problems = []
    for key, hole_bin in report.bins.items():
        where = f"bins.{key}"
        if not 0 <= hole_bin.low < hole_bin.high <= 1:
            problems.append(f"{where}.low: {hole_bin.low} to {hole_bin.high} is no range of hole ratios")
        elif key != HoleBin(hole_bin.low, hole_bin.high).name:
            problems.append(f"{where}: holds {hole_bin.low} to {hole_bin.high}, which is not what its name says")
        if not 1 <= hole_bin.n <= report.num_images:
            problems.append(f"{where}.n: {hole_bin.n} is not from 1 to {report.num_images}")
    inside, outside = sum(hole_bin.n for hole_bin in report.bins.values()), report.num_outside_bins
    if outside is None and report.bins:
        problems.append("num_outside_bins: null, but there are bins")
    if outside is not None and (outside < 0 or inside + outside != report.num_images):
        problems.append(f"num_outside_bins: {outside} and {inside} in bins are not the {report.num_images} images")
    if report.num_composited is not None and not 0 <= report.num_composited <= report.num_images:
        problems.append(f"num_composited: {report.num_composited} is not from 0 to {report.num_images}")
    return problems


def _metric_problems(
    path: str, metrics: dict[str, MetricResult], num_images: int, extractors: dict[str, ExtractorInfo]
) -> list[str]:
    """What the types cannot say."""
    problems = []
    for key, metric in metrics.items():
        where = f"{path}.{key}"
        try:
            declared = find(key)
        except UserError as error:
            problems.append(f"{where}: {error}")
            continue
        ok = metric.status == "ok"
        if metric.name != key:
            problems.append(f"{where}.name: {metric.name!r} differs from its key")
        if metric.better != declared.better:
            problems.append(f"{where}.better: {metric.better!r} is the wrong direction for {key}")
        if not ok and not any(
            metric.status.startswith(kind) and metric.status.removeprefix(kind).strip()
            for kind in ("undefined: ", "unavailable: ")
        ):
            problems.append(f"{where}.status: {metric.status!r} is not ok, undefined: WHY or unavailable: WHY")
        if (metric.value is not None) != ok:
            problems.append(f"{where}.value: {metric.value!r} does not fit the status {metric.status!r}")
        if not ok and (metric.std, metric.ci_low, metric.ci_high, metric.n) != (None, None, None, 0):
            problems.append(f"{where}: std, interval or n of a result without a value")
        if not ok <= metric.n <= num_images:
            problems.append(f"{where}.n: {metric.n} is not from {int(ok)} to {num_images}")
        known = metric.extractor == declared.network and (declared.needs != "features" or metric.extractor in extractors)
        if ok and not known:
            problems.append(f"{where}.extractor: {metric.extractor!r} is not in the name, or not under extractors")
        problems += _number_problems(where, metric)
    return problems


def _number_problems(where: str, metric: MetricResult) -> list[str]:
    problems = []
    value, low, high = metric.value, metric.ci_low, metric.ci_high
    if any(number is not None and not math.isfinite(number) for number in (value, metric.std, low, high)):
        problems.append(f"{where}: not all numbers are finite")
    if metric.std is not None and metric.std < 0:
        problems.append(f"{where}.std: {metric.std} is negative")
    if (low is None) != (high is None):
        problems.append(f"{where}: ci_low and ci_high must both be numbers or both be null")
    elif low is not None and high is not None:
        if low > high:
            problems.append(f"{where}.ci_low: {low} is above ci_high {high}")
        elif value is not None:
            slack = _ROUNDING * max(1.0, abs(value))
            if not low - slack <= value <= high + slack:
                problems.append(f"{where}.value: {value} is outside its interval, {low} to {high}")
    return problems
