import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import dag, flows
from tests.pipelines.test_process import is_alive
from tests.pipelines.test_temporary_server import processes_of
from tests.pipelines.toy import make_toy, write_dag
from tests.project import ROOT, change_params, environment, run


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"))


def test_stages_to_run_are_the_changed_ones_and_all_that_follow(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy)
    everything = ["download@toy", "train@toy-net", "compare@toy"]
    assert flows.stages_to_run() == everything
    assert run(toy, "dvc", "repro").returncode == 0
    assert flows.stages_to_run() == []
    write_dag(toy, train="cat data.txt > weights.txt")
    assert flows.stages_to_run() == everything[1:]


def test_dvc_errors_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"dvc: .*not inside of a DVC repository"):
        dag.stage_graph()


def test_the_graph_is_the_one_that_dvc_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the project itself: as its command line draws it, for people."""
    monkeypatch.chdir(ROOT)
    drawn = run(ROOT, "python", "-m", "dvc", "dag", "--dot").stdout
    edges = set(re.findall(r'^"(.+)" -> "(.+)";$', drawn, re.MULTILINE))
    graph = dag.stage_graph()
    assert edges == {(needed, stage) for stage, needs in graph.items() for needed in needs}
    assert "train@terrain-pennet-2019" in graph


def test_a_dvc_command_that_holds_the_lock_is_one_message(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(toy)
    with Repo().lock, pytest.raises(ValueError, match="dvc: Unable to acquire lock"):
        flows.stages_to_run()


@pytest.mark.slow
def test_flow_names_the_stage_that_fails(toy: Path, prefect_api: str) -> None:
    write_dag(toy, train="sh -c 'echo no such texture; exit 3'")
    result = run(toy, "python", "-m", "pipelines.flows", PREFECT_API_URL=prefect_api)
    assert result.returncode != 0
    log = result.stdout + result.stderr
    assert "train@toy-net failed with exit status" in log
    assert "no such texture" in log
    assert "Running stage 'compare@toy'" not in log


def test_flow_lists_the_problems_of_the_parameters_before_it_starts_anything(toy: Path) -> None:
    before = (toy / "params.yaml").read_text()
    try:
        (toy / "params.yaml").write_text(before.replace("  steps: ", "  stepz: "))
        result = run(toy, "python", "-m", "pipelines.flows")
    finally:
        (toy / "params.yaml").write_text(before)
    assert result.returncode == 1
    assert "train.stepz: unknown key" in result.stderr
    assert "train.steps: missing" in result.stderr
    assert "Traceback" not in result.stderr
    assert "flow run" not in result.stdout + result.stderr


@pytest.mark.slow
def test_a_wrong_checksum_is_one_message_and_not_tried_again(toy: Path, prefect_api: str) -> None:
    write_dag(toy)
    before = (toy / "dvc.yaml").read_text(), (toy / "params.yaml").read_text()
    try:
        (toy / "dvc.yaml").write_text(before[0].replace("echo data > data.txt", "python -m pipelines.download terrain"))
        source = {"archives": ["data/embedded/terrain-256.zip"], "sha256": ["0" * 64]}
        change_params(toy, {"sources": {"terrain": source}})
        result = run(toy, "python", "-m", "pipelines.flows", PREFECT_API_URL=prefect_api)
    finally:
        for name, text in zip(("dvc.yaml", "params.yaml"), before, strict=True):
            (toy / name).write_text(text)
    assert result.returncode == 1
    log = result.stdout + result.stderr
    assert log.count("Running stage") == 1
    assert "Retry" not in log
    assert "Traceback" not in log
    (last,) = [line for line in result.stderr.splitlines() if line.startswith("benchmark: ")]
    assert last.startswith("benchmark: download@toy failed with exit status")
    assert "download terrain: data/embedded/terrain-256.zip: sha256 is" in last
    assert "it is truncated or another version" in last
    assert log.count("it is truncated or another version") <= 5  # the stage's line, Prefect's states, the last word


@pytest.mark.slow
def test_a_data_stage_that_fails_for_no_known_reason_is_tried_again(toy: Path, prefect_api: str) -> None:
    write_dag(toy)
    text = (toy / "dvc.yaml").read_text()
    (toy / "attempts").unlink(missing_ok=True)
    (toy / "dvc.yaml").write_text(
        text.replace(
            "echo data > data.txt", "sh -c 'echo x >> attempts; test $(wc -l < attempts) = 2 && echo data > data.txt'"
        )
    )
    try:
        result = run(toy, "python", "-m", "pipelines.flows", PREFECT_API_URL=prefect_api)
    finally:
        (toy / "dvc.yaml").write_text(text)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (toy / "attempts").read_text() == "x\nx\n"


@pytest.mark.slow
def test_a_bug_in_a_stage_has_its_traceback_in_the_log_once_and_no_second_try(toy: Path, prefect_api: str) -> None:
    """In a data stage: one that failed for a reason of its own would be tried three times."""
    write_dag(toy)
    before = (toy / "dvc.yaml").read_text()
    (toy / "bug.py").write_text(BUG)
    (toy / "dvc.yaml").write_text(before.replace("echo data > data.txt", "python -m bug toy"))
    try:
        result = run(toy, "python", "-m", "pipelines.flows", PREFECT_API_URL=prefect_api)
    finally:
        (toy / "dvc.yaml").write_text(before)
    log = result.stdout + result.stderr
    assert result.returncode == 1
    assert log.count("Traceback (most recent call last)") == 1, log
    assert log.count("{}['no such key']") == 1
    assert log.count("Running stage") == 1
    assert "\nbenchmark: download@toy failed with exit status" in log
    assert "bug toy: KeyError('no such key'), which nobody foresaw; its traceback is in the log above" in log


@pytest.mark.slow
def test_flow_runs_in_a_path_with_a_space_behind_a_dead_proxy_without_a_home_and_gives_its_training_a_gpu(
    tmp_path: Path,
) -> None:
    folder = make_toy(tmp_path / "my project", train="sh -c 'echo $CUDA_VISIBLE_DEVICES > weights.txt'")
    proxy = "http://127.0.0.1:9"
    result = run(
        folder,
        "python",
        "-m",
        "pipelines.flows",
        http_proxy=proxy,
        https_proxy=proxy,
        ALL_PROXY=proxy,
        NO_PROXY="",
        HOME="/proc/home",
        XDG_CONFIG_HOME="/proc/config",
        PREFECT_HOME=str(folder / ".prefect"),
        CUDA_VISIBLE_DEVICES="GPU-aa,GPU-bb",
        TMPDIR=str(tmp_path),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (folder / "weights.txt").read_text() == "GPU-aa\n"
    assert (folder / "table.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_flow_that_is_ended_takes_its_stage_and_its_server_with_it(toy: Path, end: signal.Signals) -> None:
    write_dag(toy, train="sh -c 'echo $$ > pid; exec sleep 600'")
    (toy / "pid").unlink(missing_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines.flows"],
        cwd=toy,
        env=environment(toy),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        pid = wait_for_pid(toy / "pid", process)
        process.send_signal(end)
        process.wait(120)
    wait_for(lambda: not is_alive(pid) and not processes_of(toy))
    alive = is_alive(pid)
    if alive:
        os.kill(pid, signal.SIGKILL)
    assert not alive
    assert processes_of(toy) == []


# --- deployments, several runs, what they leave in Prefect -------------------------------------------------------------


BUG = """
from pipelines.params import stage_main

def run(dataset: str) -> None:
    {}['no such key']

stage_main(run)
"""


def wait_for_pid(file: Path, process: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        assert process.poll() is None, "the flow ended before its stage began"
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        time.sleep(0.2)
    raise AssertionError("the stage did not begin in time")


def wait_for(ready: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.1)
