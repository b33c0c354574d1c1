"""What trains again and what does not, through `dvc repro`: a comment ends in seconds, a number trains."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.params import read_yaml
from tests.project import run

pytestmark = pytest.mark.slow
GENERATOR = "pennet/models/pennet.py"
TRAINED_ALREADY = "trained already; nothing that decides the weights has changed"


@pytest.fixture(scope="module")
def project(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, as after `dvc pull` in another clone: the outs are there, the checkpoints are not."""
    folder = tmp_path_factory.mktemp("identity") / "copy"
    shutil.copytree(demo, folder, symlinks=True, ignore=shutil.ignore_patterns("checkpoints"))
    return folder


def outs(project: Path) -> dict[str, list[tuple[str, str]]]:
    stages = read_yaml(project / "dvc.lock")["stages"]
    return {name: [(out["path"], out["md5"]) for out in stage["outs"]] for name, stage in stages.items()}


def stages_that_ran(log: str) -> list[str]:
    return [line.split("'")[1] for line in log.splitlines() if line.startswith("Running stage")]


def test_a_comment_and_a_docstring_train_nothing_and_run_nothing_downstream(project: Path) -> None:
    path, before = project / GENERATOR, outs(project)
    text = path.read_text()
    changed = text.replace('"""PEN-Net\'s generator', '"""The generator of PEN-Net', 1).replace(
        "\nimport torch\n", "\nimport torch  # the library\n", 1
    )
    assert changed.count("\n") == text.count("\n")
    assert changed != text.replace("\nimport torch\n", "\nimport torch  # the library\n", 1) != text
    path.write_text(changed)
    assert "train@terrain-pennet-2019" in run(project, "python", "-m", "dvc", "status").stdout
    result = run(project, "python", "-m", "dvc", "repro")
    assert result.returncode == 0, result.stderr
    log = result.stdout + result.stderr
    assert stages_that_ran(result.stdout) == ["train@terrain-pennet-2019", "train@terrain-gntipt-2019"]
    assert log.count(TRAINED_ALREADY) == 2
    assert outs(project) == before
    assert not (project / "checkpoints").exists()
    assert "up to date" in run(project, "python", "-m", "dvc", "status").stdout


def test_cadence_trains_nothing(project: Path) -> None:
    params = project / "params.yaml"
    text, before = params.read_text(), outs(project)
    try:
        params.write_text(text.replace("sample_every_steps: 2", "sample_every_steps: 3"))
        result = run(project, "python", "-m", "dvc", "repro")
    finally:
        params.write_text(text)
    assert result.returncode == 0, result.stderr
    assert (result.stdout + result.stderr).count(TRAINED_ALREADY) == 2
    assert outs(project) == before


def test_a_number_of_one_network_trains_that_method_alone(project: Path) -> None:
    path, before = project / GENERATOR, outs(project)
    text = path.read_text()
    assert text.count("F.leaky_relu(x, 0.2)") == 1
    path.write_text(text.replace("F.leaky_relu(x, 0.2)", "F.leaky_relu(x, 0.25)"))
    result = run(project, "python", "-m", "dvc", "repro", timeout=600)
    assert result.returncode == 0, result.stderr
    log = result.stdout + result.stderr
    assert log.count(TRAINED_ALREADY) == 1
    after = outs(project)
    ran = set(stages_that_ran(result.stdout))
    assert {"inpaint@terrain-pennet-2019", "evaluate@terrain-pennet-2019", "compare@terrain"} <= ran
    assert "inpaint@terrain-gntipt-2019" not in ran
    assert after["train@terrain-gntipt-2019"] == before["train@terrain-gntipt-2019"]
    weights = "models/terrain/pennet/seed-2019"
    assert dict(after["train@terrain-pennet-2019"])[weights] != dict(before["train@terrain-pennet-2019"])[weights]
