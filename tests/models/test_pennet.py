import numpy as np
import pytest
import torch

from pennet.data.masks import irregular
from pennet.models.pennet import PENNet


def make_generator(**changes) -> PENNet:
    torch.manual_seed(0)
    values = {"num_levels": 4, "base_width": 8, "dilations": (1, 2)} | changes
    generator = PENNet(**values).eval()
    for parameter in generator.parameters():  # larger than PyTorch's own: a leak would show
        torch.nn.init.normal_(parameter, 0, 0.2)
    return generator


def centre_mask(batch: int, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(batch, 1, height, width)
    mask[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    return mask


@pytest.mark.parametrize("mode", ["paper", "released"])
@pytest.mark.parametrize("hidden", [0.7, float("nan"), float("inf")])
def test_generator_never_sees_the_hole(mode: str, hidden: float) -> None:
    generator, mask = make_generator(attention_mode=mode), centre_mask(2, 64, 64)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    spoilt = torch.where(mask > 0, torch.tensor(hidden), image)
    with torch.inference_mode():
        assert torch.equal(generator(image, mask).image, generator(spoilt, mask).image)


@pytest.mark.parametrize("levels", ["all", "deepest", "none"])
@pytest.mark.parametrize("mode", ["paper", "released"])
def test_output_and_pyramid_have_their_sizes_and_range(levels: str, mode: str) -> None:
    generator = make_generator(attention_levels=levels, attention_mode=mode)
    with torch.inference_mode():
        output = generator(torch.rand(2, 3, 48, 80) * 2 - 1, centre_mask(2, 48, 80))
    assert output.image.shape == (2, 3, 48, 80)
    assert [tuple(p.shape[-2:]) for p in output.pyramid] == [(6, 10), (12, 20), (24, 40)]
    assert output.image.abs().max() <= 1


def test_attention_levels_change_the_number_of_transfers() -> None:
    counts = {
        levels: sum(t is not None for t in make_generator(attention_levels=levels).transfers)
        for levels in ("all", "deepest", "none")
    }
    assert counts == {"all": 3, "deepest": 1, "none": 0}


def test_samples_of_a_batch_do_not_meet() -> None:
    torch.manual_seed(0)
    generator = PENNet(num_levels=4, base_width=8, dilations=(1, 2)).eval()
    image = torch.rand(3, 3, 32, 32) * 2 - 1
    mask = centre_mask(3, 32, 32)
    mask[1] = 0
    mask[1, :, :8, :8] = 1
    with torch.inference_mode():
        together = generator(image, mask).image
        alone = torch.cat([generator(image[i : i + 1], mask[i : i + 1]).image for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_generator_refuses_a_side_that_does_not_halve_often_enough() -> None:
    with pytest.raises(ValueError, match=r"image of 40x64 px: PEN-Net with 4 levels needs sides that divide by 16"):
        make_generator()(torch.zeros(1, 3, 40, 64), torch.zeros(1, 1, 40, 64))


@pytest.mark.parametrize("mode", ["paper", "released"])
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_an_empty_or_full_mask_gives_finite_pictures(mode: str, fill: float) -> None:
    with torch.inference_mode():
        output = make_generator(attention_mode=mode)(torch.zeros(1, 3, 32, 32), torch.full((1, 1, 32, 32), fill))
    assert torch.isfinite(output.image).all()


def test_paper_mode_survives_irregular_masks_where_deep_levels_starve() -> None:
    """With strokes over 50-60 % no deep patch may be free of hole: those levels keep their map, and nothing turns white."""
    torch.manual_seed(0)
    generator = PENNet(num_levels=4, base_width=8, dilations=(1, 2)).eval()
    masks = torch.from_numpy(np.stack([irregular(7, 6 * i + 5, 64, 64) for i in range(8)])[:, None].astype(np.float32))
    coverage = torch.nn.functional.adaptive_avg_pool2d(masks, 4)
    assert (coverage > 0.1).flatten(1).all(dim=1).any()  # at least one sample has no valid position at the deepest level
    image = torch.rand(8, 3, 64, 64) - 0.5
    with torch.inference_mode():
        output = generator(image, masks).image
        alone = torch.cat([generator(image[i : i + 1], masks[i : i + 1]).image for i in range(8)])
    assert torch.isfinite(output).all()
    assert torch.allclose(output, alone, atol=1e-4)
    holes = output[masks.expand_as(output) > 0]
    assert holes.abs().max() < 0.9


@pytest.mark.parametrize("levels", ["all", "none"])
def test_every_parameter_learns(levels: str) -> None:
    generator = make_generator(attention_levels=levels).train()
    output = generator(torch.rand(1, 3, 32, 32), centre_mask(1, 32, 32))
    (output.image.square().sum() + sum(p.square().sum() for p in output.pyramid)).backward()
    assert [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["paper", "released"])
def test_a_gpu_makes_the_picture_of_the_cpu(mode: str) -> None:
    generator, mask = make_generator(attention_mode=mode), centre_mask(2, 64, 64)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        cpu = generator(image, mask).image
        gpu = generator.cuda()(image.cuda(), mask.cuda()).image.cpu()
    assert torch.allclose(cpu, gpu, atol=1e-2)  # TF32 convolutions
