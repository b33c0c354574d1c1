"""One training, one process: the second one is told of the first, whose `dvc` may be gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.identity import digest
from pipelines.tracking.live import live_run

IDENTITY = {"dataset": "toy", "method": "net", "seed": "1"}
HOLDER = """
import sys
from pathlib import Path
from pennet.alone import alone
with alone(Path(sys.argv[1]) / "lock", lambda holder: RuntimeError(holder)):
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_of_a_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = layout.checkpoints_dir(digest(IDENTITY))
    folder.mkdir(parents=True)
    store = TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="x", registered_model="x")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", HOLDER, str(folder.absolute())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        with pytest.raises(UserError) as refused, live_run("toy", "net", 1, IDENTITY, store):
            raise AssertionError("both train")
        assert str(refused.value).startswith(f"{folder}: process {holder.pid} is at this training; ")
        assert not Path("mlflow.db").exists()
        holder.kill()
        holder.wait(30)
    assert holder.pid != os.getpid()
