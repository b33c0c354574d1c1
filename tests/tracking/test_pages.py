"""What MLflow's pages say of runs, models and versions."""

import dataclasses
from pathlib import Path

import mlflow
import pytest

from pennet.atomic import write_json
from pennet.metrics.report import read_reports, write_reports
from pipelines import layout
from pipelines.tracking import registry
from pipelines.tracking.record import RECORDED_TAG, record
from tests.configs import small_recipe
from tests.tracking.stores import TRIAL, store, the_run


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
