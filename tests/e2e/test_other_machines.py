"""What git keeps of a comparison of classical methods has the same bytes on processors with other instructions."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines import layout
from tests.prepared import write_prepared
from tests.project import ROOT, make_project

SIDE_PX, NUM_IMAGES = 64, 16
OLD_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OPENCV_CPU_DISABLE": "AVX,AVX2,FP16,FMA3,AVX_512F,AVX512_SKX,AVX512_CLX,AVX512_ICL",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
}
"""PyTorch, its two libraries for products, numpy's, OpenCV and numpy, each kept to what processors had in 2008."""
STAGES = """
from pipelines import compare, evaluate, inpaint_classical, masks
from pipelines.params import load_params

config = load_params()
masks.run("terrain", masks=config.masks)
for method in config.methods.classical:
    inpaint_classical.run("terrain", method)
    evaluate.run("terrain", method, evaluate=config.evaluate, runtime=config.runtime)
compare.run("terrain", seeds=config.seeds, methods=config.methods, evaluate=config.evaluate)
"""


def _project(folder: Path) -> Path:
    """Real pictures, few and small, prepared."""
    classical = ["patchmatch", "telea", "biharmonic", "mean"]
    make_project(folder, {"methods": {"learned": [], "classical": classical}, "runtime": {"num_threads": 1}})
    with zipfile.ZipFile(ROOT / "data/embedded/terrain-256.zip") as archive:
        names = [n for n in archive.namelist() if n.endswith((".jpg", ".png"))][:NUM_IMAGES]
        opened = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    images = [np.asarray(picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)) for picture in opened]
    write_prepared(folder / layout.prepared_dir("terrain"), test={f"{i:03}.png": image for i, image in enumerate(images)})
    return folder


def _run(folder: Path, **restrictions: str) -> dict[str, bytes]:
    """All that the stages leave below `reports/`, by path."""
    variables = os.environ | {"PYTHONPATH": str(folder)} | restrictions
    result = subprocess.run(
        [sys.executable, "-c", STAGES], cwd=folder, env=variables, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    reports = folder / "reports"
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in reports.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="this processor has nothing to switch off")
def test_committed_reports_of_classical_methods_do_not_depend_on_the_processor(tmp_path: Path) -> None:
    project = _project(tmp_path / "here")
    shutil.copytree(project, tmp_path / "there")
    here, there = _run(project), _run(tmp_path / "there", **OLD_PROCESSOR)
    assert here.keys() == there.keys()
    differing = {path for path in here if here[path] != there[path]}
    full = {path for path in here if path.endswith(("report.json", "per_image.csv"))}  # every digit, and not in git
    assert differing <= full, differing - full
    assert differing, "the restrictions restricted nothing: this test proves nothing here"
