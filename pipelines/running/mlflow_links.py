"""Where the MLflow runs of a data set are to be seen; asks the server itself, so that MLflow need not be imported."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

from pennet.config import TrackingConfig

_MAX_RUNS = 100
_TIMEOUT_SECONDS = 10.0


def links(tracking: TrackingConfig, datasets: Sequence[str]) -> str:
    """Markdown: a line a run where a server has them, newest first, else how to open the store."""
    pages = [f"# MLflow\n\nStore: `{tracking.uri}`\n"]
    for dataset in datasets:
        name = f"{tracking.experiment}-{dataset}"
        if not tracking.uri.startswith("http"):
            pages.append(f"Experiment `{name}`: run `make ui` in the project's folder, then open http://127.0.0.1:5000\n")
            continue
        try:
            pages.append(_page(tracking.uri.rstrip("/"), name))
        except (OSError, ValueError, KeyError) as error:  # links are no result: a run whose server is down has its results
            pages.append(f"Experiment `{name}`: the server did not list its runs ({error})\n")
    return "\n".join(pages)


def _page(uri: str, name: str) -> str:
    query = urllib.parse.urlencode({"experiment_name": name})
    experiment = _ask(f"{uri}/api/2.0/mlflow/experiments/get-by-name?{query}")["experiment"]["experiment_id"]
    wanted = {"experiment_ids": [experiment], "max_results": _MAX_RUNS, "order_by": ["attributes.start_time DESC"]}
    runs = _ask(f"{uri}/api/2.0/mlflow/runs/search", wanted).get("runs", [])
    lines = [f"## [{name}]({uri}/#/experiments/{experiment})\n"]
    for info in (run["info"] for run in runs):
        page = f"{uri}/#/experiments/{experiment}/runs/{info['run_id']}"
        lines.append(f"- [{info['run_name']}]({page}) {info['status'].lower()}")
    return "\n".join(lines) + "\n"


def _ask(address: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        return json.load(response)
