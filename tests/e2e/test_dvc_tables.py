"""What DVC's own commands show of a project in which everything has run."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pennet.metrics.catalogue import find
from tests.project import environment

pytestmark = pytest.mark.slow
TERMINAL_COLUMNS = 160


def show(folder: Path, *arguments: str) -> str:
    """Output of a DVC command as in a terminal of 160 columns."""
    result = subprocess.run(
        ["dvc", *arguments],
        cwd=folder,
        env=environment(folder, COLUMNS=str(TERMINAL_COLUMNS)),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return result.stdout


def test_metrics_show_has_a_row_a_method_and_a_column_a_metric(demo: Path) -> None:
    header, *rows = show(demo, "metrics", "show").splitlines()
    columns = header.split()[1:]
    metrics = [name for name in columns if "." not in name]
    assert 5 <= len(metrics) <= 15
    assert all(find(name) for name in metrics)
    assert {name.split(".")[0] for name in columns if "." in name} == {"pennet", "gntipt"}
    assert len(columns) <= 20
    paths = {row.split()[0] for row in rows}
    methods = ("pennet/seed-2019", "gntipt/seed-2019", "telea", "mean")
    assert paths == {f"reports/terrain/methods/{method}/metrics.json" for method in methods} | {
        "reports/terrain/metrics.json"
    }
    mean = json.loads((demo / "reports/terrain/methods/mean/metrics.json").read_text())
    row = next(row for row in rows if "/mean/" in row).split()
    assert row[1 + columns.index("l1_hole")] == str(mean["l1_hole"])


def test_metrics_hold_nothing_that_changes_from_run_to_run(demo: Path) -> None:
    shown = json.loads(show(demo, "metrics", "show", "--json"))
    text = json.dumps(shown)
    for word in ("seconds", "memory", "device", "threads", "settings", "ci_low"):
        assert word not in text


def test_exp_show_fits_a_terminal_and_shows_both_methods(experiment: Path) -> None:
    options = ["--no-pager", "--only-changed", "--drop", ".*/", "--drop", "evaluate"]  # there is no LPIPS before
    shown = show(experiment, "exp", "show", *options)
    assert max(map(len, shown.splitlines())) <= TERMINAL_COLUMNS, shown
    assert "…" not in shown
    header = set(next(line for line in shown.splitlines() if "Experiment" in line).split())
    metrics = {f"{method}.{name}" for method in ("pennet", "gntipt") for name in ("l1_hole", "lpips", "fid")}
    # PEN-Net copies before its first step: a few more steps may change its FID by less than a report shows.
    assert header | {"pennet.fid"} == {"Experiment", "Created", "train.steps"} | metrics
    values = json.loads((experiment / "reports/terrain/metrics.json").read_text())
    assert str(values["pennet"]["l1_hole"]) in shown


def test_metrics_diff_has_a_line_a_change(experiment: Path) -> None:
    header, *rows = show(experiment, "metrics", "diff").splitlines()
    assert header.split() == ["Path", "Metric", "HEAD", "workspace", "Change"]
    for method in ("pennet", "gntipt"):
        changed = [row.split()[1] for row in rows if row.startswith(f"reports/terrain/methods/{method}/seed-2019/")]
        assert "l1_hole" in changed and all(find(name) for name in changed)
    assert [row.split()[1] for row in rows if "/mean/" in row] == ["lpips_alex"]


def test_plots_show_curves_and_metrics(demo: Path) -> None:
    show(demo, "plots", "show", "--out", "shown")
    page = (demo / "shown/index.html").read_text()
    for plot in ("methods_pennet_seed-2019_history_csv", "terrain_plots_metrics.png", "terrain_metrics_csv"):
        assert plot in page
    for method in ("pennet", "gntipt", "telea", "mean"):
        assert re.search(rf'"method": "{method}"', page)
    assert '"facet"' in page
    shutil.rmtree(demo / "shown")


def test_weights_that_appear_are_evaluated_with(demo: Path) -> None:
    """Presence and content of what is downloaded belong to the stage's dependencies."""
    weights = demo / "data/weights/weights-inception-2015-12-05-6726825d.pth"
    assert "evaluate" not in show(demo, "status")
    try:
        weights.write_bytes(b"a stand-in")
        status = json.loads(show(demo, "status", "--json"))
        changed = {stage for stage in status if "evaluate" in stage}
        assert changed == {
            "evaluate@terrain-pennet-2019",
            "evaluate@terrain-gntipt-2019",
            "evaluate-classical@terrain-telea",
            "evaluate-classical@terrain-mean",
        }
        assert not any(stage.startswith(("train@", "inpaint")) for stage in status)
    finally:
        weights.unlink()


def test_what_the_cache_holds_lies_on_the_disk_once(demo: Path) -> None:
    shards = [path.stat() for path in (demo / "data" / "prepared" / "terrain").glob("shard-*.tar")]
    assert shards
    assert all(shard.st_nlink > 1 for shard in shards)
    assert not any(shard.st_mode & 0o222 for shard in shards)  # what the cache holds is not written into by mistake
