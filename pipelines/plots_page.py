"""One page with the curves and the metrics of every data set, which needs no network: `make plots`.

The page of `dvc plots show` draws them anew, with a library that it loads from the internet.
"""

from __future__ import annotations

import base64
import html
import sys
from pathlib import Path

from pennet.atomic import write_text
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import load_params

PAGE = Path("dvc_plots/offline.html")
"""Beside the page of `dvc plots show`: known to neither git nor DVC."""


def page(datasets: list[str]) -> str:
    """HTML that holds the pictures themselves.

    Raises:
        UserError: a data set has no plots yet.
    """
    parts = []
    for dataset in datasets:
        pictures = sorted(layout.plots_dir(dataset).glob("*.png"))
        if not pictures:
            raise UserError(f"{layout.plots_dir(dataset)} holds no plots; run `dvc repro` first")
        parts.append(f"<h1>{html.escape(dataset)}</h1>")
        for path in pictures:
            content = base64.b64encode(path.read_bytes()).decode()
            parts.append(f'<h2>{path.stem}</h2>\n<img alt="{path.stem}" src="data:image/png;base64,{content}">')
    body = "\n".join(parts)
    head = '<head><meta charset="utf-8"><title>Plots</title></head>'
    return f"<!DOCTYPE html>\n<html>\n{head}\n<body>\n{body}\n</body>\n</html>\n"


def main() -> None:
    try:
        write_text(PAGE, page(load_params().datasets))
    except (UserError, OSError) as error:
        sys.exit(f"plots: {error}")
    print(PAGE.absolute().as_uri())


if __name__ == "__main__":
    main()
