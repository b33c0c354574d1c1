"""The released mode against patches used as filters, and what holds of all attentions that go in chunks."""

import pytest
import torch
import torch.nn.functional as F

from benchmarks.attention import literal_rebuild
from pennet.models import chunks
from pennet.models.contextual_attention import contextual_attention
from pennet.models.released_attention import rebuild_everywhere
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
    monkeypatch.setattr(chunks, "MAX_SCORES", max_scores)
    shallow, deep = maps(*size)
    mask = F.interpolate(random_masks(2, 64, 1), (8 * size[0], 8 * size[1])).double()
    ours = rebuild_everywhere(shallow, deep, mask, kernel_size, 10.0)
    torch.testing.assert_close(ours, literal_rebuild(shallow, deep, mask, kernel_size, 10.0), atol=1e-10, rtol=0)


def test_gradients_of_rebuilding_everywhere_are_those_of_finite_differences() -> None:
    shallow, deep = maps(4, 4, batch=1)
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    mask[:, :, 8:16, 8:24] = 1

    def transfer(x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        return rebuild_everywhere(x1, x2, mask, 3, 0.1)  # a mild softmax: the release's is all but a step here

    assert torch.autograd.gradcheck(transfer, (shallow.requires_grad_(), deep.requires_grad_()), atol=1e-5)


@pytest.mark.parametrize("mode", ["released", "contextual"])
def test_attention_does_not_wait_for_the_device_once_for_each_sample(mode: str) -> None:
    """Forward and backward; the counter is proven on the plain way, which waits twice a sample."""

    def waits(batch: int) -> int:
        shallow, deep = maps(8, 8, batch=batch)
        mask = random_masks(batch, 64, seed=2).double()
        shallow.requires_grad_()
        deep.requires_grad_()
        with Syncs() as syncs:
            if mode == "released":
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
    assert waits(2) == waits(7) == 0


@pytest.mark.parametrize("max_scores", [100, 10**9])
def test_chunks_on_a_gpu_have_a_size_of_their_own(max_scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_SCORES", max_scores)
    assert chunks.max_scores(torch.device("cpu")) == max_scores
    assert chunks.max_scores(torch.device("cuda", 1)) == chunks.MAX_SCORES_CUDA
