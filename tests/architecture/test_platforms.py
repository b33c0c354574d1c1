"""The library starts and saves where the operating system is no Linux. What Windows lacks is taken away in a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipelines.meaning import ROOT

AS_ON_WINDOWS = """
import importlib, os, pkgutil, platform, sys
from pathlib import Path
import pennet

# What others than this library do with the platform is done before.
import av, gradio, onnx, onnxruntime
import cv2, lpips, numpy, patchmatch, rich.console, scipy.stats, skimage.restoration, torch, tqdm, typer
import efficientnet_lite_pytorch, torch_fidelity.feature_extractor_inceptionv3, PIL.Image, pydantic, safetensors.torch
import ctypes, tempfile, urllib.request, multiprocessing.connection

for name in ("uname", "fork", "getuid", "geteuid", "sched_getaffinity", "killpg"):
    delattr(os, name)
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
sys.platform, platform.node = "win32", lambda: "machine"

real_open, real_fsync = os.open, os.fsync

def open_no_folder(path, flags, *rest, **more):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return real_open(path, flags, *rest, **more)

def fsync_what_is_open_for_writing(descriptor):
    flags = int(Path(f"/proc/self/fdinfo/{descriptor}").read_text().split("flags:")[1].split()[0], 8)
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "Bad file descriptor")
    real_fsync(descriptor)

def kill(process_id, signal):
    raise AssertionError("os.kill ends the process on Windows, whatever the signal")

os.open, os.fsync, os.kill = open_no_folder, fsync_what_is_open_for_writing, kill
"""

IMPORT_ALL = """
names = [module.name for module in pkgutil.walk_packages(pennet.__path__, "pennet.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""

SAVE = """
from pennet.atomic import replacing_folder, write_text
folder = Path(sys.argv[1])
(folder / ".a.txt.machine.1.tmp.txt").touch()  # left by a process that may still run
for text in ("old", "new"):
    write_text(folder / "a.txt", text)
with replacing_folder(folder / "b") as fresh:
    write_text(fresh / "c.txt", "c")
print(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")), (folder / "a.txt").read_text())
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", AS_ON_WINDOWS + code, *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_every_module_is_imported_where_unix_is_missing() -> None:
    assert int(run(IMPORT_ALL)) > 50


def test_files_are_saved_where_unix_is_missing(tmp_path: Path) -> None:
    assert run(SAVE, str(tmp_path)) == "['.a.txt.machine.1.tmp.txt', 'a.txt', 'b', 'b/c.txt'] new"
