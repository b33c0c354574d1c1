import errno
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pennet.atomic import replacing, replacing_folder, write_text
from tests.project import ROOT

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
        f".a.pt.{platform.node()}.{os.getppid()}.tmp.pt",
        f".a.pt.{platform.node()}x.{2**40}.tmp.pt",
        ".hidden",
    }
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / f".a.pt.{platform.node()}.{2**40}.tmp.pt").touch()  # no process has such a number
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


def test_full_disk_is_an_error_that_names_the_file_and_spares_the_old_one(tmp_path: Path) -> None:
    """A limit on the size of files is the kernel's own refusal in the middle of a write, without a disk to fill."""
    write_text(tmp_path / "a.txt", "old")
    code = """
import resource, sys
from pathlib import Path
from pennet.atomic import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path(sys.argv[1]), "new" * 1000)
except OSError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.txt")], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.stdout == f"[Errno {errno.EFBIG}] File too large: '{tmp_path / 'a.txt'}'\n", result.stderr
    assert [found.read_text() for found in tmp_path.iterdir()] == ["old"]


def test_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), replacing(tmp_path / "a.txt"):
        (tmp_path / "elsewhere").read_text()


def test_long_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("画" * 80 + ".txt")  # 244 of 255 bytes
    write_text(path, "whole")
    assert [found.read_text() for found in tmp_path.iterdir()] == ["whole"]


def test_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, rename = tmp_path / "prepared", Path.rename
    with replacing_folder(target) as fresh:
        (fresh / "old").touch()

    def refuse(self: Path, to: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(errno.EACCES, "Permission denied", str(self))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError, match=r"prepared'$"), replacing_folder(target) as fresh:
        (fresh / "new").touch()
    assert [found.name for found in tmp_path.rglob("*")] == ["prepared", "old"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_file_system_without_fsync_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_disk_that_fails_in_fsync_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*a\.txt'"):
        write_text(tmp_path / "a.txt", "new")
    assert [found.read_text() for found in tmp_path.iterdir()] == ["old"]
