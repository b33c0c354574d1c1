"""What a training is, and what a benchmark is: digests that are equal where the results are.

A training is its parameters, its data, the meaning of its code and what changes its bits; the digest of that names its
checkpoints and finds it again. A benchmark is its content: test pictures, masks, and the settings that change a score.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pennet.config import Config
from pennet.errors import UserError
from pipelines import layout
from pipelines.meaning import file_of, meaning, reachable

CADENCE = ("log_every_steps", "sample_every_steps", "num_samples", "checkpoint_every_steps")
"""Parameters of `train` that say when to look and to save, and change no weight."""
SCORE_SETTINGS = ("seed", "is_splits", "kid_subsets", "kid_subset_size")
"""Parameters of `evaluate` that change the value of a score; the others add columns, intervals or pictures."""

Identity = Mapping[str, str]
"""Flat and readable: `train.steps` -> `540`, `code.pennet/models/pennet.py` -> a digest."""


def training_identity(dataset: str, method: str, seed: int, config: Config) -> dict[str, str]:
    """All that decides the weights of (data set, method, seed), as configured now.

    Cheap: no picture is read.

    Args:
        dataset: its name; it must be prepared.
        method: a recipe's name.
        seed: of the training.
        config: the parameters.

    Raises:
        UserError: the data are not prepared yet, or the device that is asked for is not there.
    """
    from pennet.seeding import numerics

    config = config.of(dataset)
    recipe = config.recipes[method]
    train = {key: value for key, value in asdict(config.train).items() if key not in CADENCE}
    roots = ["pipelines/train.py", *training_parts(recipe.method, recipe.training_mask)]
    return {
        "dataset": dataset,
        "method": method,
        "seed": str(seed),
        "prepare.image_size_px": str(config.prepare.image_size_px),
        # Which pictures share a shard decides the order only where shards are shuffled.
        **({"prepare.shard_mb": str(config.prepare.shard_mb)} if config.train.shuffle_window_shards else {}),
        "data.train": data_digest(dataset, "train"),
        **_flat("train", train),
        **_flat("recipe", asdict(recipe)),
        **numerics(config.runtime),
        **_code(roots),
    }


def classical_identity(dataset: str, method: str) -> dict[str, str]:
    """All that decides what a classical method paints, but for the pictures and the masks."""
    return {"dataset": dataset, "method": method, **_code(["pipelines/inpaint_classical.py", *classical_parts(method)])}


def benchmark_content(dataset: str, config: Config) -> dict[str, str]:
    """What makes two scores comparable.

    Raises:
        UserError: data or masks are not there yet.
    """
    from pennet.mask_sets.store import StoredMasks

    config, stored = config.of(dataset), StoredMasks(layout.masks_dir(dataset))
    masks = [mask for protocol in stored.protocols for mask in stored.digests(protocol)]
    return {
        "prepare.image_size_px": str(config.prepare.image_size_px),
        "data.test": data_digest(dataset, "test"),
        "masks.protocols": ", ".join(config.masks.protocols),
        "masks.test": hashlib.sha256(json.dumps(masks).encode()).hexdigest(),
        **_flat("evaluate", {key: getattr(config.evaluate, key) for key in SCORE_SETTINGS}),
    }


def data_digest(dataset: str, split: str) -> str:
    """Digest of the prepared pictures of a split, in their order, as `prepare` wrote it.

    Raises:
        UserError: the data are not prepared yet.
    """
    path = layout.prepared_dir(dataset) / "digests.json"
    try:
        return str(json.loads(path.read_text())[split])
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run `dvc repro` first") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no digests of the data ({error!r}); run prepare again") from error


def digest(identity: Identity) -> str:
    """The short name of an identity."""
    return hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()[:16]


def write_identity(path: Path, identity: Identity) -> None:
    from pennet.atomic import write_json

    write_json(path, dict(identity))


def read_identity(path: Path) -> dict[str, str] | None:
    """What `write_identity` wrote; None where there is no such file.

    Raises:
        UserError: the file is unreadable.
    """
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no identity ({error}); run the train stage again: dvc repro --force") from error


def last_other_training(identity: Identity) -> tuple[Path, dict[str, str]] | None:
    """The last other training of the same data set, recipe and seed that has checkpoints: where, and what it is.

    For whoever wonders why a training begins anew.
    """
    found = []
    for path in layout.checkpoints_dir("").glob(f"*/{layout.IDENTITY_FILE}"):
        other = read_identity(path)
        of_same = other is not None and all(other.get(key) == identity[key] for key in ("dataset", "method", "seed"))
        if other is not None and of_same and other != identity and any(path.parent.glob("step-*.pt")):
            found.append((path.stat().st_mtime, path.parent, other))
    return max(found)[1:] if found else None


def training_parts(method: str, mask: str) -> list[str]:
    """The files of a learned method's own parts, and of the kind of masks that it learns from."""
    from pennet.masks import mask_kind
    from pennet.methods import learned_methods

    parts = learned_methods()[method]
    return [file_of(part) for part in (parts.generator, parts.recipe, mask_kind(mask).draw)]


def classical_parts(method: str) -> list[str]:
    """The file of a classical method."""
    from pennet.methods import classical_methods

    return [file_of(classical_methods()[method].fill)]


def _code(roots: list[str]) -> dict[str, str]:
    return {f"code.{path}": meaning(path) for path in sorted(reachable(roots))}


def _flat(prefix: str, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {k: v for key, inner in value.items() for k, v in _flat(f"{prefix}.{key}", inner).items()}
    return {prefix: str(value)}
