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

from tests.pipelines.toy import make_toy
from tests.project import environment


def ended(processes: Callable[[], object], seconds: float = 240) -> bool:
    deadline = time.monotonic() + seconds
    while processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "begun"), [(signal.SIGINT, False), (signal.SIGKILL, False), (signal.SIGINT, True), (signal.SIGTERM, True)]
)
def test_a_flow_whose_group_gets_a_signal_ends_soon_and_leaves_no_process(
    tmp_path: Path, end: signal.Signals, begun: bool
) -> None:
    folder = make_toy(tmp_path)
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "pipelines.flows"],
            cwd=folder,
            env=environment(folder),
            stdout=output,
            stderr=output,
            start_new_session=True,  # the whole group gets it, as from Ctrl-C
        ) as process,
    ):
        assert ended(lambda: not server_of(process.pid))
        if begun:
            assert ended(lambda: "Beginning flow run" not in log.read_text()), log.read_text()
        os.killpg(process.pid, end)
        status = process.wait(60)  # Prefect's own server, ended with the group, kept a flow for minutes
    assert status in (-end, 128 + end), log.read_text()
    assert begun or "Traceback" not in log.read_text(), log.read_text()
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
