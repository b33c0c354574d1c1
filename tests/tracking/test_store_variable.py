"""`MLFLOW_TRACKING_URI` in the environment: one store for everything, whatever `params.yaml` says."""

from pathlib import Path

from pipelines.params import STORE_VARIABLE
from tests.pipelines.toy import make_toy
from tests.project import run

PRINT = "from pipelines.params import load_params; print(load_params().of('terrain').tracking.uri)"


def test_the_environment_names_the_store_of_every_command(tmp_path: Path) -> None:
    project, server = make_toy(tmp_path / "project"), "http://127.0.0.1:9"
    assert run(project, "python", "-c", PRINT).stdout == "sqlite:///mlflow.db\n"
    assert run(project, "python", "-c", PRINT, **{STORE_VARIABLE: f" {server}"}).stdout == f"{server}\n"
    assert run(project, "python", "-c", PRINT, **{STORE_VARIABLE: ""}).stdout == "sqlite:///mlflow.db\n"
    pages = run(project, "python", "-m", "pipelines.ui", **{STORE_VARIABLE: server})
    assert pages.stderr == f"ui: the runs are on a server that has its own pages: {server}\n"

    recorded = run(project, "python", "-m", "pipelines.record", **{STORE_VARIABLE: "sqlite:///other.db"})
    assert recorded.returncode == 0, recorded.stderr
    assert (project / "other.db").exists()
    assert not (project / "mlflow.db").exists()
