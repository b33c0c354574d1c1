"""Decisions in the registry: aliases, the former champions, and what a version's page and its run say of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.decision import Decision, write
from pipelines.tracking.card import CARD_FILE, with_promotion
from pipelines.tracking.store import first_line, store_errors
from pipelines.tracking.versions import CHALLENGER, CHAMPION, DECIDED_TAG, FORMER_TAG, PREVIOUS, REJECTED_TAG, Versions

PROMOTION_TAG = "pennet.promotion"
"""Of a version and its run: the last decision on it, in one line."""


@contextmanager
def open_versions(dataset: str, tracking: TrackingConfig) -> Iterator[Versions]:
    """The registered model of a data set.

    Raises:
        UserError: it cannot be read or written, now or in the block.
    """
    try:
        yield Versions(dataset, tracking)
    except store_errors() as error:
        if isinstance(error, OSError) and error.filename:  # a file of ours, which it names
            raise
        raise UserError(f"cannot promote in {tracking.uri}: {first_line(error)}; mend it and run it again") from error


def settle(decision: Decision, versions: Versions, validation: Mapping[str, Mapping[str, float]]) -> None:
    """Writes a decision: files, the version's page and run, then the aliases.

    What is left undone where this ends early is done by the next call: the decision comes out the same.

    Args:
        decision: what was decided.
        versions: of the registered model.
        validation: by version, the means of the rule's metrics on the validation pictures.
    """
    write(decision)
    about = decision.before if decision.outcome == "rolled back" and decision.before else decision.challenger
    tag_scores(decision.validation, versions, validation)
    _describe(decision, about.version, versions)
    client, name, now = versions.client, versions.name, decision.now.version
    former = versions.former
    if decision.outcome == "rolled back":
        former = former[:-1]
        client.set_model_version_tag(name, about.version, REJECTED_TAG, decision.reason)
    elif decision.before is not None and now != decision.before.version:
        former = [*former, decision.before.version]
        if decision.outcome == "forced":
            instead = f"version {now} was promoted by force instead"
            client.set_model_version_tag(name, decision.before.version, REJECTED_TAG, instead)
    if decision.outcome != "rolled back":
        client.set_registered_model_alias(name, CHALLENGER, decision.challenger.version)
    if REJECTED_TAG in versions.all[now].tags:
        client.delete_model_version_tag(name, now, REJECTED_TAG)
    client.set_registered_model_tag(name, FORMER_TAG, json.dumps(former))
    client.set_registered_model_alias(name, CHAMPION, now)
    if former:
        client.set_registered_model_alias(name, PREVIOUS, former[-1])
    elif PREVIOUS in versions.aliases:
        client.delete_registered_model_alias(name, PREVIOUS)


def tag_scores(digest: str, versions: Versions, validation: Mapping[str, Mapping[str, float]]) -> None:
    """Tags versions with their means on the validation pictures: `validation.lpips_alex`, and the pictures' digest."""
    for version, means in validation.items():
        tags = {f"validation.{key}": f"{value:.6g}" for key, value in means.items()} | {"pennet.validation": digest}
        for key, value in tags.items():
            versions.client.set_model_version_tag(versions.name, version, key, value)


def note_decided(versions: Versions, inputs: str) -> None:
    """Notes what the next decision would depend on."""
    versions.client.set_registered_model_tag(versions.name, DECIDED_TAG, inputs)


def note_challenger(versions: Versions, version: str) -> None:
    versions.client.set_registered_model_alias(versions.name, CHALLENGER, version)


def _describe(decision: Decision, version: str, versions: Versions) -> None:
    """Puts the decision on the page of a version and into the run that it came from."""
    import mlflow

    client, known = versions.client, versions.all[version]
    client.set_model_version_tag(versions.name, version, PROMOTION_TAG, decision.line)
    section = decision.section()
    client.update_model_version(versions.name, version, with_promotion(known.description or "", section, is_page=True))
    run_id = known.run_id
    client.set_tag(run_id, PROMOTION_TAG, decision.line)
    client.log_artifacts(run_id, str(layout.promotion_dir(decision.dataset)), "promotion")
    if any(item.path == CARD_FILE for item in client.list_artifacts(run_id)):  # not of a version of before there were cards
        card = mlflow.artifacts.load_text(f"runs:/{run_id}/{CARD_FILE}")
        client.log_text(run_id, with_promotion(card, section), CARD_FILE)
