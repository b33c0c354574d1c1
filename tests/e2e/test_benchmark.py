"""The whole of it, small: the flow runs every stage, DVC finds nothing left to do, MLflow holds the record."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pennet.data.pictures.shards import Shards
from pennet.metrics.report import read_reports
from pipelines.dag import stages_to_run
from tests.project import change_params, run

pytestmark = pytest.mark.slow
TRIALS = {"pennet": "pennet/seed-2019", "gntipt": "gntipt/seed-2019", "telea": "telea", "mean": "mean"}
"""Methods of the small project, and where their files lie."""


@pytest.fixture
def project(demo: Path) -> Path:
    return demo


@pytest.fixture(scope="module")
def mlflow(demo: Path):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{demo}/mlflow.db")
    return mlflow


@pytest.fixture(scope="module")
def champion(demo: Path, mlflow):
    """Decided by now, if it was not before."""
    result = run(demo, "python", "-m", "pipelines.promote")
    assert result.returncode == 0, result.stderr
    return mlflow.MlflowClient().get_model_version_by_alias("inpainting-terrain", "champion")


def runs(mlflow) -> dict[str, object]:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("pennet-studio-terrain")
    return {found.data.tags["method"]: found for found in client.search_runs([experiment.experiment_id])}


def test_flow_runs_every_stage_under_its_own_name(project: Path) -> None:
    log = (project / "demo.log").read_text()
    for stage in ("download@terrain", "train@terrain-pennet-2019", "evaluate-classical@terrain-mean", "compare@terrain"):
        assert f"Task run '{stage}'" in log


def test_every_product_is_there(project: Path) -> None:
    for trial in TRIALS.values():
        report = json.loads((project / "reports/terrain/methods" / trial / "report.json").read_text())["reports"]["centre"]
        assert report["num_images"] == 72
        assert {"l1", "l1_hole", "psnr", "ssim", "ms_ssim_3", "is_efflite0"} <= report["overall"].keys()
        assert len(list((project / "outputs/terrain" / trial / "centre/composite").glob("*.png"))) == 72
    assert (project / "reports/terrain/comparison/comparison.md").read_text().count("| pennet") >= 1


def test_nothing_is_left_to_do(project: Path) -> None:
    result = run(project, "dvc", "repro")
    assert "Data and pipelines are up to date." in result.stdout
    assert "Running stage" not in result.stdout


def test_one_run_a_method_with_parameters_curves_metrics_and_pictures(project: Path, mlflow) -> None:
    client, found = mlflow.MlflowClient(), runs(mlflow)
    assert set(found) == set(TRIALS)
    assert len({record.data.tags["pennet.benchmark"] for record in found.values()}) == 1
    for method, record in found.items():
        report = json.loads((project / "reports/terrain/methods" / TRIALS[method] / "report.json").read_text())
        report = report["reports"]["centre"]
        assert record.info.status == "FINISHED"
        assert record.data.metrics["test/l1_hole"] == report["overall"]["l1_hole"]["value"]
        assert record.data.params["prepare.image_size_px"] == "48"
        assert {"git.commit", "git.dirty", "pennet.identity"} <= record.data.tags.keys()
        names = {item.path for item in client.list_artifacts(record.info.run_id, "report")}
        assert {"report/report.json", "report/sheet.png", "report/per_image.csv"} <= names
    trained = found["pennet"]
    assert trained.data.tags["dvc.stage"] == "train@terrain-pennet-2019"
    cost = json.loads((project / "reports/terrain/methods/pennet/seed-2019/cost.json").read_text())
    assert trained.data.metrics["cost/parameters"] == cost["parameters"]
    assert trained.data.metrics["cost/steps"] == 4
    assert found["telea"].data.tags["dvc.stage"] == "inpaint-classical@terrain-telea"
    assert [p.step for p in client.get_metric_history(trained.info.run_id, "train/generator")] == [1, 2, 3, 4]
    assert any("samples" in item.path for item in client.list_artifacts(trained.info.run_id, "images"))


def test_the_run_names_its_data_with_the_digest_of_dvc(project: Path, mlflow) -> None:
    from pipelines.params import read_yaml

    (data,) = runs(mlflow)["pennet"].inputs.dataset_inputs
    outs = read_yaml(project / "dvc.lock")["stages"]["prepare@terrain"]["outs"]
    assert data.dataset.name == "terrain"
    assert data.dataset.digest in {out["md5"].removesuffix(".dir") for out in outs}


def test_registered_model_inpaints_by_alias(project: Path, mlflow, champion) -> None:
    model = mlflow.pyfunc.load_model("models:/inpainting-terrain@champion")
    image = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), dtype=np.uint8)
    mask = np.zeros((2, 40, 56), np.uint8)
    mask[:, 10:30, 10:40] = 1
    result = model.predict({"image": image, "mask": mask})
    assert result.shape == image.shape
    assert np.array_equal(result[mask == 0], image[mask == 0])
    assert not np.array_equal(result[mask == 1], image[mask == 1])
    sharper = model.predict({"image": image, "mask": mask}, params={"sharpness": 1e6})
    assert np.array_equal(sharper[mask == 0], image[mask == 0])
    with pytest.raises(ValueError, match="got shape"):
        model.predict({"image": image[..., :2], "mask": mask})


def test_one_registered_model_has_a_version_a_method_with_its_test_metrics(project: Path, mlflow) -> None:
    client, found = mlflow.MlflowClient(), runs(mlflow)
    versions = {v.tags["method"]: v for v in client.search_model_versions("name = 'inpainting-terrain'")}
    assert set(versions) == {"pennet", "gntipt"}
    for method, version in versions.items():
        assert version.run_id == found[method].info.run_id
        assert float(version.tags["test.l1_hole"]) == pytest.approx(found[method].data.metrics["test/l1_hole"], rel=1e-5)
        assert client.get_model_version_by_alias("inpainting-terrain", f"latest-{method}").version == version.version
        assert len(version.description) <= 5000
        card = Path(client.download_artifacts(version.run_id, "card.md")).read_text()
        for said in ("CC BY-SA 3.0", "@misc{0ad", "4 steps", "48 px", "20 val", "hole", "torch==", "## Where it fails"):
            assert said in card


def test_the_champion_is_the_best_on_validation_pictures(project: Path, mlflow, champion) -> None:
    versions = mlflow.MlflowClient().search_model_versions("name = 'inpainting-terrain'")
    best = min(versions, key=lambda version: float(version.tags["validation.l1_hole"]))
    assert champion.version == best.version
    written = json.loads((project / "reports/terrain/promotion/decision.json").read_text())
    assert (written["outcome"], written["now"]["version"], written["num_pictures"]) == ("first", str(champion.version), 20)
    assert set(written["candidates"]) == {str(version.version) for version in versions}
    again = run(project, "python", "-m", "pipelines.promote")
    assert again.stdout.startswith(f"terrain: nothing new to decide; champion is version {champion.version} (")


def test_recording_again_adds_nothing(project: Path, mlflow) -> None:
    client = mlflow.MlflowClient()
    before = {name: record.info.run_id for name, record in runs(mlflow).items()}
    result = run(project, "python", "-m", "pipelines.record")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("already recorded") == 4
    assert {name: record.info.run_id for name, record in runs(mlflow).items()} == before
    assert len(client.search_model_versions("name = 'inpainting-terrain'")) == 2


def test_a_lost_record_is_completed_from_the_files(project: Path) -> None:
    (project / "mlflow.db").rename(project / "mlflow.kept")
    try:
        result = run(project, "python", "-m", "pipelines.record")
        assert result.returncode == 0, result.stderr
        assert result.stdout.count(": recorded") == 4
    finally:
        (project / "mlflow.kept").replace(project / "mlflow.db")


@pytest.mark.parametrize(
    ("changes", "expected", "untouched"),
    [
        ({"evaluate": {"seed": 8}}, ["evaluate@", "evaluate-classical@", "compare@"], ["train@", "inpaint@", "masks@"]),
        ({"train": {"flip": False}}, ["train@terrain-pennet", "train@terrain-gntipt"], ["prepare@", "evaluate-classical@"]),
        (
            {"runtime": {"num_threads": 2}},
            ["train@terrain-pennet", "train@terrain-gntipt"],
            ["prepare@", "evaluate-classical@"],
        ),
        ({"runtime": {"num_workers": 2}}, [], ["prepare@", "train@", "evaluate@"]),
    ],
)
def test_a_changed_parameter_reruns_what_it_decides_and_nothing_else(
    project: Path, monkeypatch: pytest.MonkeyPatch, changes, expected, untouched
) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(project)
    before = (project / "params.yaml").read_text()
    try:
        change_params(project, changes)
        with Repo() as repo:
            changed = "\n".join(repo.status())  # what `dvc status` prints
    finally:
        (project / "params.yaml").write_text(before)
    for stage in expected:
        assert stage in changed
    for stage in untouched:
        assert stage not in changed


def test_a_changed_recipe_reruns_its_method_and_the_comparison_and_nothing_else(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    before = (project / "params.yaml").read_text()
    try:
        change_params(project, {"recipes": {"gntipt": {"softmax_scale": 9.0}}})
        stages = stages_to_run()
    finally:
        (project / "params.yaml").write_text(before)
    of_gntipt = [f"{stage}@terrain-gntipt-2019" for stage in ("train", "inpaint", "evaluate")]
    assert stages == [*of_gntipt, "compare@terrain"]


def test_a_store_that_cannot_be_written_does_not_stop_training(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True, ignore=shutil.ignore_patterns("cache", "checkpoints"))
    shutil.rmtree(copy / "models")
    change_params(copy, {"tracking": {"uri": f"sqlite:///{tmp_path}/missing/mlflow.db"}})
    (tmp_path / "missing").write_text("a file where a folder should be")
    result = run(copy, "python", "-m", "pipelines.train", "terrain", "pennet", "2019")
    assert result.returncode == 0, result.stderr
    assert "warning: cannot write to the MLflow store sqlite:///" in result.stderr
    assert "training goes on and saves its weights" in result.stderr
    weights = "models/terrain/pennet/seed-2019/generator.safetensors"
    assert (copy / weights).read_bytes() == (project / weights).read_bytes()


def test_a_failed_training_leaves_a_failed_run_with_its_reason(project: Path, mlflow) -> None:
    before = (project / "params.yaml").read_text()
    try:
        change_params(project, {"recipes": {"pennet": {"learning_rate": 1e30, "adversarial_weight": 0.0}}})
        result = run(project, "python", "-m", "pipelines.train", "terrain", "pennet", "2019")
    finally:
        (project / "params.yaml").write_text(before)
    assert result.returncode == 1
    assert "last good checkpoint: none was written yet" in result.stderr
    assert "Traceback" not in result.stderr
    failed = [
        r
        for r in mlflow.search_runs(experiment_names=["pennet-studio-terrain"], output_format="list")
        if r.info.status == "FAILED"
    ]
    (record,) = failed
    assert "loss is" in record.data.tags["pennet.error"]
    mlflow.MlflowClient().delete_run(record.info.run_id)


def test_a_failing_stage_says_what_to_mend_and_keeps_the_old_data(project: Path) -> None:
    before = (project / "params.yaml").read_text()
    try:
        change_params(project, {"prepare": {"image_size_px": 256 + 64}})
        result = run(project, "python", "-m", "pipelines.prepare", "terrain")
    finally:
        (project / "params.yaml").write_text(before)
    assert result.returncode == 1
    assert "prepare terrain: 281 of 281 pictures cannot be used, more than max_rejected_ratio 0" in result.stderr
    assert "Traceback" not in result.stderr
    kept = Shards(project / "data/prepared/terrain", "test")
    assert (len(kept), kept[71].shape) == (72, (48, 48, 3))


@pytest.mark.parametrize("method", ["ca", "gntipt"])
def test_every_learned_method_trains_resumes_and_inpaints(demo: Path, tmp_path: Path, method: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(demo, copy, symlinks=True, ignore=shutil.ignore_patterns("cache", "checkpoints"))
    tracking = {"uri": f"sqlite:///{tmp_path}/other.db"}
    change_params(copy, {"methods": {"learned": [method]}, "train": {"steps": 2}, "tracking": tracking})
    for stage in ("train", "train", "inpaint"):
        result = run(copy, "python", "-m", f"pipelines.{stage}", "terrain", method, "2019")
        assert result.returncode == 0, result.stderr
    assert len(list((copy / "outputs/terrain" / method / "seed-2019/centre/composite").glob("*.png"))) == 72


def test_two_seeds_and_a_variant_of_a_method_are_compared_in_minutes(demo: Path, tmp_path: Path) -> None:
    """Three things that a profile may ask for: several seeds, two recipes of one method, a wall time as the budget."""
    copy = tmp_path / "copy"
    shutil.copytree(demo, copy, symlinks=True, ignore=shutil.ignore_patterns("checkpoints"))
    plain = YAML(typ="safe").load((copy / "params.yaml").read_text())["recipes"]["pennet"] | {"attention_levels": "none"}
    change_params(
        copy,
        {
            "seeds": [2019, 4],
            "methods": {"learned": ["pennet", "no_attention"], "classical": ["mean"]},
            "recipes": {"no_attention": plain},
            "train": {"steps": 0, "minutes": 0.02},
        },
    )
    result = run(copy, "dvc", "repro", timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    comparison = json.loads((copy / "reports/terrain/comparison/comparison.json").read_text())
    assert comparison["num_seeds"] == {"pennet": 2, "no_attention": 2, "mean": 1}
    reports = copy / "reports/terrain/methods/pennet"
    values = [read_reports(reports / f"seed-{seed}/report.json")["centre"].overall["psnr"].value for seed in (2019, 4)]
    assert values[0] != values[1]
    entry = comparison["sections"][0]["entries"]["psnr"]["pennet"]
    assert entry["result"]["value"] == pytest.approx(np.mean(values), abs=0.0051)  # rounded to two digits
    assert entry["seed_std"] == pytest.approx(np.std(values, ddof=1), abs=0.0051)
    text = (copy / "reports/terrain/comparison/comparison.md").read_text()
    assert "Budget: the same wall time for every learned method" in text
    assert f"{entry['seed_std']:.2f}" in text
    plan = [json.loads(path.read_text())["steps"] for path in copy.glob("checkpoints/*/plan.json")]
    costs = [cost for of_method in comparison["costs"].values() for cost in of_method]
    assert sorted(cost["steps"] for cost in costs) == sorted(plan)
    assert len({cost["parameters"] for cost in costs}) == 2
