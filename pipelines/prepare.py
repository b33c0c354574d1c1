"""Stage `prepare`: verifies every picture of a data set and writes its splits at one size."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from pennet.config import PrepareConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    import numpy as np

CONTACT_SHEET_COLUMNS = 8


def run(dataset: str, *, prepare: PrepareConfig) -> None:
    """Writes `train.npy`, `test.npy`, `manifest.csv`, `digests.json`, the data's licence and contact sheets."""
    import numpy as np
    import pandas as pd
    from tqdm import tqdm

    from pennet.atomic import replacing_folder, write_json
    from pennet.data.images import resize_square
    from pennet.data.manifest import SPLITS, open_archive, read_manifest, read_member
    from pennet.data.picture_files import read_rgb, save_png
    from pennet.pictures import contact_sheet

    size_px = prepare.image_size_px
    pictures: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    rows, bad = [], []
    with open_archive(layout.raw_archive(dataset)) as archive:
        entries = read_manifest(archive)
        for entry in tqdm(entries, desc=f"prepare {dataset}", unit="image"):
            try:
                content = read_member(archive, entry.file)
                if hashlib.sha256(content).hexdigest() != entry.sha256:
                    raise UserError(f"{entry.file}: its sha256 is not the manifest's")
                picture = read_rgb(io.BytesIO(content), entry.file)
                height_px, width_px = picture.shape[:2]
                if min(height_px, width_px) < size_px:
                    raise UserError(f"{entry.file}: {width_px}x{height_px} px is smaller than {size_px} px")
            except UserError as error:
                bad.append(str(error))
                continue
            rows.append(
                {
                    "name": entry.name,
                    "file": entry.file,
                    "group": entry.group,
                    "split": entry.split,
                    "index": len(pictures[entry.split]),
                    "width_px": width_px,
                    "height_px": height_px,
                    "source": entry.source,
                    "sha256": entry.sha256,
                }
            )
            pictures[entry.split].append(resize_square(picture, size_px))
        licence_names = [name for name in archive.namelist() if name.upper().startswith("LICENSE") and "/" not in name]
        licences = {name: read_member(archive, name) for name in licence_names}
    if bad:
        listed = "".join(f"\n  - {problem}" for problem in bad[:10])
        raise UserError(f"{len(bad)} of {len(entries)} images cannot be used; repair or remove them:{listed}")
    empty = [split for split in SPLITS if not pictures[split]]
    if empty:
        raise UserError(f"the {' and '.join(empty)} split holds no image")

    with replacing_folder(layout.prepared_dir(dataset)) as fresh:
        for split in SPLITS:
            np.save(fresh / f"{split}.npy", np.stack(pictures[split]))
        pd.DataFrame(rows).to_csv(fresh / "manifest.csv", index=False)
        write_json(fresh / "digests.json", {split: _digest(pictures[split]) for split in SPLITS})
        for name, licence in licences.items():
            (fresh / name).write_bytes(licence)
    for split in SPLITS:
        sample = pictures[split][: prepare.contact_sheet_images]
        save_png(layout.contact_sheet_dir(dataset) / f"{split}.png", contact_sheet(sample, CONTACT_SHEET_COLUMNS))
    print(f"{dataset}: " + ", ".join(f"{len(pictures[split])} {split}" for split in SPLITS) + f" images of {size_px} px")


def _digest(pictures: list[np.ndarray]) -> str:
    """Of a split's pixels, in order: equal digests are the same data, wherever they came from."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(repr(picture.shape).encode())
        digest.update(picture.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    stage_main(run)
