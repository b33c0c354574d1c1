import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pennet.config import ConfigError
from pennet.metrics.report import (
    SCHEMA_VERSION,
    BinResult,
    ExtractorInfo,
    MetricResult,
    Report,
    Settings,
    read_report,
    read_reports,
    report_from_mapping,
    write_report,
    write_reports,
)


def _report() -> Report:
    l1 = MetricResult("l1", 0.1, None, 4, 0.05, 0.2, "lower", None, [], "ok")
    fid = MetricResult("fid_efflite0", 7.0, None, 4, None, None, "lower", "efflite0", ["biased"], "ok")
    lpips = MetricResult("lpips_vgg", None, None, 0, None, None, "lower", "vgg", [], "unavailable: no file")
    return Report(
        schema_version=SCHEMA_VERSION,
        num_images=4,
        height_px=64,
        width_px=48,
        settings=Settings(2000, 7, 10, 100, 50),
        extractors={"efflite0": ExtractorInfo("bilinear", "ab")},
        overall={m.name: m for m in (l1, fid, lpips)},
        bins={"20-30%": BinResult(0.2, 0.3, 3, {"l1": dataclasses.replace(l1, n=3)})},
        num_outside_bins=1,
        num_composited=0,
    )


def test_report_reads_back_as_written(tmp_path: Path) -> None:
    write_report(tmp_path / "report.json", _report())
    assert read_report(tmp_path / "report.json") == _report()


def test_reports_of_several_protocols_read_back_in_their_order(tmp_path: Path) -> None:
    other = dataclasses.replace(_report(), width_px=64)
    write_reports(tmp_path / "report.json", {"irregular": _report(), "centre": other})
    assert list(read_reports(tmp_path / "report.json").items()) == [("irregular", _report()), ("centre", other)]


def test_reports_are_checked_each_by_its_protocol(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(ConfigError, match=r"report\.json, irregular: .*\n.*num_images"):
        write_reports(path, {"centre": _report(), "irregular": dataclasses.replace(_report(), num_images=0)})
    assert not path.exists()
    write_report(path, _report())  # as older versions and `pennet evaluate` write it
    with pytest.raises(ConfigError, match=r"protocols: must name the entries of reports.*run the evaluation again"):
        read_reports(path)


def test_report_has_the_same_bytes_for_the_same_content(tmp_path: Path) -> None:
    report = _report()
    reordered = dataclasses.replace(report, overall=dict(reversed(report.overall.items())))
    for name, content in (("a", report), ("b", reordered)):
        write_report(tmp_path / name, content)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema_version"], 99, "schema_version: 99, this version reads"),
        (["num_images"], "4", "num_images: expected int"),
        (["surprise"], 1, "surprise: unknown key"),
        (["overall", "l1", "value"], None, "overall.l1.value: None does not fit the status 'ok'"),
        (["overall", "l1", "value"], float("nan"), "overall.l1.value: expected a finite number"),
        (["overall", "l1", "name"], "l2", "'l2' differs from its key"),
        (["overall", "l1", "n"], 5, "overall.l1.n: 5 is not from 1 to 4"),
        (["overall", "l1", "ci_high"], None, "must both be numbers or both be null"),
        (["overall", "l1", "ci_low"], 0.3, "ci_low: 0.3 is above ci_high 0.2"),
        (["overall", "l1", "better"], "bigger", "is not one of lower, higher"),
        (["overall", "lpips_vgg", "status"], "broken", "'broken' is not ok, undefined"),
        (["overall", "lpips_vgg", "status"], "undefined: ", "'undefined: ' is not ok, undefined: WHY"),
        (["overall", "lpips_vgg", "n"], 2, "overall.lpips_vgg: std, interval or n of a result without a value"),
        (["overall", "lpips_vgg", "std"], 0.1, "overall.lpips_vgg: std, interval or n of a result without a value"),
        (["overall", "l1", "std"], -0.1, "overall.l1.std: -0.1 is negative"),
        (["overall", "l1", "n"], 0, "overall.l1.n: 0 is not from 1 to 4"),
        (["overall", "l1", "value"], 0.21, "overall.l1.value: 0.21 is outside its interval, 0.05 to 0.2"),
        (["overall", "l1", "better"], "higher", "'higher' is the wrong direction for l1"),
        (["overall", "fid_efflite0", "extractor"], "inception", "overall.fid_efflite0.extractor: 'inception' is not"),
        (["overall", "fid_efflite0", "extractor"], None, "overall.fid_efflite0.extractor: None is not"),
        (["extractors"], {}, "overall.fid_efflite0.extractor: 'efflite0' is not in the name, or not under extractors"),
        (["num_images"], 0, "num_images: 0 is not positive"),
        (["height_px"], 0, "height_px: 0 is not positive"),
        (["width_px"], -3, "width_px: -3 is not positive"),
        (["num_outside_bins"], 2, "num_outside_bins: 2 and 3 in bins are not the 4 images"),
        (["num_outside_bins"], None, "num_outside_bins: null, but there are bins"),
        (["num_composited"], 5, "num_composited: 5 is not from 0 to 4"),
        (["bins", "20-30%", "n"], 5, "bins.20-30%.n: 5 is not from 1 to 4"),
        (["bins", "20-30%", "low"], 0.1, "bins.20-30%: holds 0.1 to 0.3, which is not what its name says"),
        (["bins", "20-30%", "low"], 0.4, "bins.20-30%.low: 0.4 to 0.3 is no range"),
        (["overall", "l1", "value"], 10**400, "a number is too large"),
        (["bins", "20-30%", "metrics", "l1", "n"], -1, "bins.20-30%.metrics.l1.n: -1"),
    ],
)
def test_report_refuses_a_breach_of_the_schema(path: list[str], value: Any, message: str) -> None:
    mapping = json.loads(json.dumps(dataclasses.asdict(_report())))
    place = mapping
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=r"report\.json") as caught:
        report_from_mapping(mapping, "report.json")
    assert message in str(caught.value)


def test_report_with_a_metric_that_nobody_declares_is_refused() -> None:
    """It would be a metric without a direction: better none than a wrong one."""
    mapping = dataclasses.asdict(_report())
    mapping["overall"]["l2"] = mapping["overall"]["l1"] | {"name": "l2"}
    with pytest.raises(ConfigError, match=r"overall\.l2: metric 'l2' is not declared \(known: l1, "):
        report_from_mapping(mapping, "report.json")


def test_report_allows_a_value_at_its_interval_but_for_rounding() -> None:
    mapping = dataclasses.asdict(_report())
    mapping["overall"]["l1"]["value"] = mapping["overall"]["l1"]["ci_high"] + 1e-12
    report_from_mapping(mapping, "report.json")


def test_report_that_is_no_text_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match=r"not JSON: .*run the evaluation again"):
        read_report(tmp_path / "report.json")


def test_report_that_is_broken_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write_report(tmp_path / "report.json", dataclasses.replace(_report(), num_images=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_report_that_is_no_report_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ConfigError, match="run the evaluation again"):
        read_report(tmp_path / "report.json")
