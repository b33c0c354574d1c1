"""The two attention modes against slow, literal readings of their definitions."""

import pytest
import torch
import torch.nn.functional as F

from benchmarks.attention import literal_rebuild
from pennet.models import attention
from pennet.models.attention import fill_holes, rebuild_everywhere
from pennet.models.contextual_attention import contextual_attention
from tests.syncs import Syncs


def random_masks(batch: int, size: int, seed: int) -> torch.Tensor:
    """A different rectangle for each sample."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(batch, 1, size, size)
    for sample in mask:
        top, left = torch.randint(0, size // 2, (2,), generator=generator).tolist()
        sample[:, top : top + size // 2, left : left + size // 3] = 1
    return mask


def maps(height: int, width: int, seed: int = 0, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shallow = torch.randn(batch, 5, 2 * height, 2 * width, generator=generator, dtype=torch.float64)
    deep = torch.randn(batch, 7, height, width, generator=generator, dtype=torch.float64)
    return shallow, deep


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (6, 10), (1, 1), (2, 5)])
@pytest.mark.parametrize("max_scores", [1, 700, 10**9])
def test_rebuild_everywhere_equals_patches_as_filters(
    kernel_size: int, size: tuple[int, int], max_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MAX_SCORES", max_scores)
    shallow, deep = maps(*size)
    mask = F.interpolate(random_masks(2, 64, 1), (8 * size[0], 8 * size[1])).double()
    ours = rebuild_everywhere(shallow, deep, mask, kernel_size, 10.0)
    torch.testing.assert_close(ours, literal_rebuild(shallow, deep, mask, kernel_size, 10.0), atol=1e-10, rtol=0)


def literal_fill(
    shallow: torch.Tensor,
    deep: torch.Tensor,
    mask: torch.Tensor,
    k: int,
    scale: float,
    threshold: float,
    affinity: str,
) -> torch.Tensor:
    """One position after the other, as the paper's equations stand."""
    result = shallow.clone()
    height, width = deep.shape[-2:]
    cell = mask.shape[-1] // width
    r = k // 2
    for b in range(len(deep)):
        padded = F.pad(deep[b], (r,) * 4)
        patches = [padded[:, y : y + k, x : x + k].flatten() for y in range(height) for x in range(width)]
        coverage = mask[b, 0].reshape(height, cell, width, cell).mean(dim=(1, 3))
        half = cell // 2
        shallow_coverage = mask[b, 0].reshape(2 * height, half, 2 * width, half).mean(dim=(1, 3))
        valid = []
        for y in range(height):
            for x in range(width):
                compared = coverage[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1]
                copied = shallow_coverage[max(0, 2 * y - 1) : 2 * y + 3, max(0, 2 * x - 1) : 2 * x + 3]
                valid.append(max(compared.mean().item(), copied.mean().item()) <= threshold)
        keys = [i for i, ok in enumerate(valid) if ok]
        if not keys:
            continue
        mean_energy = sum(patches[i].square().sum() for i in keys) / len(keys)
        wide = F.pad(shallow[b], (1,) * 4)
        canvas = torch.zeros_like(wide)
        for p in range(height * width):
            if affinity == "cosine":
                scores = torch.stack([F.cosine_similarity(patches[p], patches[q], dim=0) for q in keys])
            else:
                scores = torch.stack([-(patches[p] - patches[q]).square().sum() / (2 * mean_energy) for q in keys])
            weights = torch.softmax(scores * scale, dim=0)
            y, x = divmod(p, width)
            for weight, q in zip(weights, keys, strict=True):
                v, u = divmod(q, width)
                canvas[:, 2 * y : 2 * y + 4, 2 * x : 2 * x + 4] += weight * wide[:, 2 * v : 2 * v + 4, 2 * u : 2 * u + 4]
        # A position at scale s looks at the 2**(s+1) - 1 pixels around pixel 2**s times its place.
        shallow_mask = torch.zeros(2 * height, 2 * width, dtype=torch.bool)
        for y in range(2 * height):
            for x in range(2 * width):
                rows = slice(max(0, half * y - half + 1), half * y + half)
                columns = slice(max(0, half * x - half + 1), half * x + half)
                shallow_mask[y, x] = mask[b, 0, rows, columns].any()
        result[b] = torch.where(shallow_mask, canvas[:, 1:-1, 1:-1] / 4, shallow[b])
    return result


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("affinity", ["cosine", "euclidean"])
@pytest.mark.parametrize("max_scores", [1, 10**9])
def test_fill_holes_equals_the_equations(
    kernel_size: int, affinity: str, max_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MAX_SCORES", max_scores)
    shallow, deep = maps(8, 8, seed=3)
    mask = random_masks(2, 64, seed=4).double()
    ours = fill_holes(shallow, deep, mask, kernel_size, 10.0, 0.1, affinity)
    expected = literal_fill(shallow, deep, mask, kernel_size, 10.0, 0.1, affinity)
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


def test_fill_holes_fills_what_the_encoder_could_not_know_and_nothing_else() -> None:
    """An encoder with weights of ones counts the hole pixels that each position looked at."""
    shallow, deep = maps(8, 8)
    mask = random_masks(2, 64, seed=2).double()
    count = mask
    for _ in range(2):
        count = F.conv2d(count, torch.ones(1, 1, 3, 3, dtype=torch.float64), stride=2, padding=1)
    filled = fill_holes(shallow, deep, mask, 3, 10.0, 0.1, "cosine")
    known = (count == 0).expand_as(shallow)
    assert not torch.isclose(filled[~known], shallow[~known]).any()
    assert torch.equal(filled[known], shallow[known])
    assert not torch.equal(filled, shallow)


def test_fill_holes_keeps_a_starved_sample() -> None:
    shallow, deep = maps(8, 8)
    mask = random_masks(2, 64, seed=2).double()
    mask[1, :, ::4] = 1  # every position of the second sample touches a hole
    filled = fill_holes(shallow, deep, mask, 3, 10.0, 0.1, "cosine")
    assert torch.equal(filled[1], shallow[1])
    assert torch.isfinite(filled).all()


@pytest.mark.parametrize("affinity", ["cosine", "euclidean"])
def test_fill_holes_copies_the_only_patch_that_matches(affinity: str) -> None:
    """A periodic map: the hole's surroundings repeat elsewhere, so the hole is filled with what stands there."""
    pattern = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    deep = pattern.repeat(1, 1, 4, 4)
    shallow = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)).repeat(1, 1, 4, 4)
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, 24:40, 24:40] = 1
    filled = fill_holes(shallow, deep, mask, 3, 200.0, 0.0, affinity)
    torch.testing.assert_close(filled, shallow, atol=1e-3, rtol=0)


@pytest.mark.parametrize("mode", ["paper", "released"])
def test_attention_gradients_are_those_of_finite_differences(mode: str) -> None:
    shallow, deep = maps(4, 4, batch=1)
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    mask[:, :, 8:16, 8:24] = 1

    def transfer(x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        if mode == "paper":
            return fill_holes(x1, x2, mask, 3, 10.0, 0.1, "cosine")
        return rebuild_everywhere(x1, x2, mask, 3, 0.1)  # a mild softmax: the release's is all but a step here

    assert torch.autograd.gradcheck(transfer, (shallow.requires_grad_(), deep.requires_grad_()), atol=1e-5)


@pytest.mark.parametrize("affinity", ["cosine", "euclidean"])
def test_fill_holes_of_a_batch_is_that_of_each_sample(affinity: str) -> None:
    """No hole, no valid patch, a hole from edge to edge, one pixel, and an ordinary one: none disturbs another."""
    shallow, deep = maps(8, 8, seed=5, batch=5)
    mask = torch.zeros(5, 1, 64, 64, dtype=torch.float64)
    mask[1, :, ::4] = 1
    mask[2, :, 20:40] = 1
    mask[3, :, 31, 7] = 1
    mask[4, :, 10:30, 25:50] = 1
    filled = fill_holes(shallow, deep, mask, 3, 10.0, 0.1, affinity)
    torch.testing.assert_close(filled, literal_fill(shallow, deep, mask, 3, 10.0, 0.1, affinity), atol=1e-10, rtol=0)
    assert torch.equal(filled[:2], shallow[:2])
    for i in range(5):
        alone = fill_holes(shallow[i : i + 1], deep[i : i + 1], mask[i : i + 1], 3, 10.0, 0.1, affinity)
        torch.testing.assert_close(filled[i : i + 1], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("mode", ["paper", "released", "contextual"])
def test_attention_does_not_wait_for_the_device_once_for_each_sample(mode: str) -> None:
    """Forward and backward; the counter is proven on the plain way, which waits twice a sample."""

    def waits(batch: int) -> int:
        shallow, deep = maps(8, 8, batch=batch)
        mask = random_masks(batch, 64, seed=2).double()
        shallow.requires_grad_()
        deep.requires_grad_()
        with Syncs() as syncs:
            if mode == "paper":
                fill_holes(shallow, deep, mask, 3, 10.0, 0.1, "cosine").sum().backward()
            elif mode == "released":
                rebuild_everywhere(shallow, deep, mask, 3, 10.0).sum().backward()
            else:
                contextual_attention(shallow, mask, 10.0).sum().backward()
        return syncs.count

    masks = random_masks(6, 64, seed=2).bool()
    with Syncs() as plain:
        for sample in masks:
            sample.nonzero()
            bool(sample.any())
    assert plain.count == 12
    assert waits(2) == waits(7) == (1 if mode == "paper" else 0)


@pytest.mark.parametrize("max_scores", [100, 10**9])
def test_chunks_on_a_gpu_have_a_size_of_their_own(max_scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "MAX_SCORES", max_scores)
    assert attention.max_scores(torch.device("cpu")) == max_scores
    assert attention.max_scores(torch.device("cuda", 1)) == attention.MAX_SCORES_CUDA
