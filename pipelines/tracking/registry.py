"""The registered models in MLflow: one a data set, a version for every training, tagged with its headline metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.config import TrackingConfig
from pipelines import layout
from pipelines.identity import Identity, digest
from pipelines.tracking.card import CARD_FILE, card, chapters, page, promotion_of, requirements, with_promotion
from pipelines.tracking.descriptions import artifact_link, headline, model_note, sharpness_note, version_note
from pipelines.tracking.runs import BENCHMARK_TAG
from pipelines.tracking.versions import WEIGHTS_TAG, model_name, weights_digest

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from pennet.cost import Cost
    from pennet.metrics.report import MetricResult, Report


def test_values(reports: Mapping[str, Report]) -> dict[str, float]:
    """`l1_hole` -> `test/l1_hole`, with its spread and the ends of its interval.

    Of a protocol that is not the first, the headline, `test/PROTOCOL/l1_hole`. Metrics without a value are left out:
    `test_statuses` has them.
    """
    values: dict[str, float] = {}
    for name, metric in _named(reports, "/"):
        if metric.value is None:
            continue
        parts = {"": metric.value, "_std": metric.std, "_ci_low": metric.ci_low, "_ci_high": metric.ci_high}
        values |= {f"test/{name}{suffix}": float(value) for suffix, value in parts.items() if value is not None}
    return values


def test_statuses(reports: Mapping[str, Report]) -> dict[str, str]:
    """Tags of the metrics without a value: `fid_inception` -> `test.fid_inception.status`, why and how to get it."""
    return {f"test.{name}.status": metric.status for name, metric in _named(reports, ".") if metric.status != "ok"}


def _named(reports: Mapping[str, Report], separator: str) -> Iterator[tuple[str, MetricResult]]:
    """The metrics over all images, those of protocols after the first with the protocol's name before theirs."""
    for place, (protocol, report) in enumerate(reports.items()):
        for name, metric in report.overall.items():
            yield f"{protocol}{separator}{name}" if place else name, metric


def register(
    dataset: str,
    method: str,
    seed: int | None,
    model_dir: Path,
    reports: Mapping[str, Report],
    benchmark: Identity,
    cost: Cost | None,
    tracking: TrackingConfig,
) -> tuple[str, str]:
    """Logs the weights as a model that inpaints, and registers it with its card.

    Weights that are registered already keep their version, with the scores of the last benchmark. Who is champion is
    decided elsewhere, on other pictures (`pipelines.promote`).

    Returns:
        Name and version of the registered model.
    """
    import mlflow

    client, name = mlflow.MlflowClient(), model_name(dataset, tracking)
    run = mlflow.active_run()
    assert run is not None  # the caller has opened it
    run_id, experiment_id = run.info.run_id, run.info.experiment_id
    weights = weights_digest(model_dir / "generator.safetensors")
    known = client.search_model_versions(f"name = '{name}' and tags.`{WEIGHTS_TAG}` = '{weights}'")
    version = str(known[0].version) if known else _log_model(name, model_dir, weights)
    client.update_registered_model(name, model_note(name, dataset, experiment_id))
    note = version_note(run_id, experiment_id, dataset, method, seed, reports, cost)
    if _takes_sharpness(name, version):
        note += sharpness_note(_own_sharpness(model_dir))
    parts = chapters(dataset, name, version, model_dir, layout.report_dir(dataset, method, seed), reports, cost)
    whole, short = card(note, parts), page(note, parts, artifact_link(run_id, experiment_id, CARD_FILE))
    if decided := promotion_of(known[0].description or "") if known else "":
        whole, short = with_promotion(whole, decided), with_promotion(short, decided, is_page=True)
    mlflow.log_text(whole, CARD_FILE)
    client.update_model_version(name, version, short)
    for metric, value in headline(next(iter(reports.values()))).items():
        client.set_model_version_tag(name, version, f"test.{metric}", f"{value:.6g}")
    client.set_model_version_tag(name, version, BENCHMARK_TAG, digest(benchmark))
    client.set_model_version_tag(name, version, "method", method)
    client.set_model_version_tag(name, version, "seed", str(seed))
    client.set_registered_model_alias(name, f"latest-{method}", version)
    return name, version


def signature() -> ModelSignature:
    """What `registered_model.Inpainter` takes and returns; a sharpness of None is the model's own.

    Objects, and no bytes: those MLflow would make of anything, of floats a black picture. The model checks what it gets.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    anything = np.dtype(object)
    return ModelSignature(
        Schema([TensorSpec(anything, (-1,), "image"), TensorSpec(anything, (-1,), "mask")]),
        Schema([TensorSpec(anything, (-1,))]),
        ParamSchema([ParamSpec("sharpness", DataType.double, None)]),
    )


def _log_model(name: str, model_dir: Path, weights: str) -> str:
    """Logs the weights in the active run and registers them; returns the version's number.

    The digest of the weights comes with the version, in one step: whatever ends the record, the next one finds it.
    """
    import mlflow

    info = mlflow.pyfunc.log_model(
        name="generator",
        python_model=str(Path(__file__).with_name("registered_model.py")),
        artifacts={"model_dir": str(model_dir)},
        code_paths=[str(Path(__file__).parents[2] / "pennet")],
        signature=signature(),
        pip_requirements=requirements(),
    )
    return str(mlflow.register_model(info.model_uri, name, tags={WEIGHTS_TAG: weights}).version)


def _takes_sharpness(name: str, version: str) -> bool:
    """Whether a version was registered with a sharpness: those of before know none, and keep their weights' number."""
    import mlflow.models

    known = mlflow.models.get_model_info(f"models:/{name}/{version}").signature
    return known is not None and known.params is not None


def _own_sharpness(model_dir: Path) -> float | None:
    """The softmax scale of a saved generator's attention; None for one without attention."""
    import torch

    from pennet.config import recipe_from_mapping
    from pennet.generator_files import CONFIG_FILE
    from pennet.methods import build_generator

    path = model_dir / CONFIG_FILE
    with torch.device("meta"):  # no weights, no random numbers
        generator = build_generator(recipe_from_mapping(json.loads(path.read_text()), str(path)))
    return float(generator.softmax_scale) if getattr(generator, "has_attention", False) else None  # type: ignore[arg-type]
