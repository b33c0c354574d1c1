"""The test split, its masks by protocol, and the lossless pictures of the inpaint stages.

Of each protocol these are `prediction/NAME.png` and `composite/NAME.png`; of a method that copies pixels also where the
few pictures of the showcase got them: `sources/NAME.npy`.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pennet.errors import UserError
from pipelines import layout

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from pennet.masks.mask import Mask

MASKS_INDEX = "manifest.csv"

Filled: TypeAlias = "Iterable[tuple[str, NDArray[np.uint8], Mask, NDArray[np.uint8]]]"
"""Of each picture the name, the image, the mask and the prediction."""
Sources: TypeAlias = Iterable[tuple[str, Any]]
"""Of some pictures the name and where each pixel came from."""


class TestSet(NamedTuple):
    """The test pictures under one protocol. Index images and masks one by one: they are read when they are asked for."""

    names: list[str]
    images: Sequence[NDArray[np.uint8]]
    """Each (S, S, 3)."""
    masks: Sequence[Mask]
    """Each (S, S), 1 = hole."""


def read_prepared_manifest(dataset: str) -> pd.DataFrame:
    """`manifest.csv` of the prepared data, every name as it is written: `007`, `NA` and `null` are names too."""
    import pandas as pd

    return pd.read_csv(layout.prepared_dir(dataset) / "manifest.csv", dtype={"name": str}, keep_default_na=False)


def test_names(dataset: str) -> list[str]:
    """Names of the test images, in their order; a name may hold folders."""
    manifest = read_prepared_manifest(dataset)
    return manifest[manifest["split"] == "test"].sort_values("index")["name"].tolist()


def test_images(dataset: str) -> Sequence[NDArray[np.uint8]]:
    """The test images, each (S, S, 3), read when they are asked for."""
    import numpy as np

    return np.load(layout.prepared_dir(dataset) / "test.npy", mmap_mode="r")  # type: ignore[no-any-return]


def test_set(dataset: str, protocol: str) -> TestSet:
    """The test split with the masks of a protocol.

    Raises:
        UserError: the masks are of other pictures, or there are none of this protocol.
    """
    names, images, masks = test_names(dataset), test_images(dataset), _masks(dataset, protocol)
    if not len(names) == len(images) == len(masks):
        raise UserError(
            f"{dataset}: {len(names)} test names, {len(images)} images, {len(masks)} masks; repeat prepare, masks"
        )
    return TestSet(names, images, masks)


def protocols(dataset: str) -> list[str]:
    """The protocols that there are masks of, the headline first.

    Raises:
        UserError: there are none yet.
    """
    return list(mask_digests(dataset))


def mask_digests(dataset: str) -> dict[str, list[str]]:
    """SHA-256 of every test mask, by protocol, in the order of the test images.

    Raises:
        UserError: there are no masks yet.
    """
    path, found = layout.masks_dir(dataset) / MASKS_INDEX, dict[str, list[str]]()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["protocol"], []).append(row["sha256"])
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run `dvc repro` first") from error
    except KeyError as error:
        raise UserError(f"{path} has no column {error}; repeat stage masks") from error
    return found


def write_masks(dataset: str, names: Sequence[str], masks: Mapping[str, Iterable[Mask]]) -> None:
    """Writes the test masks, one at a time, and their index; the folder appears whole.

    Args:
        dataset: its name.
        names: of the test images.
        masks: by protocol, the headline first: one for each name, (S, S) uint8.
    """
    import numpy as np

    from pennet.atomic import replacing_folder

    with (
        replacing_folder(layout.masks_dir(dataset)) as fresh,
        (fresh / MASKS_INDEX).open("w", newline="", encoding="utf-8") as file,
    ):
        index = csv.writer(file, lineterminator="\n")
        index.writerow(["protocol", "name", "hole_ratio", "sha256"])
        for protocol, of_protocol in masks.items():
            array = None
            for i, (name, mask) in enumerate(zip(names, of_protocol, strict=True)):
                if array is None:
                    path, shape = fresh / f"{protocol}.npy", (len(names), *mask.shape)
                    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
                array[i] = mask
                index.writerow([protocol, name, float(mask.mean()), hashlib.sha256(mask.tobytes()).hexdigest()])
            del array  # is on the disk with this


def _masks(dataset: str, protocol: str) -> Sequence[Mask]:
    import numpy as np

    known = protocols(dataset)
    if protocol not in known:
        folder = layout.masks_dir(dataset)
        raise UserError(f"{folder}: no masks of protocol {protocol!r}, only of {', '.join(known)}; repeat stage masks")
    return np.load(layout.masks_dir(dataset) / f"{protocol}.npy", mmap_mode="r")  # type: ignore[no-any-return]


def write_outputs(folder: Path, filled: Mapping[str, tuple[Filled, Sources]]) -> None:
    """Saves what a method painted: each picture as a prediction and a composite, each sources as an array.

    The folder appears whole.

    Args:
        folder: the method's own.
        filled: by protocol, the pictures and sources.
    """
    import numpy as np

    from pennet.atomic import replacing_folder
    from pennet.data.picture_files import save_png

    with replacing_folder(folder) as fresh:
        for protocol, (predictions, sources) in filled.items():
            for name, image, mask, prediction in predictions:
                save_png(fresh / protocol / "prediction" / f"{name}.png", prediction)
                painted = fresh / protocol / "composite" / f"{name}.png"
                save_png(painted, np.where(mask[..., None] > 0, prediction, image))
            for name, places in sources:
                path = fresh / protocol / layout.SOURCES / f"{name}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)  # names may hold folders
                np.save(path, places.astype(np.int16))
