"""A training killed at any moment and started again ends with the bits of one that was never interrupted."""

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from pennet.config import TrainConfig
from pennet.config.pennet import PENNetConfig
from pennet.training.dataset import InpaintingDataset, StepSampler, batches
from pennet.generator_files import save_generator
from pennet.masks.rotated_square import rotated_square
from pennet.recipes.pennet import PENNetRecipe
from pennet.seeding import seed_everything
from pennet.training import loop

folder, last_step, steps = Path(sys.argv[1]), int(sys.argv[2]), 14
seed = 3
train = TrainConfig(steps=steps, minutes=0.0, batch_size=3, ema_decay=0.9, mixed_precision=False, flip=True,
                    quarter_turns=True, colour_jitter=0.1, shuffle_window_shards=0, log_every_steps=2,
                    sample_every_steps=0, num_samples=1, checkpoint_every_steps=3)
recipe = PENNetConfig(method="pennet", training_mask="rotated_square", num_levels=3, base_width=4,
                      attention_mode="paper", attention_levels="all",
                      full_resolution=True, fills=["features", "picture"], affinity="picture", patch_sizes=[5, 3],
                      finest_attention=1, middle_weight=2.0, softmax_scale=100.0, valid_threshold=0.0, dilations=[1, 2],
                      discriminator_width=4, discriminator_strides=[2, 2, 2, 1],
                      initialisation="kaiming", adversarial_loss="hinge", adversarial_weight=0.1, hole_weight=6.0,
                      hole_cell_px=1, valid_weight=1.0, pyramid_weight=0.5, learning_rate=1e-3,
                      discriminator_learning_rate=1e-3, adam_betas=[0.5, 0.999],
                      lr_milestones=[0.4, 0.7], lr_decay_factor=0.5)
torch.set_num_threads(1)
seed_everything(seed)
images = np.random.default_rng(0).integers(0, 256, (7, 48, 48, 3), dtype=np.uint8)
dataset = InpaintingDataset(images, seed, train.flip, train.quarter_turns, train.colour_jitter, rotated_square)


def batches_from(step):
    return batches(dataset, StepSampler(len(dataset), train.batch_size, seed, step, steps), 0, torch.device("cpu"))


class Observer:
    def metrics(self, step, values):
        if step == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    def samples(self, step, generator):
        pass


result = loop.train(PENNetRecipe(recipe, 48, steps, torch.device("cpu"), False), batches_from, train, {"run": "resume test"},
                    folder / "checkpoints", torch.device("cpu"), Observer())
save_generator(result.generator, recipe, folder / "model")
(folder / "history.txt").write_text(repr(result.history))
print("resumed from", result.resumed_from_step, flush=True)
"""


def start(folder: Path, last_step: int = 0) -> subprocess.Popen[str]:
    """A training, which is killed when it tells of `last_step`."""
    command = [sys.executable, "-c", PROGRAM, str(folder), str(last_step)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def bits(folder: Path) -> tuple[str, str]:
    weights = (folder / "model" / "generator.safetensors").read_bytes()
    return hashlib.sha256(weights).hexdigest(), (folder / "history.txt").read_text()


def run_to_the_end(folder: Path) -> str:
    output, _ = start(folder).communicate(timeout=300)
    return output


@pytest.mark.slow
def test_training_killed_twice_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert "resumed from 0" in run_to_the_end(whole)

    for last_step in (4, 8):
        assert start(killed, last_step).wait(timeout=300) == -signal.SIGKILL
    assert not (killed / "model").exists()

    output = run_to_the_end(killed)
    assert "resumed from 0" not in output
    assert bits(killed) == bits(whole)


@pytest.mark.slow
def test_training_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Also while a checkpoint is being written: whatever lies there is never half a checkpoint."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    started = time.monotonic()
    run_to_the_end(whole)
    seconds = time.monotonic() - started
    for share in (0.7, 0.8, 0.9):
        process = start(killed)
        time.sleep(share * seconds)
        process.kill()
        process.wait(timeout=30)
    run_to_the_end(killed)
    assert bits(killed) == bits(whole)
