"""What MLflow's pages say of an experiment, a run, a registered model and a version: Markdown, with links between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from pennet.config import TrackingConfig
from pennet.sharpness import MAX_SHARPNESS, MIN_SHARPNESS
from pipelines.params import load_params
from pipelines.prepared import card

if TYPE_CHECKING:
    from pennet.cost import Cost
    from pennet.metrics.report import Report

NOTE_TAG = "mlflow.note.content"
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
"""MLflow's name for experiments that train models: it opens these on their runs, others on its GenAI pages."""


def headline(report: Report) -> dict[str, float]:
    """The few metrics that stand for a run, those without a value left out."""
    from pennet.metrics.catalogue import headlines

    values = {name: metric.value for name, metric in report.overall.items() if metric.value is not None}
    return {name: values[name] for name in headlines(values)}


def describe_experiment(experiment_id: str, dataset: str, tracking: TrackingConfig) -> None:
    """Gives the experiment of a data set its kind and its text."""
    import mlflow

    client = mlflow.MlflowClient()
    client.set_experiment_tag(experiment_id, KIND_TAG, KIND)
    client.set_experiment_tag(experiment_id, NOTE_TAG, experiment_note(dataset, tracking))


def experiment_note(dataset: str, tracking: TrackingConfig) -> str:
    config, data = load_params().of(dataset), card(dataset)
    num_pictures = data["num_images"]
    size, protocols = config.prepare.image_size_px, ", ".join(f"`{name}`" for name in config.masks.protocols)
    return (
        f"Image inpainting on **{dataset}**: {num_pictures['train']} training and {num_pictures['test']} test pictures of"
        f" {size} x {size} px (split: {data['split_origin']}), test masks {protocols}.\n\n"
        "A run is one training of a method, or a method without training; `dvc repro` (or `make demo`) makes its files,"
        " `python -m pipelines.record` this record of them. Compare runs with the same tag `pennet.benchmark`: they were"
        " scored on the same pictures and masks, in the same way.\n\n"
        f"Trained weights: registered model {_model_link(f'{tracking.registered_model}-{dataset}')}."
    )


def run_note(
    run_id: str,
    experiment_id: str,
    dataset: str,
    method: str,
    seed: int | None,
    reports: Mapping[str, Report],
    cost: Cost | None,
    version: tuple[str, str] | None,
) -> str:
    """One line and the sheet of test pictures.

    Args:
        run_id: of the run.
        experiment_id: of its experiment.
        dataset: its name.
        method: a recipe's name, or a classical method.
        seed: of a training; None for a classical method.
        reports: its test metrics by protocol, the headline first.
        cost: of a training.
        version: name and version of the registered model that holds the weights.
    """
    model = "" if version is None else f" Weights: {_model_link(*version)}."
    return (
        f"{_result(method, seed, dataset, reports, cost)}{model}"
        f" Others: [experiment](#/experiments/{experiment_id}).\n\n{_sheet(run_id, experiment_id)}"
    )


def model_note(name: str, dataset: str, experiment_id: str) -> str:
    return (
        f"Fills holes in pictures like those of the data set **{dataset}**. A version is one training: its text says which,"
        f" how well it did on the test pictures, and in which run of the [experiment](#/experiments/{experiment_id}).\n\n"
        "`champion` is the version that was promoted, `previous` the one before it, `challenger` the last one that was"
        " compared with it, on validation pictures; `latest-METHOD` is the last version of a method.\n\n"
        "```python\n"
        f'model = mlflow.pyfunc.load_model("models:/{name}@champion")\n'
        'filled = model.predict({"image": image, "mask": mask})  # uint8 (N, H, W, 3) and (N, H, W); 1 = hole\n'
        'sharper = model.predict({"image": image, "mask": mask}, params={"sharpness": 1000.0})\n'
        "```\n\n"
        "`sharpness` is the softmax scale of the attention: higher copies single patches, lower mixes them. Without it a"
        " version takes its own, with which it was scored: see its text."
    )


def version_note(
    run_id: str,
    experiment_id: str,
    dataset: str,
    method: str,
    seed: int | None,
    reports: Mapping[str, Report],
    cost: Cost | None,
) -> str:
    return (
        f"{_result(method, seed, dataset, reports, cost)}"
        f" Parameters, curves and all metrics: [run](#/experiments/{experiment_id}/runs/{run_id}).\n\n"
        f"{_sheet(run_id, experiment_id)}"
    )


def sharpness_note(own: float | None) -> str:
    """What `params` of `predict` may change.

    Args:
        own: the softmax scale of the generator's attention; None for one without attention.
    """
    if own is None:
        return "\n\nIt has no attention, and takes no `sharpness`."
    return (
        f"\n\nIts own `sharpness`, the softmax scale of its attention, is **{own:g}**; it takes others from"
        f" {MIN_SHARPNESS:g} to {MAX_SHARPNESS:.0f}."
    )


def _result(method: str, seed: int | None, dataset: str, reports: Mapping[str, Report], cost: Cost | None) -> str:
    trained = "" if seed is None else f" (seed {seed})"
    minutes = "" if cost is None or cost.budget == "steps" else f" (as many as {cost.minutes:g} minutes allow)"
    budget = "no training" if cost is None else f"{cost.steps} steps{minutes}"
    results = []
    for protocol, report in reports.items():
        values = ", ".join(f"{name} {value:.4g}" for name, value in headline(report).items())
        results.append(f"`{protocol}` {values}" if len(reports) > 1 else values)
    num_images = next(iter(reports.values())).num_images
    return f"**{method}**{trained} on {dataset}, {budget}: {'; '.join(results)} on {num_images} test pictures."


def _sheet(run_id: str, experiment_id: str) -> str:
    """The picture itself, as MLflow's server hands it out, and a link for where it shows none."""
    page = artifact_link(run_id, experiment_id, "report/sheet.png")
    return f"[![test pictures](get-artifact?path={quote('report/sheet.png', safe='')}&run_uuid={run_id})]({page})"


def artifact_link(run_id: str, experiment_id: str, path: str) -> str:
    """Where MLflow's pages show a file of a run."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{path}"


def _model_link(name: str, version: str = "") -> str:
    return f"[{name}{version and f' version {version}'}](#/models/{quote(name)}{version and f'/versions/{version}'})"
