"""What a training step at the paper's size needs, measured in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

STEP = """
import sys
from pathlib import Path

import torch

from pennet.training.dataset import Batch
from pennet.recipes.pennet import PENNetRecipe
from tests.configs import COPYING, small_recipe

paper = {"num_levels": 6, "base_width": 32, "dilations": [1, 2, 4, 8], "discriminator_width": 64, "patch_sizes": [7, 5]}
recipe = PENNetRecipe(small_recipe(**COPYING | paper | {"affinity": sys.argv[1]}), 256, 4, torch.device("cpu"), False)
mask = torch.zeros(4, 1, 256, 256)
mask[..., 64:192, 64:192] = 1
losses = recipe.update(Batch(torch.rand(4, 3, 256, 256) * 2 - 1, mask))
assert all(loss == loss for loss in losses.values())
# Not getrusage: its maximum is inherited from the process that started this one, which may have been larger.
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("affinity", "limit_gib"), [("picture", 2.7), ("cosine", 3.7)])
def test_a_step_of_four_pictures_of_256_px_stays_below_four_gb(affinity: str, limit_gib: float) -> None:
    """With the weights of the finest transfer kept, 200 million, it would take 0.7 GiB more, which is beyond the limits."""
    command = [sys.executable, "-c", STEP, affinity]
    root = Path(__file__).parents[2]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}  # what threads keep depends on their turns
    result = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, check=True, timeout=900)
    peak_gib = float(result.stdout)
    assert peak_gib < limit_gib, f"{peak_gib:.2f} GiB"
