"""Flow runs of a project with several methods: at once, of one method, with overrides, waiting for a GPU, ended."""

import base64
import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines import flows
from pipelines.params import load_params, read_yaml
from pipelines.running import slots
from tests.pipelines.test_flows import wait_for
from tests.pipelines.test_process import is_alive
from tests.pipelines.test_temporary_server import processes_of
from tests.pipelines.toy import MEETING, TRAIN, make_methods_toy, make_toy
from tests.project import ROOT, environment, run


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"))


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
        output, _ = other.communicate(timeout=240)
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
            output, _ = other.communicate(timeout=240)
        client.delete_global_concurrency_limit_by_name("gpu")
    assert other.returncode == 0, output
    expected = "waiting for a gpu slot, 1 of 1 in use by the-first (train@terrain-ca-2019)"
    assert expected in flow_log, "\n".join(flow_log)
    assert "got a gpu slot" in flow_log


def release(studio: Path, flow_log: list[str]) -> None:
    wait_for(lambda: any(line.startswith("waiting for a gpu slot") for line in flow_log))
    (studio / "go").touch()


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
        process.wait(120)
    wait_for(lambda: not processes_of(studio))  # DVC's too, which hold its locks to their end
    assert processes_of(studio) == []
    assert not any(is_alive(pid) for pid in pids)
    (studio / "go").touch()
    again = run(studio, "dvc", "repro")
    assert again.returncode == 0, again.stdout + again.stderr
