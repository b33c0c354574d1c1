"""Both servers on a real PostgreSQL: many writers at once, and what they wrote after a restart."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pennet.errors import UserError
from pipelines.stack.database import mlflow_variables, prefect_variables, prepare_database
from pipelines.stack.prefect_api import PrefectApi
from tests.pipelines.toy import make_toy
from tests.project import environment, run
from tests.stack.postgres import PASSWORD, postgres
from tests.stack.stack import Stack, free_port

WRITERS, METRICS, CHUNK = 8, 1_000, 100
FLOWS, TASKS = 4, 10
WRITE = f"""
from concurrent.futures import ThreadPoolExecutor
from mlflow import MlflowClient
from mlflow.entities import Metric

client = MlflowClient({{uri!r}})
experiment = client.create_experiment("writers")

def write(writer):
    run = client.create_run(experiment).info.run_id
    for first in range(0, {METRICS}, {CHUNK}):
        steps = range(first, first + {CHUNK})
        client.log_batch(run, metrics=[Metric("loss", writer + step / {METRICS}, step, step) for step in steps])
    client.log_text(run, str(writer), "writer.txt")
    client.set_terminated(run)
    return run

with ThreadPoolExecutor({WRITERS}) as pool:
    print(*pool.map(write, range({WRITERS})))
"""
READ = f"""
import sys
from mlflow import MlflowClient

client = MlflowClient({{uri!r}})
for writer, run in enumerate(sys.argv[1:]):
    history = client.get_metric_history(run, "loss")
    found = {{{{metric.step: metric.value for metric in history}}}}
    assert found == {{{{step: writer + step / {METRICS} for step in range({METRICS})}}}}, (writer, len(found))
    assert len(history) == {METRICS}
    uri = client.get_run(run).info.artifact_uri
    assert uri.startswith("mlflow-artifacts:/"), uri
    assert open(client.download_artifacts(run, "writer.txt")).read() == str(writer)
print("all there")
"""
FLOW = f"""
from prefect import flow, task

@task
def work(i): return i

@flow
def burst():
    return sum(future.result() for future in [work.submit(i) for i in range({TASKS})])

if __name__ == "__main__":
    assert burst() == {sum(range(TASKS))}
"""


def test_an_address_that_is_none_is_one_message_without_the_password() -> None:
    for wrong in ("nothing", "mysql://u:secret@h/d", "postgresql://u:secret@h"):
        with pytest.raises(UserError, match="postgresql://USER:PASSWORD@HOST:PORT/NAME") as error:
            mlflow_variables(wrong)
        assert "secret" not in str(error.value)
    with pytest.raises(UserError, match=r"DATABASE_URL postgresql://u:\*\*\*@127.0.0.1:\d+/d cannot be used: ") as error:
        prepare_database(f"postgresql://u:secret@127.0.0.1:{free_port()}/d")
    assert "secret" not in str(error.value)


def test_each_server_gets_its_driver_and_its_schema() -> None:
    url = "postgres://u:p%40@h:1/d?sslmode=require"
    assert mlflow_variables(url) == {
        "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg2://u:p%40@h:1/d?options=-csearch_path%3Dmlflow&sslmode=require"
    }
    assert prefect_variables(url) == {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:p%40@h:1/d?ssl=require",
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_SEARCH_PATH": "prefect,public",
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with postgres() as url:
        stack = Stack(make_toy(tmp_path_factory.mktemp("database")), DATABASE_URL=url)
        try:
            stack.start()
            yield stack
        finally:
            if stack.is_up:
                stack.end()


@pytest.mark.slow
@pytest.mark.server
def test_nothing_is_lost_with_many_writers_and_after_a_restart(stack: Stack) -> None:
    uri = f"http://127.0.0.1:{stack.ports['MLFLOW_PORT']}"
    (stack.folder / "burst.py").write_text(FLOW)
    flows = [
        subprocess.Popen(
            [sys.executable, "burst.py"],
            cwd=stack.folder,
            env=environment(stack.folder, PREFECT_API_URL=stack.api.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(FLOWS)
    ]
    written = run(stack.folder, "python", "-c", WRITE.format(uri=uri), timeout=240)
    assert written.returncode == 0, written.stderr + stack.log()
    for process in flows:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
    stack.end()
    assert stored_in_postgres_alone(stack.folder)
    assert PASSWORD not in stack.log()
    stack.start()
    runs = written.stdout.splitlines()[-1].split()  # before it MLflow prints addresses
    assert len(runs) == WRITERS
    read = run(stack.folder, "python", "-c", READ.format(uri=uri), *runs, timeout=240)
    assert read.stdout == "all there\n", read.stderr
    assert flow_states(stack.api) == ["COMPLETED"] * FLOWS
    assert task_states(stack.api) == ["COMPLETED"] * FLOWS * TASKS


def stored_in_postgres_alone(folder: Path) -> bool:
    return not [*folder.rglob("mlflow.db*"), *folder.rglob("prefect.db*")]


def flow_states(api: PrefectApi) -> list[str]:
    (flow,) = api.post("flows/filter", {"flows": {"name": {"any_": ["burst"]}}})
    return [found["state_type"] for found in api.post("flow_runs/filter", {"flows": {"id": {"any_": [flow["id"]]}}})]


def task_states(api: PrefectApi) -> list[str]:
    return [found["state_type"] for found in api.post("task_runs/filter", {"task_runs": {"name": {"like_": "work"}}})]
