"""`make up` for real, in a folder with a space in its path, behind a proxy that does not answer.

One stack, which the tests treat worse and worse: its schedule fires, a run is cancelled, the worker is killed, the server is
killed, Ctrl-C comes during a run, the power is cut. After each the state is right and the schedule goes on: the next test's
training is a run of the schedule that got the slots which the one before has left.
"""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.stack.dead_runs import WORKER_LABEL, free_gpu_slots, leases_of, recount_slots, runs_of, tidy
from pipelines.stack.deployments import set_gpu_slots
from pipelines.stack.parts import MIN_LIFE_SECONDS, listens
from pipelines.stack.prefect_api import PrefectApi
from pipelines.stack.running import processes_of_run, read_note
from tests.pipelines.test_process import is_alive, still_alive
from tests.pipelines.toy import STUBS, make_toy, write_dag
from tests.project import run
from tests.stack.stack import DEAD_PROXY, Stack, free_port, kill, often

pytestmark = [pytest.mark.slow, pytest.mark.server]
TRAINING = "sh -c 'echo $$ > pid; exec sleep 600'"
OLD_ENOUGH = MIN_LIFE_SECONDS + 2
"""Seconds: a part that ends sooner ends the stack. It takes no wait but where the tests before were left out."""


@pytest.fixture(scope="module")
def one_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = make_toy(tmp_path_factory.mktemp("stack") / "my project")
    often(folder)
    (folder / "pipelines/record.py").write_text(STUBS["record"])  # in every run; tests/e2e/test_readme.py has a real one
    stack = Stack(folder)
    try:
        yield stack
    finally:
        if stack.is_up:
            stack.end()


@pytest.fixture
def stack(one_stack: Stack) -> Stack:
    if not one_stack.is_up:
        one_stack.start()
    return one_stack


class Training:
    """A training that does not end by itself, in a run of the schedule."""

    def __init__(self, stack: Stack):
        self.pid = int(stack.wait_for("the training", lambda: _number(stack.folder / "pid")))
        (self.run,) = stack.runs("RUNNING")
        assert is_alive(self.pid)
        assert stack.gpu_slots() == (1, 1)
        assert stack.deployment_slots() == 1

    def is_gone(self) -> bool:
        return not is_alive(self.pid) and not processes_of_run(self.run["id"])


def _number(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


@pytest.fixture
def training(stack: Stack) -> Iterator[Training]:
    (stack.folder / "pid").unlink(missing_ok=True)
    write_dag(stack.folder, train=TRAINING)
    running = Training(stack)
    write_dag(stack.folder)  # for the runs that follow
    yield running
    kill(running.pid)


def completes_again(stack: Stack) -> None:
    """A run of the schedule that is yet to start completes, and no slot is in use after it."""
    (stack.folder / "table.txt").unlink(missing_ok=True)
    before = {found["id"] for found in stack.runs("COMPLETED")}
    stack.wait_for("the next run", lambda: {found["id"] for found in stack.runs("COMPLETED")} - before)
    assert (stack.folder / "table.txt").read_text() == "data\n"
    stack.wait_for("free slots", lambda: not stack.runs("RUNNING", "PENDING") and stack.gpu_slots() == (0, 1))


def test_the_schedule_fires_and_the_run_completes_with_the_mlflow_server_of_the_stack(stack: Stack) -> None:
    before = len(stack.runs("COMPLETED"))  # the schedule may have been quicker than this test
    write_dag(stack.folder, train="sh -c 'cat data.txt > weights.txt; echo $MLFLOW_TRACKING_URI > uri'")
    uri = stack.wait_for("its training", lambda: _number(stack.folder / "uri"))
    assert uri == f"http://127.0.0.1:{stack.ports['MLFLOW_PORT']}"
    stack.wait_for("a scheduled run", lambda: len(stack.runs("COMPLETED")) > before)
    assert (stack.folder / "table.txt").read_text() == "data\n"


def test_gpu_slots_are_one_at_first_and_change_when_they_are_given(stack: Stack) -> None:
    assert stack.gpu_slots()[1] == 1
    for given, expected in ((2, 2), (None, 2), (1, 1)):
        set_gpu_slots(stack.api, given)
        assert stack.gpu_slots()[1] == expected


def test_status_tells_what_runs(stack: Stack) -> None:
    lines = stack.command("status").stdout.splitlines()
    assert stack.process is not None
    assert lines[0].startswith(f"up: process {stack.process.pid} since ")
    words = {line.split()[0]: line for line in lines}
    assert "healthy" in words["prefect"] and stack.ports["PREFECT_PORT"] in words["prefect"]
    assert "healthy" in words["mlflow"] and stack.ports["MLFLOW_PORT"] in words["mlflow"]
    assert "up, process" in words["worker"]
    assert words["gpu"].endswith("of 1 slots in use")
    assert words["next"].split()[1].startswith("20")


def test_runs_that_were_made_without_the_stack_are_seen(stack: Stack) -> None:
    code = "import mlflow; mlflow.set_tracking_uri('sqlite:///mlflow.db'); mlflow.create_experiment('without', 'elsewhere')"
    result = run(stack.folder, "python", "-c", code)
    assert result.returncode == 0, result.stderr
    server = PrefectApi(f"http://127.0.0.1:{stack.ports['MLFLOW_PORT']}/api/2.0/mlflow")  # any JSON will do
    assert server.get("experiments/get-by-name?experiment_name=without")["experiment"]["name"] == "without"
    made = server.post("experiments/create", {"name": "with"})["experiment_id"]
    assert (
        server.get(f"experiments/get?experiment_id={made}")["experiment"]["artifact_location"] == f"mlflow-artifacts:/{made}"
    )


def test_beside_another_stack_nothing_is_started(stack: Stack) -> None:
    assert stack.process is not None
    result = stack.command("up")
    expected = (
        f"up: a stack is up in .stack (process {stack.process.pid}, http://127.0.0.1:{stack.ports['PREFECT_PORT']}); "
        "make status shows it, make down ends it\n"
    )
    assert (result.returncode, result.stderr) == (1, expected)


def test_a_data_folder_has_one_worker(stack: Stack) -> None:
    result = stack.command("worker", PREFECT_API_URL=stack.api.url)
    expected = "worker: another worker of .stack is up; give this one a data folder of its own: STACK_DIR\n"
    assert (result.returncode, result.stderr) == (1, expected)


def test_slots_of_runs_that_are_over_are_free_and_no_others(stack: Stack) -> None:
    """Each lease names its holder here, as a flow may make it do; the stack itself does the same every ten seconds."""
    home = stack.folder / ".prefect"
    flow = stack.api.post("flows/", {"name": "by-hand"})["id"]
    over, active = (stack.api.post("flow_runs/", {"flow_id": flow})["id"] for _ in range(2))
    stack.api.post("v2/concurrency_limits/", {"name": "by-hand", "limit": 5})
    set_gpu_slots(stack.api, 5)
    try:
        for run_id in (over, active):
            stack.api.set_state("flow_runs", run_id, "RUNNING", "by hand")
            holder = {"type": "flow_run", "id": run_id}
            stack.api.post("v2/concurrency_limits/increment-with-lease", {"slots": 1, "names": ["gpu"], "holder": holder})
        limit = stack.api.get("v2/concurrency_limits/gpu")["id"]

        def holders() -> set[str]:
            free_gpu_slots(stack.api, home)
            return {lease["metadata"]["holder"]["id"] for lease in leases_of(home, limit) if lease["metadata"]["holder"]}

        assert holders() == {over, active}
        stack.api.set_state("flow_runs", over, "COMPLETED", "by hand")
        assert holders() == {active}
        stack.api.patch("v2/concurrency_limits/by-hand", {"active_slots": 3})  # which nobody holds a lease for
        recount_slots(stack.api, home)
        assert stack.api.get("v2/concurrency_limits/by-hand")["active_slots"] == 0
        stack.api.patch(f"flow_runs/{active}/labels", {WORKER_LABEL: "nobody"})
        assert [run["id"] for run in runs_of(stack.api, "nobody")] == [active]
        tidy(stack.api, home, "nobody", "it is dead")
        assert stack.state(active) == "CRASHED"
        assert holders() == set()
    finally:
        set_gpu_slots(stack.api, 1)


@pytest.mark.parametrize("variable", ["PREFECT_PORT", "MLFLOW_PORT"])
def test_where_a_stranger_listens_nothing_is_deployed(stack: Stack, tmp_path: Path, variable: str) -> None:
    """The stranger is a Prefect server, or MLflow's, of another project."""
    pools = stack.api.post("work_pools/filter", {})
    ports = {"PREFECT_PORT": str(free_port()), "MLFLOW_PORT": str(free_port()), variable: stack.ports[variable]}
    folder = make_toy(tmp_path)
    result = run(folder, "python", "-m", "pipelines.stack", "up", timeout=240, **ports)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"up: port {stack.ports[variable]} is taken")
    assert line.endswith(f"choose another: {variable}={int(stack.ports[variable]) + 1}")
    assert stack.api.post("work_pools/filter", {}) == pools
    note = read_note(stack.folder / ".stack")
    assert note is not None
    part = note.parts["prefect" if variable == "PREFECT_PORT" else "mlflow"][0]
    assert listens(part, int(stack.ports[variable]))
    assert not listens(note.parts["worker"][0], int(stack.ports[variable]))


def test_a_run_is_started_on_the_stack_that_is_up(stack: Stack) -> None:
    result = stack.command("run", **DEAD_PROXY)
    assert result.returncode == 0, result.stdout + result.stderr
    name = result.stdout.removeprefix("created flow run ").partition(":")[0]
    found = stack.wait_for(
        "the run", lambda: [r for r in stack.api.flow_runs("COMPLETED", "CANCELLED") if r["name"] == name]
    )
    assert not found[0]["auto_scheduled"]


def test_a_killed_flow_run_is_crashed_and_frees_its_slots(stack: Stack, training: Training) -> None:
    """As the kernel does where memory runs out: the process alone."""
    for process in processes_of_run(training.run["id"]):
        with contextlib.suppress(psutil.Error):
            if "prefect" in " ".join(process.cmdline()):
                process.kill()
    stack.wait_for("the state", lambda: stack.state(training.run["id"]) == "CRASHED")
    stack.wait_for("the training's end", training.is_gone)


def part(stack: Stack, name: str, min_age_seconds: float = 0) -> int:
    note = read_note(stack.folder / ".stack")
    assert note is not None
    pid, since = note.parts[name]
    stack.wait_for(f"the age of {name}", lambda: time.time() - since > min_age_seconds)
    return pid


def test_a_killed_worker_is_started_again_and_its_run_is_crashed(stack: Stack, training: Training) -> None:
    old = part(stack, "worker", OLD_ENOUGH)
    kill(old)
    stack.wait_for("the state", lambda: stack.state(training.run["id"]) == "CRASHED")
    stack.wait_for("the training's end", training.is_gone)
    assert part(stack, "worker") != old
    assert "worker ended with status -9; starting it again\n" in stack.lines
    stack.wait_for("free slots", lambda: (stack.gpu_slots(), stack.deployment_slots()) == ((0, 1), 0))


def test_a_killed_server_is_started_again_and_the_run_goes_on_until_it_is_cancelled(
    stack: Stack, training: Training
) -> None:
    kill(part(stack, "prefect", OLD_ENOUGH))
    stack.wait_for("another server", lambda: "prefect is up again\n" in stack.lines)
    assert stack.state(training.run["id"]) == "RUNNING"
    assert stack.gpu_slots() == (1, 1)
    assert stack.deployment_slots() == 1
    assert is_alive(training.pid)
    stack.api.cancel(training.run["id"], "by a person")  # the worker still knows it
    stack.wait_for("the state", lambda: stack.state(training.run["id"]) == "CANCELLED")
    stack.wait_for("the training's end", training.is_gone)
    stack.wait_for("free slots", lambda: (stack.gpu_slots(), stack.deployment_slots()) == ((0, 1), 0))


def children_of(stack: Stack) -> list[psutil.Process]:
    assert stack.process is not None
    return psutil.Process(stack.process.pid).children(recursive=True)


def check_all_down(stack: Stack, children: list[psutil.Process]) -> None:
    assert not still_alive(child.pid for child in children)
    for port in stack.ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0


def check_dead(stack: Stack, run: dict[str, Any], state: str) -> None:
    assert stack.state(run["id"]) == state
    tasks = stack.api.post("task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert not {task["state_type"] for task in tasks} & {"RUNNING", "PENDING"}


def test_ctrl_c_during_a_run_ends_the_run_first_and_the_schedule_goes_on(stack: Stack, training: Training) -> None:
    children = children_of(stack)
    assert stack.end(signal.SIGINT) == 0
    assert f"cancelling {training.run['name']} (at most" in "".join(stack.lines)
    assert training.is_gone()
    check_all_down(stack, children)
    stack.start()
    assert stack.state(training.run["id"]) == "CANCELLED"


def test_after_a_power_cut_the_dead_run_is_crashed_and_the_schedule_goes_on(stack: Stack, training: Training) -> None:
    stack.cut_power()
    assert training.is_gone()
    stack.start()
    stack.wait_for("the state", lambda: stack.state(training.run["id"]) == "CRASHED")
    check_dead(stack, training.run, "CRASHED")
    assert f"ended what was left of flow runs that nobody ran any longer: {training.run['name']}\n" in stack.lines
    completes_again(stack)


def test_down_returns_when_all_is_down(stack: Stack) -> None:
    children = children_of(stack)
    result = stack.command("down")
    assert (result.returncode, result.stdout) == (0, "down\n"), result.stderr
    check_all_down(stack, children)
    assert stack.process is not None
    assert stack.process.wait(60) == 0
    assert stack.command("down").stdout == "no stack was up\n"
    assert stack.command("status").stdout == "down: no stack is up in .stack\n"
    result = stack.command("run")
    expected = "run: no stack is up in .stack; start one in another terminal: make up\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", expected)
