"""CA and GntIpt against their published sizes, and contextual attention against a literal reading of its paper."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from pennet.models import chunks
from pennet.models.contextual_attention import contextual_attention, fused_scores
from pennet.models.discriminators import SNPatchDiscriminator, WassersteinDiscriminator
from pennet.models.two_stage import CAGenerator, GntIptGenerator


def num_parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (CAGenerator(), 3_601_542),
        (CAGenerator().coarse, 1_448_227),
        (GntIptGenerator(), 4_052_478),
        (GntIptGenerator().coarse, 1_631_151),
        (WassersteinDiscriminator([64, 128, 256, 512], 128), 4_339_329),
        (WassersteinDiscriminator([64, 128, 256, 256], 256), 2_733_441),
        (SNPatchDiscriminator(64), 5_946_816),
    ],
)
def test_number_of_parameters_is_the_published_one(network: torch.nn.Module, expected: int) -> None:
    assert num_parameters(network) == expected


def irregular_masks(side: int) -> torch.Tensor:
    """A different mask for each of three samples, one of them touching the border."""
    mask = torch.zeros(3, 1, side, side)
    mask[0, :, side // 4 : side // 2, side // 4 : side // 2] = 1
    mask[1, :, : side // 3, side // 2 :] = 1
    mask[2, :, side // 2 :, side // 8 : side // 3] = 1
    return mask


def literal_attention(features: torch.Tensor, mask: torch.Tensor, scale: float) -> torch.Tensor:
    """Sample by sample: patches as filters, the 3x3 identity as a filter on the score matrix, a transposed convolution."""
    results = []
    for sample, hole in zip(features.split(1), mask.split(1), strict=True):
        deep = F.interpolate(sample, scale_factor=0.5, mode="nearest")
        height, width = deep.shape[-2:]
        hole = F.interpolate(hole, (height, width), mode="nearest")
        filters, copies, is_valid = [], [], []
        padded = F.pad(deep, (1, 1, 1, 1))
        padded_hole = F.pad(hole, (1, 1, 1, 1))
        padded_full = F.pad(sample, (1, 1, 1, 1))
        for y in range(height):
            for x in range(width):
                patch = padded[0, :, y : y + 3, x : x + 3]
                filters.append(patch / max(patch.norm().item(), 1e-4))
                copies.append(padded_full[0, :, 2 * y : 2 * y + 4, 2 * x : 2 * x + 4])
                is_valid.append(float(padded_hole[0, 0, y : y + 3, x : x + 3].sum() == 0))
        scores = F.conv2d(padded, torch.stack(filters))[0]  # (keys, h, w)
        matrix = scores.flatten(1).T[None, None]  # queries x keys
        identity = torch.eye(3)[None, None]
        matrix = F.conv2d(matrix, identity, padding=1)
        matrix = matrix.view(height, width, height, width).permute(1, 0, 3, 2).reshape(1, 1, height * width, height * width)
        matrix = F.conv2d(matrix, identity, padding=1)
        matrix = matrix.view(width, height, width, height).permute(1, 0, 3, 2).reshape(height * width, height * width)
        valid = torch.tensor(is_valid)
        weights = torch.softmax(scale * matrix * valid, dim=1) * valid
        maps = weights.T.reshape(1, height * width, height, width)
        results.append(F.conv_transpose2d(maps, torch.stack(copies), stride=2, padding=1) / 4)
    return torch.cat(results)


SIZES = [(12, 12), (16, 12), (10, 18), (2, 12), (12, 2), (2, 2), (4, 10)]


@pytest.mark.parametrize("max_scores", [1, 500, 2_000_000])  # a line at a time, a few, several samples at once
@pytest.mark.parametrize("size", SIZES)
def test_contextual_attention_against_a_literal_version_with_a_mask_per_sample(
    size: tuple[int, int], max_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MAX_SCORES", max_scores)
    torch.manual_seed(0)
    features = torch.randn(5, 5, *size)
    empty_and_full = torch.stack([torch.zeros(1, 48, 48), torch.ones(1, 48, 48)])
    mask = F.interpolate(torch.cat([irregular_masks(48), empty_and_full]), (4 * size[0], 4 * size[1]), mode="nearest")
    expected = literal_attention(features, mask, 10.0)
    assert torch.allclose(contextual_attention(features, mask, 10.0), expected, atol=1e-5)


@pytest.mark.parametrize("max_scores", [1, 500, 2_000_000])
@pytest.mark.parametrize("size", [(12, 8), (2, 12), (12, 2)])
def test_gradient_of_contextual_attention_is_the_literal_versions(
    size: tuple[int, int], max_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MAX_SCORES", max_scores)
    torch.manual_seed(0)
    features = torch.randn(3, 4, *size, dtype=torch.float64)
    mask = F.interpolate(irregular_masks(48), (4 * size[0], 4 * size[1]), mode="nearest").double()
    direction = torch.randn_like(features)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return (contextual_attention(x, mask, 2.0) * direction).sum()

    (gradient,) = torch.autograd.grad(loss(features.requires_grad_()), features)
    for index in torch.randperm(features.numel())[:20].tolist():  # central differences
        step = torch.zeros_like(features).view(-1)
        step[index] = 1e-6
        with torch.no_grad():
            slope = (loss(features + step.view_as(features)) - loss(features - step.view_as(features))) / 2e-6
        assert gradient.view(-1)[index].item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-7)


def test_gradient_is_finite_where_whole_patches_are_zero() -> None:
    features = torch.randn(2, 4, 16, 16)
    features[:, :, :8] = 0
    features.requires_grad_()
    contextual_attention(features, torch.zeros(2, 1, 64, 64), 10.0).square().sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("max_scores", [1, 40, 2_000_000])
@pytest.mark.parametrize("size", [(3, 4), (1, 5), (5, 1), (2, 2)])
def test_fusion_adds_the_neighbours_along_rows_then_along_columns(
    size: tuple[int, int], max_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The definition, position by position: who comes before and after whom in reading order, then in column order."""
    monkeypatch.setattr(chunks, "MAX_SCORES", max_scores)
    torch.manual_seed(0)
    height, width = size
    deep = torch.randn(1, 3, *size)
    patches = F.unfold(deep, 3, padding=1)[0].T
    scores = patches @ (patches / patches.norm(dim=1, keepdim=True)).T
    by_rows = list(range(height * width))
    by_columns = [y * width + x for x in range(width) for y in range(height)]
    for order in (by_rows, by_columns):
        fused = scores.clone()
        for i, query in enumerate(order):
            for j, key in enumerate(order):
                for step in (-1, 1):
                    if 0 <= i + step < len(order) and 0 <= j + step < len(order):
                        fused[query, key] += scores[order[i + step], order[j + step]]
        scores = fused
    ours = torch.cat(list(fused_scores(deep)), dim=1)
    assert torch.allclose(ours.view(height * width, height * width), scores, atol=1e-4)


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any operation's result had."""

    num_elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.num_elements = max(self.num_elements, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


def test_no_tensor_of_a_large_map_is_as_large_as_its_scores() -> None:
    """Of a 512 px picture the map is 128x128 and compared at 64x64: 16.8 million scores."""
    with LargestTensor() as largest, torch.inference_mode():
        contextual_attention(torch.randn(2, 2, 128, 128), torch.zeros(2, 1, 512, 512), 10.0)
    assert chunks.MAX_SCORES / 2 < largest.num_elements < 1.5 * chunks.MAX_SCORES


def test_attention_without_any_valid_place_is_finite() -> None:
    assert not contextual_attention(torch.randn(1, 4, 16, 16), torch.ones(1, 1, 64, 64), 10.0).any()


@pytest.mark.parametrize("kind", [CAGenerator, GntIptGenerator])
def test_generator_never_sees_the_hole_and_keeps_its_range(kind) -> None:
    torch.manual_seed(0)
    generator, mask = kind(base_width=8).eval(), irregular_masks(48)
    image = torch.rand(3, 3, 48, 48) * 2 - 1
    spoilt = torch.where(mask > 0, torch.tensor(float("nan")), image)
    with torch.inference_mode():
        output, again = generator(image, mask), generator(spoilt, mask)
    assert torch.equal(output.image, again.image)
    assert output.image.shape == output.pyramid[0].shape == image.shape
    assert output.image.abs().max() <= 1


@pytest.mark.parametrize("kind", [CAGenerator, GntIptGenerator])
def test_samples_of_a_batch_do_not_meet(kind) -> None:
    torch.manual_seed(0)
    generator, mask = kind(base_width=8).eval(), irregular_masks(48)
    image = torch.rand(3, 3, 48, 48) * 2 - 1
    with torch.inference_mode():
        together = generator(image, mask).image
        alone = torch.cat([generator(image[i : i + 1], mask[i : i + 1]).image for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_generator_refuses_a_side_that_does_not_divide_by_eight() -> None:
    with pytest.raises(ValueError, match="image of 60x64 px: the two-stage generators need sides that divide by 8"):
        CAGenerator(8)(torch.zeros(1, 3, 60, 64), torch.zeros(1, 1, 60, 64))


def test_discriminators_have_their_shapes() -> None:
    for side in (32, 24, 25):
        assert WassersteinDiscriminator([4, 8, 8, 8], side)(torch.zeros(2, 3, side, side)).shape == (2, 1)
    assert SNPatchDiscriminator(4)(torch.zeros(2, 3, 128, 64), torch.zeros(2, 1, 128, 64)).shape == (2, 16, 2, 1)
