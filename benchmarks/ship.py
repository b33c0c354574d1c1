"""Puts a trained generator into the package as its default, with a card and the list of the photos that it learned from.

make study PROFILE=shipped
python -m benchmarks.ship .studies/shipped
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

from safetensors.numpy import load_file

from pennet.atomic import replacing_folder, write_json
from pennet.data.sources.manifest import open_archive, read_member
from pennet.errors import UserError
from pennet.generator_files import CONFIG_FILE, WEIGHTS_FILE
from pipelines.identity import read_identity
from pipelines.layout import IDENTITY_FILE, model_dir, report_dir

PROFILE, DATASET, METHOD, SEED = "shipped", "photos", "pennet", 2019
ARCHIVE = Path("data/embedded/photos-256.zip")
WEIGHTS = Path(__file__).parents[1] / "pennet/weights/default"
LARGEST_BYTES = 5_000_000


def ship(study: Path, target: Path = WEIGHTS) -> dict[str, object]:
    """Copies weights and configuration, writes card and attribution beside them; returns the card.

    Args:
        study: folder of the study of profile `shipped`.
        target: where the package keeps its default.

    Raises:
        UserError: no such training, or weights that are too large to ship.
    """
    trained = study / model_dir(DATASET, METHOD, SEED)
    identity = read_identity(trained / IDENTITY_FILE)
    if identity is None or not (trained / WEIGHTS_FILE).is_file():
        raise UserError(f"{trained}: holds no finished training; run make study PROFILE={PROFILE} first")
    content = (trained / WEIGHTS_FILE).read_bytes()
    if len(content) > LARGEST_BYTES:
        size = f"{len(content):,} bytes, at most {LARGEST_BYTES:,} are shipped"
        raise UserError(f"{trained / WEIGHTS_FILE}: {size}; choose fewer channels")
    with open_archive(ARCHIVE) as archive:
        attribution = read_member(archive, "LICENSE.txt").decode()
    card = {
        "name": "default",
        "method": METHOD,
        "size_px": int(str(identity["prepare.image_size_px"])),
        "licence": "CC BY-SA 4.0",
        "attribution": "ATTRIBUTION.txt",
        "trained_on": ARCHIVE.name,
        "trained_by": f"make study PROFILE={PROFILE}",
        "steps": json.loads((study / report_dir(DATASET, METHOD, SEED) / "cost.json").read_text())["steps"],
        "seed": SEED,
        "parameters": sum(int(values.size) for values in load_file(trained / WEIGHTS_FILE).values()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    with replacing_folder(target) as fresh:
        for file in (WEIGHTS_FILE, CONFIG_FILE):
            shutil.copyfile(trained / file, fresh / file)
        (fresh / "ATTRIBUTION.txt").write_text(f"What the weights beside this file were learned from.\n\n{attribution}")
        write_json(fresh / "card.json", card)
    return card


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of the study, .studies/shipped")
    try:
        print(json.dumps(ship(parser.parse_args().study), indent=2))
    except (UserError, OSError) as error:
        sys.exit(f"ship: {error}")


if __name__ == "__main__":
    main()
