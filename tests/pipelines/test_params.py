import errno
import subprocess
import sys
from pathlib import Path

import pytest

from pennet.errors import TransientError, UserError
from pipelines.params import _is_transient, load_params, stage_sections
from pipelines.train import run as train_stage
from tests.project import ROOT


def stage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )


def test_stage_sections_are_the_keyword_arguments() -> None:
    assert stage_sections(train_stage) == ["train", "recipe", "runtime", "tracking"]


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("ema_decay: 0.99", "ema_decay: 1e-4"))
    assert load_params(tmp_path / "params.yaml").train.ema_decay == 1e-4


def test_a_stage_lists_every_problem_of_its_parameters_and_writes_nothing(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    text = text.replace("image_size_px: 64", "image_size_px: 50").replace("  ema_decay:", "  emadecay:")
    (tmp_path / "params.yaml").write_text(text)
    result = stage(tmp_path, "pipelines.download", "terrain")
    assert result.returncode == 1
    assert "train.emadecay: unknown key" in result.stderr
    assert "train.ema_decay: missing" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_stage_outside_the_repository_says_where_to_run(tmp_path: Path) -> None:
    result = stage(tmp_path, "pipelines.prepare", "terrain")
    assert result.returncode == 1
    assert "params.yaml: 1 problem(s)\n  - no such file in" in result.stderr


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TransientError("the connection broke"), True),
        (UserError("a wrong checksum"), False),
        (OSError(errno.EIO, "a disk"), True),
        (OSError(errno.ENOENT, "no such file"), False),
        (OSError(errno.EACCES, "not allowed"), False),
    ],
)
def test_another_try_is_for_what_may_pass(error: Exception, expected: bool) -> None:
    assert _is_transient(error) is expected
