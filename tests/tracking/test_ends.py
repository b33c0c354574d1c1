"""How a training's run ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.project import environment, run
from tests.tracking.stores import TRIAL, the_run

STAGE = """
import time
from pathlib import Path
from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines.params import stage_main
from pipelines.tracking.live import live_run

def run(dataset: str, method: str, seed: int, *, tracking: TrackingConfig) -> None:
    identity = {"dataset": dataset, "method": method}
    with live_run(dataset, method, seed, identity, TrackingConfig("sqlite:///mlflow.db", "test", "inpainting")):
        Path("ready").write_text("")
        if Path("fail").exists():
            raise UserError("loss is nan")
        time.sleep(300)

stage_main(run)
"""


def test_sigterm_leaves_the_run_killed_and_a_failure_leaves_it_failed(project: Path) -> None:
    (project / "waits.py").write_text(STAGE)
    command = [sys.executable, "waits.py", *map(str, TRIAL)]
    variables = environment(project, PYTHONPATH=str(project))
    with subprocess.Popen(command, cwd=project, env=variables) as process:
        deadline = time.monotonic() + 240
        while not (project / "ready").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(120) == 143
    killed = the_run()
    assert killed.info.status == "KILLED"
    assert killed.data.tags["pennet.error"] == "stopped: SystemExit(143)"

    (project / "fail").write_text("")
    failed = run(project, "python", "waits.py", *map(str, TRIAL), PYTHONPATH=str(project))
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, "waits terrain pennet 2019: loss is nan")
    assert the_run().info.status == "FAILED"
