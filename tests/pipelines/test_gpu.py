"""Which GPU a training gets, with devices that are not there: real processes, real locks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pennet.errors import UserError
from pipelines.gpu import listed_gpus, own_gpu, visible_gpus
from tests.project import ROOT

HOLDER = """
import sys
from pipelines.gpu import own_gpu, visible_gpus
with own_gpu(sys.argv[1], visible_gpus(), int(sys.argv[2])) as variables:
    print("has", variables.get("CUDA_VISIBLE_DEVICES"), flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path, visible: str, device: str = "auto", num_processes: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a GPU, or several, until it is ended; its locks are in `folder`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, device, str(num_processes)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder), "CUDA_VISIBLE_DEVICES": visible},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_trainings_have_a_gpu_each_and_a_third_gets_that_of_one_that_was_killed(tmp_path: Path) -> None:
    visible = "GPU-aa, 3"  # as a user may mix them: a UUID and an index
    with holder(tmp_path, visible) as first, holder(tmp_path, visible) as second:
        assert sorted([next_line(first), next_line(second)]) == ["has 3", "has GPU-aa"]
        with holder(tmp_path, visible) as third:
            assert next_line(third).startswith("waiting for a GPU: GPU-aa, 3 held by other trainings")
            first.send_signal(signal.SIGKILL)
            first.wait(30)
            assert next_line(third) in ("has 3", "has GPU-aa")
            assert second.poll() is None


def test_a_gpu_that_the_parameters_name_is_locked_and_keeps_its_index(tmp_path: Path) -> None:
    with holder(tmp_path, "0,1", device="cuda:1") as named, holder(tmp_path, "0,1") as any_one:
        assert next_line(named) == "has 0,1"  # cuda:1 counts in this list
        assert next_line(any_one) == "has 0"
        with holder(tmp_path, "0,1", device="cuda:1") as waiting:
            assert next_line(waiting).startswith("waiting for a GPU: 1 held")


def test_a_training_of_two_processes_has_two_gpus_or_waits_with_none(tmp_path: Path) -> None:
    visible = "0,1,2"
    with holder(tmp_path, visible, num_processes=2) as pair:
        assert next_line(pair) == "has 0,1"
        with holder(tmp_path, visible, num_processes=2) as other_pair:
            assert next_line(other_pair) == "waiting for 2 GPUs: 0, 1, 2 held by other trainings of this machine"
            with holder(tmp_path, visible) as single:  # the third is free: those who wait hold nothing
                assert next_line(single) == "has 2"
                pair.send_signal(signal.SIGKILL)
                pair.wait(30)
                assert next_line(other_pair) == "has 0,1"


def test_two_trainings_that_each_want_all_gpus_get_them_in_turn(tmp_path: Path) -> None:
    with holder(tmp_path, "0,1", num_processes=2) as first, holder(tmp_path, "1,0", num_processes=2) as second:
        lines = {first: next_line(first), second: next_line(second)}
        (has,) = [process for process, line in lines.items() if line.startswith("has")]
        (waits,) = [process for process, line in lines.items() if line.startswith("waiting for 2 GPUs")]
        has.kill()
        assert next_line(waits).startswith("has")


def test_more_processes_than_gpus_are_refused() -> None:
    with (
        pytest.raises(UserError, match=r"runtime\.num_processes: 3 need a GPU each, and there are 2 \(0, 1\); set it to 2"),
        own_gpu("auto", ["0", "1"], 3),
    ):
        pytest.fail("got them")


@pytest.mark.parametrize(("device", "devices"), [("cpu", ["0"]), ("auto", []), ("cuda:4", ["0", "1"])])
def test_without_a_gpu_to_give_nothing_is_set(device: str, devices: list[str]) -> None:
    with own_gpu(device, devices) as variables:
        assert variables == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", []), ("-1", []), ("2", ["2"]), ("1,-1,0", ["1"]), ("MIG-7, GPU-5", ["MIG-7", "GPU-5"])],
)
def test_devices_that_the_user_has_set_are_the_ones_there_are(monkeypatch: pytest.MonkeyPatch, value: str, expected) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == expected


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []


def test_gpus_are_listed_by_uuid_and_one_cut_by_mig_by_its_instances(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listing = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-11111111-aaaa)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-22222222-bbbb)
  MIG 3g.20gb     Device  0: (UUID: MIG-33333333-cccc)
  MIG 3g.20gb     Device  1: (UUID: MIG-44444444-dddd)
"""
    expected = ["GPU-11111111-aaaa", "MIG-33333333-cccc", "MIG-44444444-dddd"]
    assert listed_gpus(listing) == expected
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ntest \"$1\" = -L && cat <<'EOF'\n{listing}EOF\n")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert visible_gpus() == expected


def test_locks_go_with_their_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    started = time.monotonic()
    for _ in range(3):
        with own_gpu("auto", ["0"]) as variables:
            assert variables == {"CUDA_VISIBLE_DEVICES": "0"}
    assert time.monotonic() - started < 60
