"""`pennet inpaint` of a folder that a person ends with Ctrl-C: a real process."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.commands.photos import save_jpeg, save_mask
from tests.project import ROOT


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_folder_with_130_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(300):
        save_jpeg(Path(f"photos/{number:03}.jpg"), number)
    save_mask(Path("mask.png"))
    command = [sys.executable, "-m", "pennet", "inpaint", "photos", "mask.png", "-o", "out", "--method", "biharmonic"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 240
        while not Path("out").is_dir() or len(list(Path("out").glob("*_filled.jpg"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
        process.wait(30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    written = sorted(path.name for path in Path("out").iterdir())
    said = re.fullmatch(
        r"pennet: interrupted at photos/(\d+).jpg: (\d+) of 300 photos were filled before it", err.splitlines()[-1]
    )
    assert said
    assert int(said[1]) == int(said[2])
    assert len(written) - int(said[2]) in (0, 1)  # that one may be written, and not yet told of
    assert 2 <= len(written) < 300
    assert all(name.endswith("_filled.jpg") and Image.open(f"out/{name}").load() for name in written)
    assert len(out.splitlines()) in (len(written) - 1, len(written))
