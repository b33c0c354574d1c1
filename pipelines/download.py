"""Stage `download`: brings a data set's archive here and checks every byte."""

from __future__ import annotations

from pennet.config import SourceConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main


def run(dataset: str, *, sources: dict[str, SourceConfig]) -> None:
    """Writes the archive of `dataset`."""
    from pennet.data.download import fetch

    if dataset not in sources:
        raise UserError(f"no entry in sources; known are {', '.join(sources)}")
    source = sources[dataset]
    fetch(source.archive, layout.raw_archive(dataset), source.sha256, f"correct sources.{dataset} in params.yaml")


if __name__ == "__main__":
    stage_main(run)
