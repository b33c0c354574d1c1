"""A flow without a Prefect server of the user's has a temporary one, which nothing that ends the flow leaves behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.pipelines.test_process import is_alive
from tests.pipelines.toy import make_toy
from tests.project import ROOT, environment

STARTED_AND_KILLED = """
import os, signal, subprocess, sys
from pipelines.running.temporary_server import guard_temporary_server

def start(*command):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)

before = start("sleep", "600")
guard_temporary_server()
stage = start("sleep", "600")
server = start(sys.executable, "-c", "import time; time.sleep(600)", "prefect.server.api.server:create_app")
print(before.pid, stage.pid, server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
"""With a server that takes no time to start; the others are not the guard's to end."""


def ended(processes: Callable[[], object], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes()


def test_a_server_that_was_started_just_before_the_kill_is_ended_and_nothing_else() -> None:
    result = subprocess.run(
        [sys.executable, "-c", STARTED_AND_KILLED],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )
    before, stage, server = map(int, result.stdout.split())
    try:
        assert result.returncode == -signal.SIGKILL
        assert ended(lambda: is_alive(server))
        assert is_alive(before)
        assert is_alive(stage)
    finally:
        for pid in (before, stage):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_flow_that_is_ended_while_its_server_starts_leaves_no_process(tmp_path: Path, end: signal.Signals) -> None:
    folder = make_toy(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines.flows"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 120
        while not (server := server_of(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(end)
        process.wait(60)
    assert server
    assert ended(lambda: processes_of(folder)), processes_of(folder)


def server_of(pid: int) -> list[psutil.Process]:
    try:
        return [child for child in psutil.Process(pid).children() if "uvicorn" in child.cmdline()]
    except psutil.Error:  # the child is just being born
        return []


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that were started with this folder's Prefect state, Prefect's server among them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"PREFECT_HOME={folder}/" in (process / "environ").read_text(errors="replace"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return [line for line in found if line]
