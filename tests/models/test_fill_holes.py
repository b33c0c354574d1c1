"""Paper mode's attention against a literal reading, closed forms and finite differences."""

import pytest
import torch
from torch import Tensor

from pennet.models import attention, chunks
from pennet.models.attention import Holed, fill_holes
from tests.models.literal import holed, holes, literal_fill
from tests.syncs import Syncs

AFFINITIES = ["cosine", "euclidean", "picture"]
every_affinity = pytest.mark.parametrize("affinity", AFFINITIES)


def random_map(batch: int, channels: int, side: int, seed: int) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def example(masks: Tensor, side: int = 8, channels: int = 5) -> tuple[list[Holed], Holed]:
    """Maps of twice and four times the side of the compared one."""
    values = [random_map(len(masks), channels, n * side, n) for n in (2, 4)]
    return [holed(x, masks) for x in values], holed(random_map(len(masks), 7, side, 1), masks)


def all_holes() -> Tensor:
    return torch.cat(list(holes().values()))


@every_affinity
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize(("max_scores", "middle_weight"), [(1, 1.0), (10**9, 1.0), (10**9, 3.0)])
def test_maps_are_filled_as_the_equations_say(
    kernel_size: int, affinity: str, max_scores: int, middle_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MAX_SCORES", max_scores)
    mask = torch.cat([holes()["edge"], holes()["irregular"]])
    maps, compared = example(mask)
    ours = fill_holes(maps, compared, mask, kernel_size, 10.0, 0.1, affinity, middle_weight)
    expected = literal_fill(maps, compared, mask, kernel_size, 10.0, 0.1, affinity, middle_weight)
    assert not torch.equal(expected[0], maps[0].values)
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


@every_affinity
def test_a_batch_of_holes_is_filled_as_each_of_them_alone(affinity: str) -> None:
    """No hole, nothing to copy, a hole from edge to edge, one pixel, a hole of 60 %: none disturbs another."""
    mask = all_holes()
    maps, compared = example(mask)
    together = fill_holes(maps, compared, mask, 3, 10.0, 0.1, affinity)
    for i, name in enumerate(holes()):
        maps_here = [Holed(values[i : i + 1], hole[i : i + 1]) for values, hole in maps]
        compared_here = Holed(compared.values[i : i + 1], compared.hole[i : i + 1])
        alone = fill_holes(maps_here, compared_here, mask[i : i + 1], 3, 10.0, 0.1, affinity)
        for (values, hole), one, batched in zip(maps_here, alone, together, strict=True):
            torch.testing.assert_close(batched[i : i + 1], one, atol=1e-11, rtol=0)
            assert one.isfinite().all()
            changed, hole = one != values, hole.expand_as(one)
            assert not changed[~hole].any()
            if name in ("starved", "all"):
                assert not changed.any()
            elif name != "irregular":  # where the one patch to copy may be copied to itself
                assert changed[hole].all()


@every_affinity
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_constant_map_stays_constant(kernel_size: int, threshold: float, affinity: str) -> None:
    assert largest_change_of_a_constant_map(kernel_size, threshold, affinity) < 1e-5
    assert largest_change_of_a_constant_map(kernel_size, threshold, affinity, middle_weight=3.0) < 1e-5


def test_overlaps_divided_by_four_would_darken_a_constant_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above is worth: the paper's division, which forgets that patches end at the map's edge."""
    pasted = attention._pasted

    def by_four(*arguments) -> Tensor:
        canvas = pasted(*arguments)
        return torch.cat([canvas[:, :-1], torch.full_like(canvas[:, -1:], 4)], dim=1)

    monkeypatch.setattr(attention, "_pasted", by_four)
    assert largest_change_of_a_constant_map(3, 0.1, "cosine") > 0.01


def largest_change_of_a_constant_map(kernel_size: int, threshold: float, affinity: str, middle_weight: float = 1.0) -> float:
    mask = all_holes().float()
    maps = [holed(torch.tensor([0.7, -3.0]).view(1, 2, 1, 1).expand(len(mask), 2, 8 * n, 8 * n), mask) for n in (2, 4)]
    compared = holed(random_map(len(mask), 4, 8, 0).float(), mask)
    filled = fill_holes(maps, compared, mask, kernel_size, 10.0, threshold, affinity, middle_weight)
    return max(float((ours - values).abs().max()) for ours, (values, _) in zip(filled, maps, strict=True))


@every_affinity
def test_at_threshold_0_nothing_that_stood_in_the_hole_is_copied(affinity: str) -> None:
    mask = torch.cat([holes()[name] for name in ("pixel", "centre", "corner", "width")])
    maps, compared = example(mask)
    spoilt = [Holed(torch.where(hole, 1e6, values), hole) for values, hole in maps]
    filled = fill_holes(maps, compared, mask, 3, 10.0, 0.0, affinity)
    torch.testing.assert_close(fill_holes(spoilt, compared, mask, 3, 10.0, 0.0, affinity), filled, atol=0, rtol=0)


@every_affinity
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_a_map_of_one_position_keeps_its_values(affinity: str, fill: float) -> None:
    """A picture of one unit, whole or lost: nobody to ask, or nobody to answer."""
    mask = torch.full((1, 1, 64, 64), fill, dtype=torch.float64)
    maps, compared = example(mask, side=1)
    filled = fill_holes(maps, compared, mask, 5, 10.0, 0.1, affinity)
    assert all(torch.equal(ours, values) for ours, (values, _) in zip(filled, maps, strict=True))


@every_affinity
def test_the_only_patch_that_matches_is_copied(affinity: str) -> None:
    """A periodic map: the hole's surroundings repeat elsewhere, so the hole is filled with what stands there."""
    deep = random_map(1, 4, 4, 0).repeat(1, 1, 4, 4)
    shallow = random_map(1, 3, 8, 1).repeat(1, 1, 4, 4)
    mask = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    mask[..., 24:40, 24:40] = 1
    spoilt = holed(shallow, mask)._replace(values=torch.where(holed(shallow, mask).hole, 9.0, shallow))
    (filled,) = fill_holes([spoilt], holed(deep, mask), mask, 3, 400.0, 0.0, affinity)
    torch.testing.assert_close(filled, shallow, atol=1e-3, rtol=0)


@every_affinity
def test_gradients_are_those_of_finite_differences(affinity: str) -> None:
    mask = torch.zeros(2, 1, 16, 16, dtype=torch.float64)
    mask[0, :, 4:8, 4:12] = 1
    mask[1, :, 9:, 9:] = 1
    shallow, deep, wide = (
        random_map(2, 1, 8, 2).requires_grad_(),
        random_map(2, 3, 4, 1).requires_grad_(),
        random_map(2, 1, 16, 4),
    )

    def transfer(shallow: Tensor, deep: Tensor) -> tuple[Tensor, ...]:
        return tuple(fill_holes([holed(shallow, mask), holed(wide, mask)], holed(deep, mask), mask, 3, 3.0, 0.1, affinity))

    if affinity == "picture":  # a picture is what it is
        assert torch.autograd.grad(sum(x.sum() for x in transfer(shallow, deep)), deep, allow_unused=True) == (None,)
        deep = deep.detach()
    assert torch.autograd.gradcheck(transfer, (shallow, deep), atol=1e-6)


@every_affinity
def test_gradients_of_recomputed_chunks_are_those_of_one_kept_chunk(affinity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recomputed = []
    plain = attention.checkpoint

    def counted(*arguments, **options):
        recomputed.append(len(arguments))
        return plain(*arguments, **options)

    monkeypatch.setattr(attention, "checkpoint", counted)
    mask = all_holes()

    def results() -> list[Tensor]:
        maps, compared = example(mask)
        leaves = [compared.values, *(values for values, _ in maps)]
        for leaf in leaves:
            leaf.requires_grad_()
        filled = fill_holes(maps, compared, mask, 3, 10.0, 0.1, affinity)
        sum((x * torch.linspace(-1, 1, x.numel()).view(x.shape)).sum() for x in filled).backward()
        return [*filled, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    whole = results()
    assert not recomputed
    monkeypatch.setattr(attention, "KEPT_SCORES", 100)
    monkeypatch.setattr(chunks, "MAX_SCORES", 3000)
    in_chunks = results()
    assert len(recomputed) > 5
    assert len(whole) == len(in_chunks) == (4 if affinity == "picture" else 5)
    torch.testing.assert_close(in_chunks, whole, atol=1e-12, rtol=0)


@every_affinity
def test_the_scores_of_a_large_map_are_not_kept_for_the_backward_pass(
    affinity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 32:96, 32:96] = 1
    maps = [holed(torch.rand(1, 1, 64, 64), mask)]
    maps[0].values.requires_grad_()
    compared = holed(torch.rand(1, 1, 32, 32, requires_grad=True), mask)
    scores = 16**2 * (32**2 - 18**2)  # at the least: also the positions beside the hole ask

    def largest_saved() -> int:
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
            (filled,) = fill_holes(maps, compared, mask, 3, 10.0, 0.1, affinity)
        filled.sum().backward()
        return max(saved)

    assert largest_saved() >= scores
    monkeypatch.setattr(attention, "KEPT_SCORES", 1000)
    monkeypatch.setattr(chunks, "MAX_SCORES", 10_000)
    assert largest_saved() < scores / 5


@every_affinity
def test_the_device_is_waited_for_once_whatever_the_batch(affinity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and backward, kept and recomputed; the counter is proven in `test_released_attention.py`."""

    def waits(num_samples: int) -> int:
        mask = all_holes()[:num_samples]
        maps, compared = example(mask)
        for values in (compared.values, *(values for values, _ in maps)):
            values.requires_grad_()
        with Syncs() as syncs:
            sum(x.sum() for x in fill_holes(maps, compared, mask, 3, 10.0, 0.1, affinity)).backward()
        return syncs.count

    assert waits(3) == waits(10) == 1
    monkeypatch.setattr(attention, "KEPT_SCORES", 100)
    assert waits(10) == 1
