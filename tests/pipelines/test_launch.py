"""The train stage with two processes: real ones, of which one is killed; and what the next run makes of what it left."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.pipelines.test_process import still_alive
from tests.prepared import write_prepared
from tests.project import change_params, environment, make_project, run

STAGE = ("-m", "pipelines.train", "terrain", "gntipt", "2019")
SIDE_PX, STEPS = 32, 60
pytestmark = pytest.mark.slow


def make_small(folder: Path) -> Path:
    """A project with prepared pictures and one tiny method, which two processes train."""
    recipe = {"base_width": 8, "discriminator_width": 4}
    changes = {
        "methods": {"learned": ["gntipt"], "classical": []},
        "prepare": {"image_size_px": SIDE_PX},
        "train": {"steps": STEPS, "batch_size": 4, "sample_every_steps": 0, "checkpoint_every_steps": 2},
        "recipes": {"gntipt": recipe},
        "runtime": {"device": "cpu", "num_threads": 1, "num_processes": 2},
    }
    make_project(folder, changes)
    pictures = np.random.default_rng(0).integers(0, 256, (9, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    splits = {"train": pictures[:7], "val": pictures[7:8], "test": pictures[8:]}
    named = {split: {f"{split}{i}": picture for i, picture in enumerate(of)} for split, of in splits.items()}
    write_prepared(folder / "data/prepared/terrain", **named)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose training lost its second process to SIGKILL: its output, seconds and status in `killed.json`."""
    folder = make_small(tmp_path_factory.mktemp("launch") / "project")
    with subprocess.Popen(
        [sys.executable, *STAGE],
        cwd=folder,
        env=environment(folder),
        stdout=(folder / "output").open("w"),
        stderr=subprocess.STDOUT,
    ) as stage:
        try:
            deadline = time.monotonic() + 240
            while not list(folder.glob("checkpoints/*/step-00000004.pt")):
                assert stage.poll() is None and time.monotonic() < deadline, (folder / "output").read_text()
                time.sleep(0.02)
            members = {child.environ().get("RANK", ""): child for child in psutil.Process(stage.pid).children()}
            killed_at = time.monotonic()
            members["1"].kill()
            status = stage.wait(timeout=240)
            seconds = time.monotonic() - killed_at
            left = still_alive(child.pid for child in members.values())
        finally:
            stage.kill()
    output = (folder / "output").read_text()
    (folder / "killed.json").write_text(
        json.dumps({"output": output, "seconds": seconds, "status": status, "left": left, "number": len(members)})
    )
    return folder


def messages(output: str) -> list[str]:
    """What the stage says of its failure; a progress bar that stood in the line before it is taken off."""
    return re.findall(r"train terrain gntipt 2019: .*", output)


def test_a_killed_process_ends_the_training_in_one_message(project: Path) -> None:
    killed = json.loads((project / "killed.json").read_text())
    assert (killed["status"], killed["number"], killed["left"]) == (1, 2, [])
    assert killed["seconds"] < 120  # the other process would wait for half an hour
    (message,) = messages(killed["output"])
    assert killed["output"].rstrip().endswith(message)
    assert re.search(
        r": process 1 \(of 2, counted from 0\) was ended by SIGKILL, as the system does when memory runs out; its output is"
        r" in checkpoints/.*/1/stderr\.log; a new run goes on from checkpoints/\w+/step-\d+\.pt$",
        message,
    )
    assert "Traceback" not in killed["output"]


def test_what_a_user_can_mend_is_said_once_and_one_process_goes_on(project: Path) -> None:
    """Both processes meet the damaged checkpoint; without it one process alone goes on from the older one."""
    (older, newest) = sorted(project.glob("checkpoints/*/step-*.pt"))
    newest.write_bytes(b"")
    failed = run(project, "python", *STAGE)
    assert failed.returncode == 1
    (message,) = messages(failed.stderr)
    assert f"{newest.name} is empty; remove it to go on from the older" in message
    assert "Traceback" not in failed.stderr

    newest.unlink()
    change_params(project, {"runtime": {"num_processes": 1}})
    finished = run(project, "python", *STAGE)
    assert finished.returncode == 0, finished.stderr
    assert f"{int(older.stem.partition('-')[2])}/{STEPS} [" in finished.stderr  # where the progress bar begins
    (timing,) = project.glob("checkpoints/*/timing.json")
    assert json.loads(timing.read_text())["processes"] == [2, 1]
