"""One declaration a metric, and everybody reads it."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pennet.errors import UserError
from pennet.metrics.catalogue import METRICS, find, headlines, in_order
from pennet.metrics.scoring import score
from tests.metrics.samples import noisy, pictures
from tests.metrics.test_scoring import CONFIG, CPU, _masks, _pairs

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("key", "title", "better", "network", "text"),
    [
        ("l1", "L1", "lower", None, "0.1235"),
        ("psnr", "PSNR (dB)", "higher", None, "0.12"),
        ("ms_ssim", "MS-SSIM", "higher", None, "0.1235"),
        ("ms_ssim_1", "MS-SSIM (1 scale)", "higher", None, "0.1235"),
        ("ms_ssim_3", "MS-SSIM (3 scales)", "higher", None, "0.1235"),
        ("lpips_alex", "LPIPS (alex)", "lower", "alex", "0.1235"),
        ("is_efflite0", "IS (efflite0)", "higher", "efflite0", "0.12"),
        ("fid_efflite0", "FID (efflite0)", "lower", "efflite0", "0.1"),
        ("kid_inception", "KID (inception)", "lower", "inception", "0.1235"),
    ],
)
def test_metric_is_found_by_its_name_in_reports(key: str, title: str, better: str, network: str | None, text: str) -> None:
    metric = find(key)
    assert (metric.key, metric.title, metric.better, metric.network) == (key, title, better, network)
    assert metric.text(0.123456) == text
    assert metric.text(-0.123456, signed=True) == f"-{text}"


@pytest.mark.parametrize("key", ["l2", "lpips", "fid_resnet", "ms_ssim_6", "psnr_2", ""])
def test_metric_that_is_not_declared_is_an_error(key: str) -> None:
    with pytest.raises(UserError, match=f"metric '{key}' is not declared"):
        find(key)
    with pytest.raises(UserError):
        in_order(["l1", key])


def test_metric_rounds_away_the_sign_of_nothing() -> None:
    assert str(find("l1").rounded(-1e-9)) == "0.0"
    assert find("l1").text(-1e-9, signed=True) == "+0.0000"


def test_columns_stand_in_the_order_of_the_list() -> None:
    keys = ["fid_efflite0", "is_efflite0", "lpips_vgg", "lpips_alex", "ms_ssim_3", "psnr", "l1"]
    assert in_order(keys) == ["l1", "psnr", "ms_ssim_3", "lpips_alex", "lpips_vgg", "is_efflite0", "fid_efflite0"]
    assert headlines(keys) == ["psnr", "ms_ssim_3", "lpips_alex", "lpips_vgg", "fid_efflite0"]


def test_names_are_unique() -> None:
    keys = [metric.of(variant).key for metric in METRICS for variant in metric.variants]
    assert len(keys) == len(set(keys))


def test_report_has_every_metric_of_the_list_in_its_order(tmp_path: Path) -> None:
    real, config = pictures(3, 32, 32), dataclasses.replace(CONFIG, extractors=["efflite0"], lpips_nets=["alex"])
    report, _ = score(_pairs(noisy(real, 9), real, _masks([0.2] * 3, 32)), config, CPU, tmp_path)
    assert [find(key).name for key in report.overall] == [metric.name for metric in METRICS]


def test_catalogue_imports_no_heavy_library() -> None:
    code = (
        "import sys, pennet.metrics.catalogue;"
        " print([m for m in ('torch', 'cv2', 'scipy', 'skimage', 'pandas', 'lpips') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=240)
    assert result.stdout.strip() == "[]"


def test_a_metric_touches_its_module_and_the_list_and_no_other_code() -> None:
    """The seam is the worked example: beside these two files it has its page and its test."""
    files = [path for folder in ("pennet", "pipelines") for path in (ROOT / folder).rglob("*.py")]
    knowing = {
        path.relative_to(ROOT).as_posix() for path in files if re.search(r"SEAM|metrics.seam|\"seam\"", path.read_text())
    }
    assert knowing == {"pennet/metrics/catalogue.py", "pennet/metrics/seam.py"}
