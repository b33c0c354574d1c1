"""The MLflow record against real stores, good and bad, without a training."""

import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pennet.atomic import write_json
from pennet.config import TrackingConfig
from pennet.cost import Cost, write_cost
from pennet.metrics.report import MetricResult, Report, Settings, read_reports, write_reports
from pipelines import layout
from pipelines.identity import digest, write_identity
from pipelines.provenance import provenance
from pipelines.tracking import registry
from pipelines.tracking.contents import safe_name
from pipelines.tracking.live import live_run
from pipelines.tracking.record import RECORDED_TAG, record
from tests.configs import small_recipe
from tests.prepared import write_prepared, write_test_masks
from tests.project import change_params, environment, make_project, run

TRIAL = ("terrain", "pennet", 2019)
IDENTITY = {"dataset": "terrain", "method": "pennet", "seed": "2019", "train.steps": "4", "code.pennet/a.py": "1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the files of one training, which nobody trained."""
    folder = make_project(tmp_path_factory.mktemp("made"))
    report_dir, model_dir = folder / layout.report_dir(*TRIAL), folder / layout.model_dir(*TRIAL)
    composite_dir, data_dir = (
        folder / layout.filled_dir(*TRIAL, "centre") / "composite",
        folder / layout.prepared_dir("terrain"),
    )
    masks_dir = folder / layout.masks_dir("terrain")
    for path in (report_dir, model_dir, composite_dir):
        path.mkdir(parents=True)
    l1 = MetricResult("l1_hole", 0.25, None, 2, None, None, "lower", None, [], "ok")
    lpips = MetricResult("lpips_alex", None, None, 0, None, None, "lower", "alex", [], "unavailable: no weights")
    settings = Settings(bootstrap_resamples=10, seed=1, is_splits=1, kid_subsets=1, kid_subset_size=2)
    report = Report(2, 2, 48, 48, settings, {}, {"l1_hole": l1, "lpips_alex": lpips}, {}, None, None)
    write_reports(report_dir / "report.json", {"centre": report})
    write_cost(report_dir / "cost.json", Cost(1, 1, 1, "steps", 0.0))
    pd.DataFrame({"step": [1], "generator": [0.5]}).to_csv(report_dir / "history.csv", index=False)
    for i, path in enumerate([report_dir / "sheet.png", composite_dir / "0000.png"]):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)
    (model_dir / "generator.safetensors").write_bytes(b"weights")
    write_json(model_dir / "config.json", dataclasses.asdict(small_recipe(softmax_scale=25.0)))
    write_identity(model_dir / layout.IDENTITY_FILE, IDENTITY)
    grey = np.full((48, 48, 3), 128, np.uint8)
    write_prepared(data_dir, train={"b.png": grey}, test={"a.png": grey})
    write_test_masks(masks_dir, ["a"], centre=[np.eye(48, dtype=np.uint8)])
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def here() -> str:
    """Absolute: MLflow keeps one open store a URI in a process, whatever folder that process is in by then."""
    return f"sqlite:///{Path.cwd()}/mlflow.db"


def store(uri: str | None = None) -> TrackingConfig:
    return TrackingConfig(uri=uri or here(), experiment="test", registered_model="inpainting")


def the_run():
    mlflow.set_tracking_uri(here())
    experiment = mlflow.get_experiment_by_name("test-terrain")
    (found,) = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    return found


def dead_server() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def bad_store(kind: str) -> str:
    if kind == "folder":
        Path("mlflow.db").mkdir()
    if kind == "text":
        Path("mlflow.db").write_text("no database " * 100)
    if kind == "file for a folder":
        Path("stores").write_text("")
        return "sqlite:///stores/mlflow.db"
    return {"no driver": "postgresql://127.0.0.1:9/mlflow", "dead server": dead_server()}.get(kind, here())


@pytest.mark.parametrize("kind", ["folder", "text", "file for a folder", "no driver", "dead server"])
def test_an_unusable_store_is_reported_in_seconds_and_the_training_goes_on(project: Path, capsys, kind: str) -> None:
    uri = bad_store(kind)
    started = time.monotonic()
    with live_run(*TRIAL, IDENTITY, store(uri)) as live:
        live.metrics(1, {"train/generator": 0.5})
    assert time.monotonic() - started < 40
    assert f"warning: cannot write to the MLflow store {uri}" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"cannot record in .*; mend tracking.uri and run it again"):
        record(*TRIAL, store(uri))


def test_recording_again_completes_a_run_and_duplicates_nothing(project: Path) -> None:
    assert record(*TRIAL, store())
    first = the_run()
    assert first.data.tags["test.lpips_alex.status"] == "unavailable: no weights"
    client = mlflow.MlflowClient()
    pictures = {item.path for item in client.list_artifacts(first.info.run_id, "images")}
    assert not record(*TRIAL, store())

    client.delete_tag(first.info.run_id, RECORDED_TAG)  # as after a kill
    assert record(*TRIAL, store())
    assert {item.path for item in client.list_artifacts(first.info.run_id, "images")} == pictures
    assert len(client.search_model_versions("name = 'inpainting-terrain'")) == 1

    Path(layout.model_dir(*TRIAL), "generator.safetensors").write_bytes(b"other weights")
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(layout.report_dir(*TRIAL) / "sheet.png")
    assert record(*TRIAL, store())
    new = {item.path for item in client.list_artifacts(first.info.run_id, "images")} - pictures
    assert new
    assert all("test_sheet+step+1+" in path for path in new)
    versions = client.search_model_versions("name = 'inpainting-terrain'")
    assert len({version.tags["pennet.weights"] for version in versions}) == len(versions) == 2
    latest = client.get_model_version_by_alias("inpainting-terrain", "latest-pennet")
    assert int(latest.version) == 2


def test_an_emptied_store_is_filled_again(project: Path) -> None:
    Path("mlflow.db").write_bytes(b"")
    assert record(*TRIAL, store())
    assert the_run().data.metrics["test/l1_hole"] == 0.25


def test_a_store_that_is_no_database_is_named_with_the_remedy(project: Path) -> None:
    Path("mlflow.db").write_text("no database " * 100)
    with pytest.raises(ValueError, match=r"mlflow\.db: file is not a database; move it away: a new record is made"):
        record(*TRIAL, store())
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("sqlite:///mlflow.db", here()))
    result = run(project, "python", "-m", "pipelines.ui")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("ui: ")
    assert len(result.stderr.splitlines()) == 1
    Path("mlflow.db").rename("mlflow.db.damaged")
    assert record(*TRIAL, store())


UNSAFE = ["IMG (20)", "100%", "a,b", "a b", "a_b", "a;b", "été", "写真", ".hidden", "a..b", "a\nb", "x" * 200, "x" * 201]


@pytest.mark.parametrize("names", [UNSAFE[:7], UNSAFE[6:]])
def test_pictures_of_any_name_are_recorded_once_each(project: Path, names: list[str]) -> None:
    folder = layout.filled_dir(*TRIAL, "centre") / "composite"
    for value, name in enumerate(names, start=2):  # the picture of `made` is of ones
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(folder / f"{name}.png")
    assert record(*TRIAL, store())
    client, run_id = mlflow.MlflowClient(), the_run().info.run_id

    def pictures() -> set[str]:
        return {item.path for item in client.list_artifacts(run_id, "images") if "/composite_" in item.path}

    kept = [path for path in pictures() if path.endswith(".png")]
    assert len({path.split("+step+")[0] for path in kept}) == len(names) + 1
    values = {np.asarray(Image.open(client.download_artifacts(run_id, path))).flat[0] for path in kept}
    assert values == set(range(1, len(names) + 2))
    before = pictures()
    client.delete_tag(run_id, RECORDED_TAG)
    assert record(*TRIAL, store())
    assert pictures() == before


def test_names_that_are_safe_stay_and_all_others_differ() -> None:
    assert [safe_name(name) for name in ("0000", "IMG_1-a.b", "x" * 60)] == ["0000", "IMG_1-a.b", "x" * 60]
    forged = safe_name("IMG (20)")  # a file may have this very name
    names = [*UNSAFE, forged, "IMG_20", "IMG_20_", "A_B", "a?b", "", "x" * 61]
    made = [safe_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,70}", name) for name in made)


def test_pages_of_mlflow_say_what_they_show_and_link_to_each_other(project: Path) -> None:
    assert record(*TRIAL, store())
    client, found = mlflow.MlflowClient(), the_run()
    experiment = client.get_experiment(found.info.experiment_id)
    model = client.get_registered_model("inpainting-terrain")
    (version,) = client.search_model_versions("name = 'inpainting-terrain'")
    run_link = f"(#/experiments/{experiment.experiment_id}/runs/{found.info.run_id})"
    experiment_link = f"(#/experiments/{experiment.experiment_id})"

    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    note = experiment.tags["mlflow.note.content"]
    assert "**terrain**: 1 training and 1 test pictures of 48 x 48 px (split: made for a test), test masks `centre`" in note
    assert "(#/models/inpainting-terrain)" in note
    line, _, picture = found.data.tags["mlflow.note.content"].partition("\n\n")
    assert line.startswith("**pennet** (seed 2019) on terrain, 1 steps: l1_hole 0.25 on 2 test pictures.")
    assert "(#/models/inpainting-terrain/versions/1)" in line
    assert experiment_link in line
    assert f"get-artifact?path=report%2Fsheet.png&run_uuid={found.info.run_id}" in picture
    assert experiment_link in model.description
    assert "models:/inpainting-terrain@champion" in model.description
    assert version.description.startswith(line.partition(" Weights")[0])
    assert run_link in version.description
    assert "Its own `sharpness`, the softmax scale of its attention, is **25**" in version.description
    assert 'params={"sharpness": 1000.0}' in model.description


def test_a_version_without_attention_and_one_of_before_sharpness_are_not_said_to_have_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = registry.signature()
    signature.params = None
    with monkeypatch.context() as before:
        before.setattr(registry, "signature", lambda: signature)
        assert record(*TRIAL, store())
    client, model_dir = mlflow.MlflowClient(), layout.model_dir(*TRIAL)
    client.delete_tag(the_run().info.run_id, RECORDED_TAG)
    assert record(*TRIAL, store())
    (model_dir / "generator.safetensors").write_bytes(b"other weights")
    write_json(model_dir / "config.json", dataclasses.asdict(small_recipe(attention_levels="none")))
    assert record(*TRIAL, store())
    versions = {int(v.version): v.description for v in client.search_model_versions("name = 'inpainting-terrain'")}
    assert "sharpness" not in versions[1]
    assert "It has no attention, and takes no `sharpness`." in versions[2]


def test_a_version_is_tagged_with_its_headline_metrics_alone(project: Path) -> None:
    path = layout.report_dir(*TRIAL) / "report.json"
    report = read_reports(path)["centre"]
    l1 = report.overall["l1_hole"]
    names = ("l1", "l1_hole", "l1_relative", "lpips_alex")
    overall = {name: dataclasses.replace(l1, name=name, ci_low=0.1, ci_high=0.3) for name in names}
    overall["lpips_alex"] = dataclasses.replace(overall["lpips_alex"], extractor="alex")
    write_reports(path, {"centre": dataclasses.replace(report, overall=overall)})
    assert record(*TRIAL, store())
    (version,) = mlflow.MlflowClient().search_model_versions("name = 'inpainting-terrain'")
    shown = {key for key in version.tags if key.startswith("test.")}
    assert shown == {"test.l1_hole", "test.lpips_alex"}
    assert version.tags.keys() - shown == {"pennet.weights", "pennet.benchmark", "method", "seed"}
    assert the_run().data.metrics["test/l1_ci_low"] == 0.1


def test_a_run_that_was_killed_before_its_parameters_gets_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(mlflow, "log_params", lambda parameters: None)
        with live_run(*TRIAL, IDENTITY, store()):
            pass
    assert the_run().data.params == {}
    with live_run(*TRIAL, IDENTITY, store()):
        pass
    assert the_run().data.params == {key: value for key, value in IDENTITY.items() if not key.startswith("code.")}


def test_a_run_belongs_to_a_training_and_a_benchmark(project: Path) -> None:
    """Scored on other masks the same weights are another run, of one version of the model; a longer sheet is neither."""
    with live_run(*TRIAL, IDENTITY, store()):
        pass
    assert record(*TRIAL, store())
    first = the_run()
    assert first.data.tags["pennet.identity"] == digest(IDENTITY)

    change_params(project, {"evaluate": {"sheet_images": 13, "bootstrap_resamples": 60}})
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(layout.report_dir(*TRIAL) / "sheet.png")
    assert record(*TRIAL, store())
    assert the_run().info.run_id == first.info.run_id

    write_test_masks(layout.masks_dir("terrain"), ["a"], centre=[np.eye(48, dtype=np.uint8)[::-1]])
    assert record(*TRIAL, store())
    assert not record(*TRIAL, store())
    client = mlflow.MlflowClient()
    runs = client.search_runs([first.info.experiment_id])
    assert len({run.data.tags["pennet.benchmark"] for run in runs}) == len(runs) == 2
    (version,) = client.search_model_versions("name = 'inpainting-terrain'")
    assert version.tags["pennet.benchmark"] != first.data.tags["pennet.benchmark"]


def test_weights_without_an_identity_are_named(project: Path) -> None:
    (layout.model_dir(*TRIAL) / layout.IDENTITY_FILE).unlink()
    with pytest.raises(ValueError, match=r"identity.json is missing; run `dvc repro` first"):
        record(*TRIAL, store())


def test_dirty_is_what_can_change_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin"
    for name in ("pennet/a.py", "params.yaml", "dvc.lock", "reports/table.md", "README.md", "docs/a.md"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text("first")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=origin, check=True)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(tmp_path / "clone")], check=True)
    monkeypatch.chdir(tmp_path / "clone")

    def dirty() -> str:
        return provenance()["git.dirty"]

    Path("dvc.lock").unlink()
    Path("reports/table.md").write_text("second")
    Path("README.md").write_text("second")
    Path("notes.txt").write_text("untracked, no module")
    assert dirty() == "false"
    Path("pennet/new.py").write_text("untracked module")
    assert dirty() == "true"
    Path("pennet/new.py").unlink()
    Path("params.yaml").write_text("second")
    assert dirty() == "false"  # they are in the record
    Path("pennet/a.py").write_text("second")
    assert dirty() == "true"


def test_where_git_refuses_the_commit_is_unknown_and_the_remedy_is_said_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its own test of this
    for _ in range(2):
        assert provenance() == {"git.commit": "unknown", "git.dirty": "unknown"}
    warning = capsys.readouterr().err
    assert warning.count("warning: ") == 1
    assert "git config --global --add safe.directory" in warning


STAGE = """
import time
from pathlib import Path
from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines.params import stage_main
from pipelines.tracking.live import live_run

def run(dataset: str, method: str, seed: int, *, tracking: TrackingConfig) -> None:
    identity = {"dataset": dataset, "method": method}
    with live_run(dataset, method, seed, identity, TrackingConfig("sqlite:///mlflow.db", "test", "inpainting")):
        Path("ready").write_text("")
        if Path("fail").exists():
            raise UserError("loss is nan")
        time.sleep(300)

stage_main(run)
"""


def test_sigterm_leaves_the_run_killed_and_a_failure_leaves_it_failed(project: Path) -> None:
    (project / "waits.py").write_text(STAGE)
    command = [sys.executable, "waits.py", *map(str, TRIAL)]
    variables = environment(project, PYTHONPATH=str(project))
    with subprocess.Popen(command, cwd=project, env=variables) as process:
        deadline = time.monotonic() + 120
        while not (project / "ready").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 143
    killed = the_run()
    assert killed.info.status == "KILLED"
    assert killed.data.tags["pennet.error"] == "stopped: SystemExit(143)"

    (project / "fail").write_text("")
    failed = run(project, "python", "waits.py", *map(str, TRIAL), PYTHONPATH=str(project))
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, "waits terrain pennet 2019: loss is nan")
    assert the_run().info.status == "FAILED"
