"""Decides which trained generator of a data set is `@champion`: `python -m pipelines.promote [DATASET ...]`, `make promote`.

The best of the present trainings is the challenger. It and the champion are loaded from the registry, fill the same
validation pictures, and are compared image by image: `promotion` of params.yaml is the rule. Test pictures are never opened.

`--rollback DATASET` makes the champion before champion again; `--version N DATASET` promotes a version, whatever the rule
says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pennet.config import Config
from pennet.errors import UserError
from pipelines import layout
from pipelines.decision import Contestant, Decision, Outcome
from pipelines.meaning import file_of, meaning, reachable
from pipelines.params import load_params
from pipelines.validation import Validation

if TYPE_CHECKING:
    from pennet.metrics.per_image import PerImage
    from pennet.promotion import Verdict
    from pipelines.tracking.versions import Versions


def promote(dataset: str, config: Config) -> str:
    """Lets the best present training challenge the champion; returns what was decided, in one line.

    Without a champion the challenger becomes it. Where all that a decision depends on is as it was, nothing is done.

    Raises:
        UserError: no training is in the registry, weights cannot be loaded, or the data or the store cannot be used.
    """
    from pipelines.tracking.promotion import note_challenger, note_decided, open_versions, settle, tag_scores
    from pipelines.tracking.versions import DECIDED_TAG

    config = config.of(dataset)
    if not config.methods.learned:
        return f"{dataset}: no learned method, nothing to promote"
    validation = Validation(dataset, config)
    with open_versions(dataset, config.tracking) as versions:
        candidates, left_out = _candidates(dataset, config, versions)
        champion = versions.champion
        inputs = _inputs(validation, versions, candidates, champion)
        if champion is not None and versions.tags.get(DECIDED_TAG) == inputs:
            return f"{dataset}: nothing new to decide; champion is {versions.contestant(champion).title}"
        if not candidates:
            return f"{dataset}: nothing to decide, {'; '.join(left_out)}"
        scores = {version: _scores(validation, versions, version) for version in candidates}
        challenger = _best(scores, validation.keys[0])
        if challenger == champion:
            tag_scores(validation.digest, versions, {version: _means(of, validation) for version, of in scores.items()})
            note_challenger(versions, challenger)
            note_decided(versions, inputs)
            return f"{dataset}: nothing to decide, the best training is the champion: {versions.contestant(champion).title}"
        if champion is not None and champion not in scores:
            scores[champion] = _champions_scores(validation, versions, champion)
        verdict = _judge(validation, scores, challenger, champion)
        decision = _decision(validation, versions, challenger, champion, scores, candidates, left_out, verdict)
        settle(decision, versions, {version: _means(of, validation) for version, of in scores.items()})
        note_decided(versions, _inputs(validation, versions, candidates, decision.now.version))
        return decision.line


def promote_by_force(dataset: str, config: Config, version: str) -> str:
    """Makes a version champion, whatever the rule says of it; the numbers are written all the same.

    The champion that it replaces is no candidate until it is promoted by force itself: a person's choice stands.

    Raises:
        UserError: no such version, or its weights cannot be loaded. The champion's need not.
    """
    from pipelines.tracking.promotion import open_versions, settle

    config = config.of(dataset)
    validation = Validation(dataset, config)
    with open_versions(dataset, config.tracking) as versions:
        challenger, champion = versions.contestant(version), versions.champion
        if version == champion:
            return f"{dataset}: {challenger.title} is champion already"
        scores, left_out = {version: _scores(validation, versions, version)}, []
        if champion is not None:
            try:
                scores[champion] = _scores(validation, versions, champion)
            except UserError as error:
                left_out = [f"not compared: {error}"]
        verdict = _judge(validation, scores, version, champion if champion in scores else None)
        decision = _decision(validation, versions, version, champion, scores, [version], left_out, verdict, forced=True)
        settle(decision, versions, {number: _means(of, validation) for number, of in scores.items()})
        return decision.line


def rollback(dataset: str, config: Config) -> str:
    """Makes the former champion champion again; the one of now is no candidate until it is promoted by force.

    Raises:
        UserError: there is no former champion, or the store cannot be used.
    """
    from pipelines.tracking.promotion import open_versions, settle

    with open_versions(dataset, config.of(dataset).tracking) as versions:
        former = versions.former
        if not former:
            now = versions.champion
            remedy = "promote another one with --version N" if now else "run `python -m pipelines.promote` first"
            raise UserError(f"{versions.name} has no former champion to go back to; {remedy}")
        again = versions.contestant(former[-1])
        before = None if versions.champion is None else versions.contestant(versions.champion)
        undone = "there was no champion" if before is None else f"{before.title} was taken back by hand"
        decision = Decision(dataset, versions.name, "rolled back", undone, before, again, again)
        settle(decision, versions, {})
        return decision.line


def _candidates(dataset: str, config: Config, versions: Versions) -> tuple[list[str], list[str]]:
    """Versions of the present trainings, and which of these are none, each with its reason.

    Raises:
        UserError: no training is in the registry.
    """
    from pipelines.tracking.versions import REJECTED_TAG, weights_digest

    candidates, rejected, missing = list[str](), list[str](), list[str]()
    for method in config.methods.learned:
        for seed in config.seeds:
            path = layout.model_dir(dataset, method, seed) / "generator.safetensors"
            version = versions.with_weights(weights_digest(path)) if path.exists() else None
            if version is None:
                missing.append(f"{method} (seed {seed}) is not {'recorded' if path.exists() else 'trained'}")
            elif REJECTED_TAG in versions.all[version].tags and version != versions.champion:
                title, why = versions.contestant(version).title, versions.all[version].tags[REJECTED_TAG]
                rejected.append(f"{title} is rejected until --version {version} ({why})")
            elif version not in candidates:
                candidates.append(version)
    if not candidates and not rejected:
        raise UserError(f"{'; '.join(missing)}; run `dvc repro` and `python -m pipelines.record` first")
    return candidates, [*rejected, *missing]


def _inputs(validation: Validation, versions: Versions, candidates: list[str], champion: str | None) -> str:
    """Digest of all that a decision depends on."""
    from pennet.methods import learned_methods

    evaluate = validation.config.evaluate
    generators = [file_of(method.generator) for method in learned_methods().values()]
    code = sorted(reachable(["pipelines/promote.py", *generators]))
    content = {
        "weights": {version: versions.contestant(version).weights for version in candidates},
        "champion": champion,
        "rule": asdict(validation.config.promotion),
        "evaluate": [evaluate.seed, evaluate.lpips_nets],
        "validation": validation.digest,
        "code": {path: meaning(path) for path in code},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _scores(validation: Validation, versions: Versions, version: str) -> PerImage:
    with versions.generator(version) as folder:
        return validation.scores(folder)


def _champions_scores(validation: Validation, versions: Versions, champion: str) -> PerImage:
    try:
        return _scores(validation, versions, champion)
    except UserError as error:
        raise UserError(
            f"the champion cannot be compared: {error}; roll back, or choose another one with --version N"
        ) from error


def _means(scores: PerImage, validation: Validation) -> dict[str, float]:
    """Means of the rule's metrics over the images that have a finite value."""
    import numpy as np

    means = {}
    for key in dict.fromkeys(validation.keys):
        finite = scores.values[key][np.isfinite(scores.values[key])]
        if len(finite):
            means[key] = float(finite.mean())
    return means


def _best(scores: Mapping[str, PerImage], key: str) -> str:
    """The version with the best mean; of equals the oldest."""
    import numpy as np

    from pennet.metrics.catalogue import find

    sign = 1 if find(key).better == "lower" else -1

    def place(version: str) -> tuple[float, int]:
        values = scores[version].values[key]
        finite = values[np.isfinite(values)]
        return (sign * float(finite.mean()) if len(finite) else float("inf"), int(version))

    return min(scores, key=place)


def _judge(validation: Validation, scores: Mapping[str, PerImage], challenger: str, champion: str | None) -> Verdict | None:
    from pennet.promotion import judge

    if champion is None:
        return None
    config = validation.config
    return judge(scores[challenger], scores[champion], config.promotion, config.evaluate, validation.side_px)


def _decision(
    validation: Validation,
    versions: Versions,
    challenger: str,
    champion: str | None,
    scores: Mapping[str, PerImage],
    candidates: list[str],
    left_out: list[str],
    verdict: Verdict | None,
    forced: bool = False,
) -> Decision:
    new, before = versions.contestant(challenger), None if champion is None else versions.contestant(champion)
    outcome, reason = _outcome(before, verdict, forced)
    means = {version: _means(scores[version], validation) for version in candidates}
    key = validation.keys[0]
    details: dict[str, Any] = {
        "rule": asdict(validation.config.promotion),
        "protocol": validation.protocol,
        "num_pictures": len(validation.numbers),
        "validation": validation.digest,
        "findings": [] if verdict is None else verdict.findings,
        "candidates": {version: of[key] for version, of in means.items() if key in of},
        "left_out": left_out,
    }
    now: Contestant = before if outcome == "kept" and before is not None else new
    return Decision(validation.dataset, versions.name, outcome, reason, before, new, now, **details)


def _outcome(before: Contestant | None, verdict: Verdict | None, forced: bool) -> tuple[Outcome, str]:
    failing = [] if verdict is None else [finding for finding in verdict.findings if not finding.holds]
    said = ", ".join(f"{finding.metric} {finding.why}" for finding in failing)
    if forced:
        return "forced", f"a person chose it; the rule says no: {said}" if said else "a person chose it"
    if before is None:
        return "first", "there was no champion"
    if verdict is not None and verdict.promote:
        better = [finding.metric for finding in verdict.findings if finding.must_be_better]
        return "promoted", f"better in {', '.join(better)}, and no guarded metric too much worse"
    return "kept", said


def main() -> None:
    """Prints a line for each data set; what a user can mend ends in one message and exit status 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help="without one: all of params.yaml")
    by_hand = parser.add_mutually_exclusive_group()
    by_hand.add_argument("--rollback", action="store_true", help="make the champion before champion again; of one DATASET")
    by_hand.add_argument("--version", metavar="N", help="promote this version, whatever the rule says; of one DATASET")
    arguments = parser.parse_args()
    if (arguments.rollback or arguments.version is not None) and len(arguments.datasets) != 1:
        parser.error("--rollback and --version need the name of one data set")
    try:
        config = load_params()
        for dataset in arguments.datasets or config.datasets:
            if dataset not in config.datasets:
                raise UserError(f"{dataset!r} is not one of datasets ({', '.join(config.datasets)})")
            if arguments.rollback:
                print(rollback(dataset, config))
            elif arguments.version is not None:
                print(promote_by_force(dataset, config, arguments.version))
            else:
                print(promote(dataset, config))
    except (UserError, OSError) as error:
        sys.exit(f"promote: {error}")


if __name__ == "__main__":
    main()
