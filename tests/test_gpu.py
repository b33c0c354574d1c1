"""What holds on a GPU. Skipped where there is none: `pytest -m gpu` on a machine that has one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pennet.config import MethodConfig, RuntimeConfig
from pennet.config.ca import CAConfig
from pennet.masks import numbered_mask
from pennet.metrics.features import EffLite0
from pennet.metrics.perceptual import LPIPS
from pennet.models import attention
from pennet.models.attention import fill_holes
from pennet.models.contextual_attention import contextual_attention
from pennet.models.released_attention import rebuild_everywhere
from pennet.models.upsampling import double
from pennet.seeding import apply_runtime, seed_everything
from pennet.training.dataset import Batch, InpaintingDataset, StepSampler, batches
from pennet.training.loop import TrainResult, train
from tests.configs import COPYING, small_ca, small_gntipt, small_recipe, small_train
from tests.metrics.samples import noisy, pictures
from tests.models.literal import holed
from tests.project import ROOT

# Before CUDA starts: cuBLAS looks at it once in a process.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
RECIPES = {
    "pennet": small_recipe(),
    "pennet-released": small_recipe(attention_mode="released"),
    "pennet-copies": small_recipe(**COPYING),
    "pennet-copies-coarsely": small_recipe(**COPYING | {"finest_attention": 2, "affinity": "cosine"}),
    "pennet-euclidean": small_recipe(affinity="euclidean", adversarial_loss="nsgan"),
    "ca": small_ca(),
    "gntipt": small_gntipt(),
}
every_method = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Full precision, nothing else; torch's settings are put back afterwards."""
    use()
    yield
    use(device="cpu")


def use(device: str = "cuda", deterministic: bool = False, tf32: bool = False) -> None:
    apply_runtime(one_runtime(device, deterministic, tf32))


def one_runtime(device: str, deterministic: bool = False, tf32: bool = False) -> RuntimeConfig:
    return RuntimeConfig(device, torch.get_num_threads(), 1, 0, "", deterministic, tf32, cudnn_benchmark=False)


def centre(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A mask that loader processes can be given."""
    return numbered_mask("centre", 0, 0, height, width)


def train_for(
    recipe: MethodConfig,
    folder: Path,
    until: int,
    steps: int = 4,
    mixed_precision: bool = False,
    device: torch.device = CUDA,
    batch_size: int = 3,
) -> TrainResult:
    """Trains for `until` of `steps` steps, a checkpoint every second one."""
    from pennet.methods import build_recipe

    seed_everything(3)
    learner = build_recipe(recipe, 64, steps, device, mixed_precision)
    images = InpaintingDataset(IMAGES, 3, True, True, 0.1, learner.training_mask)

    def batches_from(step: int) -> Iterator[Batch]:
        return batches(images, StepSampler(len(images), batch_size * learner.batches_per_step, 3, step, until), 0, device)

    return train(learner, batches_from, small_train(steps=steps), {"of": "this test"}, folder, device, None)


def assert_same_bits(one: nn.Module, other: nn.Module) -> None:
    for (name, value), expected in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(value, expected), name


@every_method
def test_every_method_trains_with_repeatable_bits(recipe: MethodConfig, tmp_path: Path) -> None:
    """Also the proof that none needs a kernel that has no deterministic form: torch would raise."""
    use(deterministic=True)
    first, second = (train_for(recipe, tmp_path / name, until=4) for name in ("first", "second"))
    assert_same_bits(first.generator, second.generator)
    assert first.history == second.history


@every_method
def test_a_resumed_training_ends_with_the_bits_of_a_whole_one(recipe: MethodConfig, tmp_path: Path) -> None:
    use(deterministic=True)
    whole = train_for(recipe, tmp_path / "whole", until=4)
    train_for(recipe, tmp_path / "parts", until=2)
    torch.rand(5, device=CUDA)  # another use of the GPU's random numbers in between
    resumed = train_for(recipe, tmp_path / "parts", until=4)
    assert resumed.resumed_from_step == 2
    assert_same_bits(resumed.generator, whole.generator)


@every_method
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_every_method_trains_with_tf32_and_in_mixed_precision(
    recipe: MethodConfig, mixed_precision: bool, tmp_path: Path
) -> None:
    use(tf32=True)
    result = train_for(recipe, tmp_path, until=4, mixed_precision=mixed_precision)
    assert [row["step"] for row in result.history] == [1, 2, 3, 4]
    assert all(np.isfinite(list(row.values())).all() for row in result.history)
    assert all(value.is_cuda and value.isfinite().all() for value in result.generator.state_dict().values())


def gradients(function, *maps: Tensor) -> list[Tensor]:
    """The map that comes out, and the gradients of a fixed weighting of it; all on the CPU."""
    maps = tuple(x.detach().requires_grad_() for x in maps)
    result = function(*maps)
    weight = torch.linspace(-1, 1, result.numel()).view(result.shape).to(result)
    return [x.detach().cpu() for x in (result, *torch.autograd.grad((result * weight).sum() / result.numel(), maps))]


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("kept_scores", [0, attention.KEPT_SCORES])
@pytest.mark.parametrize("kind", ["cosine", "euclidean", "picture", "released", "contextual", "double"])
def test_attention_and_upsampling_are_those_of_the_cpu(
    kind: str, kept_scores: int, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(deterministic=deterministic)
    monkeypatch.setattr(attention, "KEPT_SCORES", kept_scores)
    random = torch.Generator().manual_seed(0)
    shallow, deep = (torch.randn(3, 5, side, side, generator=random) / 3 for side in (32, 16))
    mask = torch.zeros(3, 1, 128, 128)
    mask[0, :, 30:80, 40:90] = 1
    mask[1, :, ::4] = 1  # no place is valid; the third sample has no hole

    def transfer(shallow: Tensor, deep: Tensor) -> Tensor:
        here = mask.to(shallow.device)
        if kind == "released":
            return rebuild_everywhere(shallow, deep, here, 3, 10.0)
        if kind == "contextual":
            return contextual_attention(shallow, here, 10.0) + 0 * deep.sum()
        if kind == "double":
            return double(shallow) + 0 * deep.sum()
        (filled,) = fill_holes([holed(shallow, here)], holed(deep, here), here, 3, 10.0, 0.1, kind)
        return filled + 0 * deep.sum()

    expected, found = gradients(transfer, shallow, deep), gradients(transfer, shallow.to(CUDA), deep.to(CUDA))
    for on_gpu, on_cpu in zip(found, expected, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, atol=1e-4, rtol=0)


def test_metrics_of_networks_are_those_of_the_cpu() -> None:
    real = pictures(4, 64, 64)
    fake = noisy(real, 20)
    as_floats = [torch.from_numpy(x).permute(0, 3, 1, 2) / 127.5 - 1 for x in (fake, real)]
    distances, features = [], []
    for device in (torch.device("cpu"), CUDA):
        with torch.inference_mode():
            lpips = LPIPS("alex").to(device).eval()
            distances.append(lpips(*(x.to(device) for x in as_floats)).cpu())
            features.append(EffLite0(device)(real))
    torch.testing.assert_close(distances[1], distances[0], atol=1e-4, rtol=0)
    np.testing.assert_allclose(features[1].features, features[0].features, atol=1e-3)
    np.testing.assert_allclose(features[1].logits, features[0].logits, atol=1e-2)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_reach_the_gpu_from_pinned_memory_with_the_values_of_the_cpu(num_workers: int) -> None:
    images = InpaintingDataset(IMAGES, 3, True, True, 0.1, centre)
    for_gpu, for_cpu = (
        list(batches(images, StepSampler(len(images), 3, 3, 0, 3), num_workers, device)) for device in (CUDA, CPU)
    )
    for batch, expected in zip(for_gpu, for_cpu, strict=True):
        assert batch.image.is_pinned() and batch.mask.is_pinned()
        there = batch.to(CUDA)
        assert torch.equal(there.image.cpu(), expected.image)
        assert torch.equal(there.mask.cpu(), expected.mask)


@pytest.mark.parametrize("recipe", [small_recipe(), small_ca(), small_gntipt()], ids=["pennet", "ca", "gntipt"])
def test_one_step_has_the_losses_of_the_cpu(recipe: MethodConfig) -> None:
    from pennet.methods import build_recipe

    losses = []
    for device in (CPU, CUDA):
        seed_everything(3)
        learner = build_recipe(recipe, 64, 4, device, False)
        images = InpaintingDataset(IMAGES, 3, True, True, 0.1, learner.training_mask)
        (batch,) = batches(images, StepSampler(len(images), 3 * learner.batches_per_step, 3, 0, 1), 0, device)
        losses.append(learner.update(batch.to(device)))
    # The gradient penalty draws its points on the device, which has other random numbers than the CPU; what follows from its
    # update are the scores that the generator's step meets.
    drawn = ("discriminator", "adversarial", "generator") if isinstance(recipe, CAConfig) else ()
    for name, expected in losses[0].items():
        if name not in drawn:
            assert losses[1][name] == pytest.approx(expected, rel=1e-3, abs=1e-4), name


GROUP_PROGRAM = """
import os, sys
from pathlib import Path
import torch
from pennet.training import processes
from tests.test_gpu import RECIPES, apply_runtime, assert_same_bits, one_runtime, train_for

device = apply_runtime(one_runtime(processes.own_device("cuda"), deterministic=True))
with processes.joined(device, 4):
    for name in ("pennet-copies", "ca", "gntipt"):
        result = train_for(RECIPES[name], Path(sys.argv[1]) / name, until=4, device=device, batch_size=4)
        if processes.is_first():
            torch.save(result.history, Path(sys.argv[1]) / f"{name}.pt")
    print("all", processes.number())
"""


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_learn_what_one_learns(tmp_path: Path) -> None:
    """NCCL, through torchrun; that the processes agree is checked by the loop at each checkpoint."""
    program = tmp_path / "program.py"
    program.write_text(GROUP_PROGRAM)
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    use(deterministic=True)
    for name in ("pennet-copies", "ca", "gntipt"):
        shared = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        alone = train_for(RECIPES[name], tmp_path / "alone" / name, until=4, batch_size=4).history
        for row, expected in zip(shared, alone, strict=True):
            # CA's scores hold its discriminators' last bias, whose gradient is rounding alone: docs/multi-gpu.md.
            assert row["hole_l1" if "hole_l1" in row else "refined_l1"] == pytest.approx(
                expected["hole_l1" if "hole_l1" in expected else "refined_l1"], rel=1e-3
            )
