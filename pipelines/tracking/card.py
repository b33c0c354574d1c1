"""The model card of a registered version: `card.md` in its run, and as much of it on the version's page as that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.metrics.catalogue import find, headlines
from pipelines import layout
from pipelines.identity import digest, read_identity
from pipelines.prepared import card as data_card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.cost import Cost
    from pennet.metrics.per_image import PerImage
    from pennet.metrics.report import Report

CARD_FILE = "card.md"
MAX_PAGE_CHARACTERS = 5000
"""Of a version's text in MLflow's tables; PostgreSQL takes no more."""
ROOM_FOR_PROMOTION = 1600
PROMOTION = "\n\n## Promotion\n\n"
"""The last chapter, which decisions replace."""
FAILURES_BY = ("lpips", "l1_hole")
"""What finds the pictures where a model fails: one metric of perception, one of pixels."""
SHOWN_WORST = 3
PACKAGES = ("torch", "numpy", "pillow", "safetensors", "pydantic", "tqdm")
"""What loading a generator and filling a hole import."""


def requirements() -> list[str]:
    """`PACKAGES` pinned to what is installed; without the build (`+cpu`), which package indexes do not have."""
    return [f"{package}=={installed(package).partition('+')[0]}" for package in PACKAGES]


def chapters(
    dataset: str,
    name: str,
    version: str,
    model_dir: Path,
    report_dir: Path,
    reports: Mapping[str, Report],
    cost: Cost | None,
) -> dict[str, str]:
    """The card's chapters in the order of their importance, by heading.

    Args:
        dataset: its name.
        name, version: of the registered model.
        model_dir: weights with their identity.
        report_dir: with `per_image.csv`.
        reports: by protocol, the headline first.
        cost: of the training.
    """
    return {
        "Training": _training(model_dir, cost),
        "Results on the test pictures": _results(reports),
        "Data": _data(dataset),
        "Where it fails": _failures(report_dir / "per_image.csv", reports),
        "How to load it": _loading(name, version),
        "Requirements": "Pinned to what it was registered with: "
        + ", ".join(f"`{requirement}`" for requirement in requirements())
        + ".",
    }


def card(head: str, parts: Mapping[str, str]) -> str:
    """The whole card."""
    return "\n\n".join([head, *(f"## {heading}\n\n{text}" for heading, text in parts.items())])


def page(head: str, parts: Mapping[str, str], card_link: str) -> str:
    """The card as far as a version's page has room for it, with a link to all of it."""
    text = f"{head}\n\nAll of this and more: [model card]({card_link})."
    for heading, part in parts.items():
        chapter = f"\n\n## {heading}\n\n{part}"
        if len(text) + len(chapter) <= MAX_PAGE_CHARACTERS - ROOM_FOR_PROMOTION:
            text += chapter
    return text


def with_promotion(text: str, section: str, is_page: bool = False) -> str:
    """A card with another last chapter.

    Args:
        text: of a card or of a version's page.
        section: Markdown; of a page that has no room for all of it the first paragraphs, those that fit.
        is_page: whether the text goes on a page.
    """
    base = text.partition(PROMOTION)[0].rstrip()
    if not is_page:
        return f"{base}{PROMOTION}{section}\n"
    room = MAX_PAGE_CHARACTERS - len(PROMOTION)
    base, paragraphs = base[: room - ROOM_FOR_PROMOTION // 4], section.split("\n\n")
    while len(paragraphs) > 1 and len(base) + len("\n\n".join(paragraphs)) > room:
        paragraphs.pop()
    return (base + PROMOTION + "\n\n".join(paragraphs))[:MAX_PAGE_CHARACTERS]


def promotion_of(text: str) -> str:
    """The chapter that `with_promotion` wrote; empty if there is none."""
    return text.partition(PROMOTION)[2].strip()


def _training(model_dir: Path, cost: Cost | None) -> str:
    identity = read_identity(model_dir / layout.IDENTITY_FILE) or {}
    known = {
        "recipe": identity.get("method"),
        "training masks": identity.get("recipe.training_mask"),
        "trained for pictures of": _with_unit(identity.get("prepare.image_size_px"), "px"),
        "batch": _with_unit(identity.get("train.batch_size"), "images"),
        "seed": identity.get("seed"),
        "device": identity.get("numerics.device"),
        "torch": identity.get("numerics.torch"),
        "identity": f"`{digest(identity)}`",
    }
    if cost is not None:
        minutes = "" if cost.budget == "steps" else f", as many as {cost.minutes:g} minutes allow"
        known["budget"] = f"{cost.steps:,} steps{minutes}"
        known["parameters"] = f"{cost.parameters:,}, {cost.training_parameters:,} with what only training needs"
    return table(("", ""), [(key, value) for key, value in known.items() if value is not None])


def _with_unit(value: str | None, unit: str) -> str | None:
    return None if value is None else f"{value} {unit}"


def _results(reports: Mapping[str, Report]) -> str:
    rows = []
    for protocol, report in reports.items():
        for key in headlines(report.overall):
            result, metric = report.overall[key], find(key)
            value = result.status if result.value is None else metric.text(result.value)
            interval = ""
            if result.ci_low is not None and result.ci_high is not None:
                interval = f"{metric.text(result.ci_low)} to {metric.text(result.ci_high)}"
            rows.append((f"`{protocol}`", f"{metric.title} {metric.arrow}", value, interval, str(result.n)))
    return table(("masks", "metric", "value", "95 % interval", "pictures"), rows)


def _data(dataset: str) -> str:
    from pennet.data.pictures.shards import SPLITS

    about = data_card(dataset)
    counts = ", ".join(f"{about['num_images'].get(split, 0):,} {split}" for split in SPLITS)
    named = f"**{about.get('title') or dataset}**" + (f" (<{about['homepage']}>)" if about.get("homepage") else "")
    parts = [
        f"{named}: {counts} pictures. Split: {about['split_origin']}.",
        f"Licence of the data: {about.get('licence') or 'not known'}",
    ]
    if about.get("citation"):
        parts.append(f"```bibtex\n{about['citation']}\n```")
    return "\n\n".join(parts)


def _failures(path: Path, reports: Mapping[str, Report]) -> str:
    """Of all pictures and of each hole-ratio bin how many, the means, and the worst pictures by name."""
    from pennet.masks.bins import HOLE_BINS
    from pennet.metrics.per_image import read_per_protocol

    if not path.exists():
        return f"Not known: {path.name} is not beside the report."
    tables = read_per_protocol(path)
    keys = [key for key in headlines(next(iter(tables.values())).values) if find(key).name in FAILURES_BY]
    rows = []
    for protocol, of_protocol in tables.items():
        rows.append(_worst(f"`{protocol}`", of_protocol, None, keys))
        bins = reports[protocol].bins if protocol in reports else {}
        if of_protocol.hole_ratio is not None and len(bins) > 1:
            for hole_bin in (hole_bin for hole_bin in HOLE_BINS if hole_bin.name in bins):
                members = hole_bin.holds(of_protocol.hole_ratio)
                rows.append(_worst(f"`{protocol}`, hole {hole_bin.name}", of_protocol, members, keys))
    titles = [f"{find(key).title}: mean; worst" for key in keys]
    return "Measured on the test pictures, the worst by name:\n\n" + table(("masks", "pictures", *titles), rows)


def _worst(title: str, scores: PerImage, members: NDArray[np.bool_] | None, keys: Sequence[str]) -> tuple[str, ...]:
    import numpy as np

    inside = np.ones(len(scores.names), dtype=bool) if members is None else members
    cells = []
    for key in keys:
        metric, values = find(key), scores.values[key]
        valid = np.flatnonzero(inside & np.isfinite(values))
        if not len(valid):
            cells.append("")
            continue
        sign = -1 if metric.better == "lower" else 1
        worst = valid[np.argsort(sign * values[valid], kind="stable")][:SHOWN_WORST]
        named = ", ".join(f"`{scores.names[i]}` {metric.text(values[i])}" for i in worst)
        cells.append(f"{metric.text(float(values[valid].mean()))}; {named}")
    return (title, str(int(inside.sum())), *cells)


def _loading(name: str, version: str) -> str:
    return (
        "```python\n"
        f'model = mlflow.pyfunc.load_model("models:/{name}/{version}")\n'
        'filled = model.predict({"image": image, "mask": mask})  # uint8 (N, H, W, 3) and (N, H, W); 1 = hole\n'
        "```"
    )


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
