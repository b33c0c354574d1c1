"""One run a training and benchmark, completed and never doubled."""

from pathlib import Path

import mlflow
import numpy as np
import pytest
from PIL import Image

from pipelines import layout
from pipelines.identity import digest
from pipelines.tracking.live import live_run
from pipelines.tracking.record import RECORDED_TAG, record
from tests.prepared import write_test_masks
from tests.project import change_params
from tests.tracking.stores import IDENTITY, TRIAL, store, the_run


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


def test_a_record_that_ends_just_after_the_version_was_made_finds_it_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registering = mlflow.register_model

    def last_breath(*arguments: object, **options: object) -> None:
        registering(*arguments, **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(mlflow, "register_model", last_breath)
        record(*TRIAL, store())
    client = mlflow.MlflowClient()
    assert len(client.search_model_versions("name = 'inpainting-terrain'")) == 1
    assert record(*TRIAL, store())
    (version,) = client.search_model_versions("name = 'inpainting-terrain'")
    assert version.run_id == the_run().info.run_id
    assert client.get_model_version_by_alias("inpainting-terrain", "latest-pennet").version == version.version


def test_a_picture_that_a_full_disk_left_incomplete_is_logged_again(project: Path) -> None:
    assert record(*TRIAL, store())
    client, run = mlflow.MlflowClient(), the_run()
    folder = Path(run.info.artifact_uri, "images")
    for step, damage in enumerate(["no thumbnail", "empty thumbnail", "cut picture"], start=1):
        (picture,) = folder.glob(f"test_sheet+step+{step - 1}+*.png")
        thumbnail = folder / f"{picture.stem}+compressed.webp"
        if damage == "no thumbnail":
            thumbnail.unlink()
        elif damage == "empty thumbnail":
            thumbnail.write_bytes(b"")
        else:
            picture.write_bytes(picture.read_bytes()[:44])  # within its pixels
        client.delete_tag(run.info.run_id, RECORDED_TAG)
        assert record(*TRIAL, store())
        new = sorted(folder.glob(f"test_sheet+step+{step}+*"))
        assert [path.suffix for path in new] == [".webp", ".png"]
        for path in new:
            Image.open(path).load()
    assert len(list(folder.glob("composite_*"))) == 2


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
