"""Stage `download`: brings what a data set is read from and checks every byte; notes what came in `data/raw/DATASET.json`.

The archives lie in `data/archives/`, or where they were: DVC keeps the note, not a second copy of them.
"""

from __future__ import annotations

from pennet.config import SourceConfig
from pipelines import layout
from pipelines.params import stage_main


def run(dataset: str, *, source: SourceConfig) -> None:
    """Brings the archives of `dataset`, and the lists of its split."""
    from dataclasses import asdict

    from pennet.atomic import write_json
    from pennet.data.sets import find
    from pennet.data.sources.obtain import obtain

    obtained = obtain(
        find(source.data_set),
        layout.archives_dir(dataset),
        own=source.archives,
        sha256=source.sha256,
        revision=source.revision,
        accepted=source.accept_licence,
        lists=source.split,
    )
    write_json(layout.receipt_path(dataset), asdict(obtained))


if __name__ == "__main__":
    stage_main(run)
