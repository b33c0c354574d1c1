import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pennet.atomic import replacing, replacing_folder, write_text

SAVE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from pennet.atomic import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_next_process_removes_what_a_killed_save_left(tmp_path: Path) -> None:
    path = tmp_path / "step-00000004.pt"
    killed = subprocess.run([sys.executable, "-c", SAVE_AND_DIE, str(path)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    write_text(path, "whole")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_temporaries_of_running_processes_and_other_machines_stay(tmp_path: Path) -> None:
    others = {
        f".a.pt.{os.uname().nodename}.{os.getppid()}.tmp.pt",
        f".a.pt.{os.uname().nodename}x.{2**40}.tmp.pt",
        ".hidden",
    }
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / f".a.pt.{os.uname().nodename}.{2**40}.tmp.pt").touch()  # no process has such a number
    write_text(tmp_path / "a.pt", "whole")
    assert {found.name for found in tmp_path.iterdir()} == {*others, "a.pt"}


def test_failed_save_leaves_the_old_file_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(OSError, match="disk full"), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert [found.read_text() for found in tmp_path.iterdir()] == ["old"]


def test_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "prepared"
    with replacing_folder(target) as fresh:
        (fresh / "old").touch()
    with pytest.raises(OSError, match="disk full"), replacing_folder(target) as fresh:
        (fresh / "half").touch()
        raise OSError("disk full")
    assert [found.name for found in tmp_path.rglob("*")] == ["prepared", "old"]
    with replacing_folder(target) as fresh:
        (fresh / "new").touch()
    assert [found.name for found in tmp_path.rglob("*")] == ["prepared", "new"]
