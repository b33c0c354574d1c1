"""Every command of the README, in the README's own order of chapters, in a small copy of the project."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines import compare, layout
from pipelines.params import load_params, read_yaml
from pipelines.readme import with_results
from tests.conftest import make
from tests.project import ROOT, change_params, environment, make_project, run
from tests.stack.stack import free_port
from tests.video.clips import frames, sound_packets, write_clip

README = (ROOT / "README.md").read_text()
COMMANDS = {
    line.split("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
}
RUN_HERE = {
    "make demo",
    "make test",
    "make repro",
    'export PATH="$PWD/.venv/bin:$PATH"',  # as `environment` of tests/project.py does
    ".venv/bin/dvc status",
    ".venv/bin/dvc metrics show",
    ".venv/bin/dvc plots show",
    ".venv/bin/dvc exp run -S train.steps=720",
    ".venv/bin/dvc exp show --only-changed --drop '.*/'",  # by tests/e2e/test_dvc_tables.py, too
    "make up",
    "make status",
    "make down",
    "make run",
    "make ui",
    "make serve",
    "curl -F image=@photo.jpg -F mask=@mask.png http://127.0.0.1:8000/inpaint -o filled.png",
    "make study PROFILE=ablation",  # by tests/pipelines/test_study.py, with a small profile
    "make profile PROFILE=paper",
    ".venv/bin/pennet mask rectangle mask.png --like photo.jpg --box 120,80,200,60",
    ".venv/bin/pennet inpaint photo.jpg mask.png",
    ".venv/bin/pennet inpaint photo.jpg mask.png -o crisp.png --model models/terrain/pennet/seed-2019"
    " --sharpness 1000 --sources sources.png",
    ".venv/bin/pennet studio",  # by tests/studio/test_command.py and in a browser by tests/studio/test_page.py
    ".venv/bin/pennet export default --onnx default.onnx",
    ".venv/bin/pennet inpaint-video clip.mp4 mask.png",
    ".venv/bin/pennet data init mine photos --write params.yaml --size-px 64",
    ".venv/bin/pennet data stats data/prepared/mine",
    ".venv/bin/pennet data show data/prepared/mine --split val --output sheet.png",
    ".venv/bin/pennet data list",
    ".venv/bin/pennet data card dtd",
    ".venv/bin/pennet data verify folder photos",
    ".venv/bin/pennet evaluate truth results --masks masks --json results.json",
}


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    assert COMMANDS == RUN_HERE


def test_every_file_that_the_readme_names_exists() -> None:
    names = set(re.findall(r"`((?:docs|profiles|pennet|pipelines|data)/[\w./-]+)`", README))
    names |= set(re.findall(r"\]\(([^)#]+)", README))
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the last commit holds: on another machine `make demo` changes the results in the working tree."""
    names = ["README.md", "params.yaml", "dvc.lock", "reports"]
    archive = subprocess.run(["git", "archive", "HEAD", *names], cwd=ROOT, capture_output=True, check=False, timeout=60)
    if archive.returncode:
        pytest.skip("there is no commit to look at")
    subprocess.run(["tar", "-x"], input=archive.stdout, cwd=tmp_path, check=True, timeout=60)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_table_is_the_one_that_the_pipeline_made(committed: Path) -> None:
    text = (committed / "README.md").read_text()
    assert with_results(text, ["terrain"]) == text


def test_committed_results_are_of_these_parameters(committed: Path) -> None:
    """The table is of the methods, budget and recipes that `make demo` runs, not of earlier ones."""
    config, params = load_params(), read_yaml(Path("params.yaml"))
    stages = read_yaml(Path("dvc.lock"))["stages"]
    for dataset in config.datasets:
        shown = json.loads((layout.comparison_dir(dataset) / "comparison.json").read_text())
        assert shown["schema_version"] == compare.SCHEMA_VERSION
        assert shown["methods"] == list(config.methods.all)
        assert shown["num_seeds"] == {m: len(config.seeds) if m in config.methods.learned else 1 for m in shown["methods"]}
        for method in config.methods.learned:
            for seed in config.seeds:
                locked = stages[f"train@{dataset}-{method}-{seed}"]["params"]["params.yaml"]
                assert locked["train"] == params["train"]
                assert locked[f"recipes.{method}"] == params["recipes"][method]
            assert {cost["steps"] for cost in shown["costs"][method]} == {config.train.steps}


def test_make_help_lists_every_target_of_the_readme() -> None:
    listed = make(ROOT, "help").stdout
    for command in COMMANDS:
        if command.startswith("make "):
            assert f"make {command.split()[1]} " in listed


def test_make_test_runs_all_tests() -> None:
    assert re.search(r"-m pytest -n 2 --dist loadfile$", make(ROOT, "-n", "test").stdout.strip())


def command(beginning: str) -> list[str]:
    """The words of the README's one command that begins so."""
    (found,) = (line for line in COMMANDS if line.startswith(beginning))
    return shlex.split(found)


@pytest.mark.slow
def test_make_repro_and_dvc_commands(demo: Path) -> None:
    result = make(demo, "repro")
    assert result.returncode == 0, result.stdout
    assert "Data and pipelines are up to date." in result.stdout
    assert result.stdout.count("already recorded") == 4
    assert "up to date" in run(demo, *command(".venv/bin/dvc status")).stdout
    shown = run(demo, *command(".venv/bin/dvc metrics show")).stdout
    assert "methods/pennet/seed-2019/metrics.json" in shown
    assert "l1_hole" in shown.splitlines()[0]  # the rest of the table: tests/e2e/test_dvc_tables.py
    result = run(demo, *command(".venv/bin/dvc plots show"))
    assert result.returncode == 0, result.stderr
    page = (demo / "dvc_plots/index.html").read_text()
    assert "reports_terrain_methods_pennet_seed-2019_history_csv" in page
    assert "reports_terrain_plots_metrics.png" in page


@pytest.mark.slow
def test_dvc_experiment_changes_a_parameter(experiment: Path) -> None:
    assert " ".join(command(".venv/bin/dvc exp run")).startswith(".venv/bin/dvc exp run -S train.steps=")
    log = (experiment / "experiment.log").read_text()
    assert "5/5" in log
    assert "Stage 'prepare@terrain' didn't change, skipping" in log
    shown = run(experiment, *command(".venv/bin/dvc exp show"), COLUMNS="160")
    assert shown.returncode == 0, shown.stderr
    assert {"Experiment", "train.steps", "pennet.l1_hole"} <= set(shown.stdout.split())


def test_make_profile_puts_the_papers_recipe_into_params_and_shows_what_changes(tmp_path: Path) -> None:
    folder = make_project(tmp_path, {})
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    (folder / ".venv").symlink_to(sys.prefix)
    result = make(folder, *command("make profile")[1:])
    assert result.returncode == 0, result.stdout
    assert "-  image_size_px: 64" in result.stdout
    assert "+  image_size_px: 256" in result.stdout
    assert load_params(folder / "params.yaml").train.steps == 330_000


@pytest.mark.slow
def test_inpaint_fills_a_photo(demo: Path) -> None:
    """In the README's own words; in a checkout the program finds the checkout's library."""
    coarse = np.random.default_rng(0).integers(0, 256, (18, 36, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((360, 180), Image.Resampling.BICUBIC).save(demo / "photo.jpg", quality=95)
    for words in (
        command(".venv/bin/pennet mask rectangle"),
        shlex.split(".venv/bin/pennet inpaint photo.jpg mask.png"),
        command(".venv/bin/pennet inpaint photo.jpg mask.png -o crisp.png"),
    ):
        result = run(demo, *words)
        assert result.returncode == 0, result.stderr
    photo, mask = (np.array(Image.open(demo / name)) for name in ("photo.jpg", "mask.png"))
    hole = mask[..., 0] > 0
    assert (hole.sum(), hole[80:140, 120:320].all()) == (60 * 200, True)
    filled = np.array(Image.open(demo / "photo_filled.jpg")).astype(int)
    assert np.abs(filled - photo)[~hole].mean() < 3
    assert np.abs(filled - photo)[hole].mean() > 5
    crisp = np.array(Image.open(demo / "crisp.png"))
    assert np.array_equal(crisp[~hole], photo[~hole])
    assert not np.array_equal(crisp[hole], photo[hole])
    assert Image.open(demo / "sources.png").width > 3 * 320
    code = re.search(r"```python\n(import pennet\n.*?)```", README, re.DOTALL)
    assert code
    result = run(demo, "python", "-c", code[1])
    assert result.returncode == 0, result.stderr
    assert Image.open(demo / "filled.png").size == (360, 180)


@pytest.mark.slow
def test_the_shipped_model_is_exported_and_fills_a_clip(demo: Path) -> None:
    photo = Image.open(ROOT / "pennet/examples/coffee.jpg").resize((96, 64))
    write_clip(demo / "clip.mp4", [np.array(photo)] * 2)
    mask = np.zeros((64, 96), np.uint8)
    mask[20:36, 30:50] = 255
    Image.fromarray(mask).save(demo / "mask.png")
    for words in (command(".venv/bin/pennet export"), command(".venv/bin/pennet inpaint-video")):
        result = run(demo, *words)
        assert result.returncode == 0, result.stderr
    assert (demo / "default.onnx").stat().st_size > 500_000
    assert sound_packets(demo / "clip_filled.mp4") == sound_packets(demo / "clip.mp4")
    assert [(frame.width, frame.height) for frame in frames(demo / "clip_filled.mp4")] == [(96, 64)] * 2


@pytest.mark.slow
def test_own_photos_are_taken_as_they_lie(demo: Path, tmp_path: Path) -> None:
    """Photos with the names that cameras and people give, in a folder with a space in its path."""
    copy = tmp_path / "my project"
    shutil.copytree(demo, copy, symlinks=True, ignore=shutil.ignore_patterns("cache", "checkpoints"))
    for i in range(30):
        picture = np.random.default_rng(i).integers(0, 256, (70, 90, 3), dtype=np.uint8)
        (copy / "photos").mkdir(exist_ok=True)
        Image.fromarray(picture).save(copy / "photos" / (f"IMG ({i}).jpg", f"{i}%, späť.png", f"a,b.{i}.jpg")[i % 3])
    result = run(copy, *command(".venv/bin/pennet data init"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert read_yaml(copy / "params.yaml")["datasets"] == ["terrain", "mine"]
    # Training is what `make demo` did above.
    change_params(copy, {"datasets": ["mine"], "methods": {"learned": [], "classical": ["mean"]}})
    result = make(copy, "demo", timeout=400)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "| mean |" in (copy / "reports/mine/comparison/comparison.md").read_text()
    stats = run(copy, *command(".venv/bin/pennet data stats")).stdout
    assert all(split in stats for split in ("train", "val", "test"))
    assert run(copy, *command(".venv/bin/pennet data show")).returncode == 0
    assert Image.open(copy / "sheet.png").size[0] >= 64


@pytest.mark.slow
def test_data_sets_are_listed_and_own_pictures_verified(demo: Path) -> None:
    shown = run(demo, *command(".venv/bin/pennet data list"), COLUMNS="200").stdout
    assert all(f" {name} " in shown for name in ("facade", "dtd", "celebahq", "places2", "folder", "hub"))
    assert run(demo, *command(".venv/bin/pennet data card")).stdout == (ROOT / "docs/data/dtd.md").read_text()
    (demo / "photos").mkdir()
    for i in range(40):
        picture = np.random.default_rng(i).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(picture).save(demo / "photos" / f"{i}.png")
    result = run(demo, *command(".venv/bin/pennet data verify"))
    shutil.rmtree(demo / "photos")
    assert result.returncode == 0, result.stderr
    assert "folder: 40 pictures; split: seeded" in result.stdout


@pytest.mark.slow
def test_evaluate_scores_two_folders(demo: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("truth", "results", "masks"):
        (demo / folder).mkdir()
        for i in range(3):
            picture = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8) if folder != "masks" else np.eye(48) > 0
            Image.fromarray(picture).save(demo / folder / f"{i}.png")
    result = run(demo, *command(".venv/bin/pennet evaluate"))
    assert result.returncode == 0, result.stderr
    assert "l1_hole" in result.stdout
    assert (demo / "results.json").exists()


@contextlib.contextmanager
def running(folder: Path, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A make target that serves until Ctrl-C, its output in a file (a full pipe would stop it)."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "-o", ".venv/.installed", *arguments],
            cwd=folder,
            env=environment(folder),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has been ended
            os.killpg(process.pid, signal.SIGINT)
        process.wait(120)


def wait_for(log: Path, text: str, process: subprocess.Popen[bytes], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, f"{text!r} did not come within {seconds} s:\n{log.read_text()[-3000:]}"
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.server
def test_make_ui_answers(demo: Path, tmp_path: Path) -> None:
    port = free_port()
    with running(demo, tmp_path / "log", "ui", f"MLFLOW_PORT={port}") as process:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            assert process.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as response:
                    assert b"MLflow" in response.read()
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        raise AssertionError("make ui did not answer in time")


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_make_serve_fills_what_curl_sends(demo: Path, tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.jpg", quality=95)
    mask = np.zeros((50, 60), np.uint8)
    mask[20:30, 25:40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    port = free_port()
    with running(demo, tmp_path / "log", "serve", f"SERVE_PORT={port}") as process:
        wait_for(tmp_path / "log", "stop: Ctrl-C", process)
        words = [word.replace(":8000/", f":{port}/") for word in command("curl")]
        subprocess.run(words, cwd=tmp_path, env=environment(demo), check=True, timeout=120)
    filled, sent = (np.array(Image.open(tmp_path / name)) for name in ("filled.png", "photo.jpg"))
    assert np.array_equal(filled[mask == 0], sent[mask == 0])
    assert not np.array_equal(filled[mask > 0], sent[mask > 0])


@pytest.mark.slow
@pytest.mark.server
def test_make_up_and_run(demo: Path, tmp_path: Path) -> None:
    log, worker_log = tmp_path / "log", demo / ".stack/logs/worker.log"
    with running(demo, log, "up", f"PREFECT_PORT={free_port()}", f"MLFLOW_PORT={free_port()}") as process:
        wait_for(log, "ready: ", process)
        result = make(demo, "run")
        assert result.returncode == 0, result.stdout
        wait_for(worker_log, "Finished in state Completed()", process)
        assert "healthy" in make(demo, "status").stdout
        assert make(demo, "down").returncode == 0
        assert process.wait(60) == 0
