import base64
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines import dag, flows
from pipelines.params import load_params, read_yaml
from pipelines.running import slots
from tests.pipelines.test_process import is_alive
from tests.pipelines.test_temporary_server import processes_of
from tests.pipelines.toy import MEETING, TRAIN, make_methods_toy, make_toy, write_dag
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
        process.wait(60)
    wait_for(lambda: not is_alive(pid) and not processes_of(toy))
    alive = is_alive(pid)
    if alive:
        os.kill(pid, signal.SIGKILL)
    assert not alive
    assert processes_of(toy) == []


# --- deployments, several runs, what they leave in Prefect -------------------------------------------------------------


@pytest.fixture
def studio(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    prefect_api: str,
    request: pytest.FixtureRequest,
) -> Path:
    """A project with stages of the real names; flows of this process run in it."""
    folder = make_methods_toy(tmp_path_factory.mktemp("studio"), getattr(request, "param", TRAIN))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PREFECT_HOME", str(folder / ".prefect"))
    return folder


def artifacts() -> dict[str, Any]:
    """The newest of each key."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return {found.key: found.data for found in sorted(client.read_artifacts(), key=lambda one: one.created)}


def locked_stages(folder: Path) -> set[str]:
    return set(read_yaml(folder / "dvc.lock")["stages"])


def child_flow(folder: Path, call: str, api: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"from pipelines import flows; flows.{call}"],
        cwd=folder,
        env=environment(folder, PREFECT_API_URL=api),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("studio", [MEETING], indirect=True)
def test_two_jobs_train_at_once_and_both_are_in_the_lock_file(studio: Path, flow_log: list[str]) -> None:
    flows.benchmark(jobs=2)
    assert {"train@terrain-pennet-2019", "train@terrain-ca-2019", "compare@terrain"} <= locked_stages(studio)
    assert run(studio, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    log = "\n".join(flow_log)
    assert "is busy" not in log
    assert "recorded" in log
    assert "terrain: the champion stays" in log

    left = artifacts()
    assert left["comparison-terrain"] == "weights of ca\nweights of pennet\n"
    assert left["promotion-terrain"] == "# terrain: the champion stays"
    assert "run `make ui`" in left["mlflow-runs"]
    kind, _, content = left["at-a-glance-terrain"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (1200, 16)

    flow_log.clear()
    flows.benchmark()
    assert "all stages are up to date" in flow_log
    assert not any(line.startswith("Running stage") for line in flow_log)


@pytest.mark.slow
@pytest.mark.parametrize("studio", [MEETING], indirect=True)
def test_two_flow_runs_train_different_methods_at_once(studio: Path, prefect_api: str) -> None:
    """Each training waits for the other one's beginning, so both processes have one at the same time."""
    with child_flow(studio, "train('terrain', ['ca'])", prefect_api) as other:
        wait_for(lambda: (studio / "began-ca").exists() or other.poll() is not None)
        flows.train("terrain", ["pennet"])
        output, _ = other.communicate(timeout=200)
    assert other.returncode == 0, output
    expected = {f"{kind}@terrain-{method}-2019" for kind in ("train", "inpaint") for method in ("pennet", "ca")}
    assert locked_stages(studio) == expected | {"download@terrain"}
    assert "manually remove" not in output
    flows.evaluate("terrain")
    assert (studio / "reports/terrain/comparison/comparison.md").exists()


@pytest.mark.slow
def test_evaluate_of_one_method_leaves_out_a_comparison_that_needs_others(studio: Path, flow_log: list[str]) -> None:
    flows.evaluate("terrain", ["ca"])
    assert "evaluate@terrain-ca-2019" in locked_stages(studio)
    assert not (studio / "weights-pennet.txt").exists()
    (left_out,) = [line for line in flow_log if "left out" in line]
    assert left_out.startswith(
        "compare@terrain is left out: what it also needs is not up to date: train@terrain-pennet-2019"
    )


@pytest.mark.slow
def test_overrides_run_in_a_folder_of_their_own_and_leave_the_project_as_it_is(studio: Path, flow_log: list[str]) -> None:
    before = run(studio, "git", "status", "--porcelain").stdout
    flows.train("terrain", ["ca"], [7], {"train.steps": 5})
    (folder,) = [path for path in (studio / ".studies").iterdir() if path.is_dir()]
    assert f"works in {folder}, with parameters of its own" in flow_log
    params = load_params(folder / "params.yaml")
    assert (params.train.steps, params.seeds, params.methods.learned) == (5, [7], ["ca"])
    assert params.tracking.uri == f"sqlite:///{studio}/mlflow.db"
    assert "train@terrain-ca-7" in locked_stages(folder)
    assert run(studio, "git", "status", "--porcelain").stdout == before
    assert not (studio / "dvc.lock").exists()

    flow_log.clear()
    flows.evaluate("terrain", ["ca"], [7], {"train": {"steps": 5}})  # the same parameters: it goes on there
    assert any(line.startswith("to run: evaluate@terrain-ca-7") for line in flow_log)
    assert (folder / "reports/terrain/comparison/comparison.md").exists()
    assert "comparison-terrain" in artifacts()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flows.train("mars"), "dataset: 'mars' is no entry of sources"),
        (lambda: flows.train("terrain", ["mean"]), "methods: 'mean' needs no training; start evaluate with it"),
        (lambda: flows.train("terrain", overrides={"train.stepz": 1}), "train.stepz: unknown key"),
        (lambda: flows.benchmark(jobs=0), "jobs: 0 must be greater than 0"),
        (lambda: flows.promote(["mars"]), r"datasets: 'mars' is none of params.yaml's \(terrain\)"),
    ],
)
@pytest.mark.slow
def test_a_wrong_parameter_ends_the_run_before_anything_starts(
    toy: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str, call: Callable[[], None], message: str
) -> None:
    monkeypatch.chdir(toy)
    with pytest.raises(ValueError, match=message):
        call()
    assert not (toy / ".studies").exists()


def test_every_deployment_is_a_flow_with_a_form() -> None:
    """The form of Prefect's UI comes from the signature, the words beside a field from the docstring."""
    from prefect.utilities.callables import parameter_schema

    deployments = read_yaml(ROOT / "prefect.yaml")["deployments"]
    assert [entry["name"] for entry in deployments] == ["nightly", "train", "evaluate", "promote"]
    for entry in deployments:
        file, _, name = entry["entrypoint"].partition(":")
        assert file == "pipelines/flows.py"
        schema = parameter_schema(getattr(flows, name))
        assert set(entry.get("parameters", {})) <= set(schema.properties)
        assert all(field.get("description") for field in schema.properties.values()), name
    fields = parameter_schema(flows.train).properties
    assert fields["dataset"]["type"] == "string"
    assert fields["seeds"]["items"] == {"type": "integer"}
    assert fields["overrides"]["type"] == "object"
    assert parameter_schema(flows.train).required == ["dataset"]


@pytest.mark.slow
def test_a_training_that_waits_for_a_gpu_slot_says_who_has_it(
    studio: Path, prefect_api: str, flow_log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

    (studio / "train.sh").write_text(
        "touch began-$1; for i in $(seq 2400); do test -e go && break; sleep 0.1; done; test -e go && touch weights-$1.txt"
    )
    monkeypatch.setattr(slots, "_LOOK_SECONDS", 1.0)
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="gpu", limit=1))
        with child_flow(studio, "train.with_options(flow_run_name='the-first')('terrain', ['ca'])", prefect_api) as other:
            wait_for(lambda: (studio / "began-ca").exists() or other.poll() is not None)
            threading.Thread(target=release, args=[studio, flow_log], daemon=True).start()
            flows.train("terrain", ["pennet"])
            output, _ = other.communicate(timeout=100)
        client.delete_global_concurrency_limit_by_name("gpu")
    assert other.returncode == 0, output
    expected = "waiting for a gpu slot, 1 of 1 in use by the-first (train@terrain-ca-2019)"
    assert expected in flow_log, "\n".join(flow_log)
    assert "got a gpu slot" in flow_log


def release(studio: Path, flow_log: list[str]) -> None:
    wait_for(lambda: any(line.startswith("waiting for a gpu slot") for line in flow_log))
    (studio / "go").touch()


def wait_for(ready: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.mark.slow
def test_the_progress_bar_of_a_training_is_prefects_too(studio: Path) -> None:
    bar = "from tqdm import tqdm; [None for _ in tqdm(range(540), unit='step', desc='train')]"
    (studio / "train.sh").write_text(f'python -c "{bar}"; touch weights-$1.txt')
    flows.train("terrain", ["ca"])
    assert artifacts()["progress-train-terrain-ca-2019"] == 100.0


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_flow_that_is_ended_with_two_jobs_leaves_no_process_and_a_folder_that_works(
    studio: Path, prefect_api: str, end: signal.Signals
) -> None:
    """SIGTERM is how Prefect's worker cancels a run; it comes while the flow's own thread only waits for its two jobs."""
    (studio / "train.sh").write_text("test -e go || { echo $$ > pid-$1; exec sleep 600; }; touch weights-$1.txt")
    with child_flow(studio, "train('terrain', jobs=2)", prefect_api) as process:
        files = [studio / f"pid-{method}" for method in ("pennet", "ca")]
        wait_for(lambda: process.poll() is not None or all(file.exists() and file.read_text().strip() for file in files))
        pids = [int(file.read_text()) for file in files]
        process.send_signal(end)
        process.wait(60)
    wait_for(lambda: not processes_of(studio))  # DVC's too, which hold its locks to their end
    assert processes_of(studio) == []
    assert not any(is_alive(pid) for pid in pids)
    (studio / "go").touch()
    again = run(studio, "dvc", "repro")
    assert again.returncode == 0, again.stdout + again.stderr


BUG = """
from pipelines.params import stage_main

def run(dataset: str) -> None:
    {}['no such key']

stage_main(run)
"""


def wait_for_pid(file: Path, process: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, "the flow ended before its stage began"
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        time.sleep(0.2)
    raise AssertionError("the stage did not begin in time")
