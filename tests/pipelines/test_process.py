import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipelines.process import child
from tests.project import ROOT, run

FAMILY = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); time.sleep(600)"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between opening the file and reading it
        return False


def still_alive(pids: Iterable[int], seconds: float = 60) -> list[int]:
    """Which of them have not ended within so long: tearing a killed process down takes the system its time."""
    deadline, alive = time.monotonic() + seconds, list(pids)
    while (alive := [pid for pid in alive if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def test_child_is_gone_with_its_children_however_the_block_ends() -> None:
    with pytest.raises(KeyboardInterrupt), child([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        assert is_alive(grandchild)
        raise KeyboardInterrupt
    assert process.returncode is not None
    assert not still_alive([grandchild])


def test_child_is_gone_with_its_children_when_the_parent_is_killed() -> None:
    parent = f"""
from pipelines.process import child
with child([{sys.executable!r}, "-c", {FAMILY!r}]) as process:
    print(process.pid, flush=True)
    process.wait()
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        family = [int(process.stdout.readline()) for _ in range(2)]
        assert all(is_alive(pid) for pid in family)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        alive = still_alive(family)
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
    assert not alive


LAST_WORDS = """
import signal, sys, time
def stop(*_):
    print("x" * 200_000, flush=True)  # more than a pipe holds
    time.sleep(1)
    with open("last-words", "w") as file:
        file.write("stopped")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
open("started", "w").close()
time.sleep(600)
"""


@pytest.mark.parametrize("end", ["interrupt", "kill"])
def test_a_stage_can_say_that_it_was_stopped(tmp_path: Path, end: str) -> None:
    """Through DVC, which ends at once and leaves its stage behind; the second time the guard does it."""
    (tmp_path / "stage.py").write_text(LAST_WORDS)
    (tmp_path / "dvc.yaml").write_text("stages:\n  train:\n    cmd: python stage.py\n")
    for command in (["git", "init", "--quiet"], ["python", "-m", "dvc", "init", "--quiet"]):
        assert run(tmp_path, *command).returncode == 0
    stdout = "PIPE" if end == "interrupt" else "DEVNULL"
    parent = f"""
import subprocess, time
from pathlib import Path
from pipelines.process import child
with child([{sys.executable!r}, "-m", "dvc", "repro"], stdout=subprocess.{stdout}, cwd=Path({str(tmp_path)!r})):
    while not Path({str(tmp_path / "started")!r}).exists():
        time.sleep(0.05)
    print("started", flush=True)
    if {end == "kill"}:
        time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        if end == "kill":
            process.send_signal(signal.SIGKILL)
        process.wait(60)
    last_words, deadline = tmp_path / "last-words", time.monotonic() + 60
    while not (last_words.exists() and last_words.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert last_words.read_text() == "stopped"


def test_child_that_ends_by_itself_keeps_its_status() -> None:
    with child([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait(30)
    assert process.returncode == 3


def test_child_finds_the_tools_of_this_environment() -> None:
    with child(["python", "-c", "import sys; print(sys.prefix)"], stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(timeout=30)
    assert os.path.realpath(out.strip()) == os.path.realpath(sys.prefix)
