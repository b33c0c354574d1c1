"""The schema of `metrics.json`, checked on write and on read. docs/metrics.md describes it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pennet.atomic import write_json
from pennet.config import ConfigError, config_from_mapping

SCHEMA_VERSION = 1


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
    """95 % bootstrap interval over the images; null where not defined (IS, FID, KID, a single image)."""
    ci_high: float | None
    better: Literal["lower", "higher"]
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


def write_report(path: Path, report: Report) -> None:
    """Writes `metrics.json`: whole, valid, and with the same bytes for the same report.

    Raises:
        ConfigError: the report breaks its own schema.
    """
    mapping = dataclasses.asdict(report)
    report_from_mapping(mapping, str(path))
    write_json(path, mapping)


def read_report(path: Path) -> Report:
    """Reads `metrics.json`.

    Raises:
        ConfigError: no JSON, another schema version, or any breach of the schema, each by its path.
        OSError: it cannot be read.
    """
    try:
        mapping = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ConfigError([f"not JSON: {error}; run the evaluation again"], str(path)) from error
    return report_from_mapping(mapping, str(path))


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
    problems = _metric_problems("overall", report.overall, report.num_images)
    for name, hole_bin in report.bins.items():
        problems += _metric_problems(f"bins.{name}.metrics", hole_bin.metrics, hole_bin.n)
    if problems:
        raise ConfigError(problems, source)
    return report


def _metric_problems(path: str, metrics: dict[str, MetricResult], num_images: int) -> list[str]:
    """What the types cannot say."""
    problems = []
    for key, metric in metrics.items():
        where = f"{path}.{key}"
        numbers = (metric.value, metric.std, metric.ci_low, metric.ci_high)
        if metric.name != key:
            problems.append(f"{where}.name: {metric.name!r} differs from its key")
        if metric.status != "ok" and not metric.status.startswith(("undefined: ", "unavailable: ")):
            problems.append(f"{where}.status: {metric.status!r} is not ok, undefined: ... or unavailable: ...")
        if (metric.value is not None) != (metric.status == "ok"):
            problems.append(f"{where}.value: {metric.value!r} does not fit the status {metric.status!r}")
        if any(number is not None and not math.isfinite(number) for number in numbers):
            problems.append(f"{where}: not all numbers are finite")
        if (metric.ci_low is None) != (metric.ci_high is None):
            problems.append(f"{where}: ci_low and ci_high must both be numbers or both be null")
        elif metric.ci_low is not None and metric.ci_high is not None and metric.ci_low > metric.ci_high:
            problems.append(f"{where}.ci_low: {metric.ci_low} is above ci_high {metric.ci_high}")
        if not 0 <= metric.n <= num_images:
            problems.append(f"{where}.n: {metric.n} is not from 0 to {num_images}")
    return problems
