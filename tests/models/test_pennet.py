import numpy as np
import pytest
import torch

from pennet.masks import numbered_mask
from pennet.models.pennet import AttentionTransferNetwork, PENNet


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


@pytest.mark.parametrize(
    ("dilations", "shares"),
    [((), []), ((3,), [8]), ((1, 2), [4, 4]), ((1, 2, 4), [3, 3, 2]), ((1, 2, 4, 8, 16), [2, 2, 2, 1, 1])],
)
def test_refining_convolutions_share_the_channels(dilations: tuple[int, ...], shares: list[int]) -> None:
    generator = make_generator(dilations=dilations)
    assert [conv.out_channels for conv in generator.transfers[-1].refine] == shares
    assert [conv.dilation for conv in generator.transfers[-1].refine] == [(d, d) for d in dilations]
    with torch.inference_mode():
        assert generator(torch.zeros(1, 3, 32, 32), centre_mask(1, 32, 32)).image.shape == (1, 3, 32, 32)


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


def flat_grey_filled_by(mode: str, masks: torch.Tensor) -> tuple[torch.Tensor, int]:
    """What the two deepest transfers of the release make of maps that are 1 everywhere: the least value, the starved maps.

    Whatever the weights of attention, copies of 1 that add up to one whole patch are 1 again.
    """
    least, num_starved = torch.tensor(1.0), 0
    side = masks.shape[-1]
    for scale, kernel_size in ((5, 1), (4, 3)):
        transfer = AttentionTransferNetwork(4, kernel_size, (), mode, 10.0, 0.1, "cosine")
        shallow = torch.ones(len(masks), 4, side >> scale, side >> scale)
        deep = torch.rand(len(masks), 4, side >> scale + 1, side >> scale + 1) + 0.1
        filled = transfer(shallow, deep, masks)
        inner = filled[..., 1:-1, 1:-1]  # the patches at a map's edge reach beyond it
        least = torch.minimum(least, inner.min())
        num_starved += int((inner.amax(dim=(1, 2, 3)) < 1e-3).sum())
    return least, num_starved


def test_paper_mode_survives_the_irregular_masks_that_starve_the_released_mode() -> None:
    """Where no key is left, the release's weights of 1e-8 put a map out; paper mode keeps it."""
    torch.manual_seed(0)
    masks = torch.from_numpy(
        np.stack([numbered_mask("irregular", 7, i, 256, 256) for i in range(48)])[:, None].astype(np.float32)
    )
    assert masks.mean(dim=(1, 2, 3)).max() > 0.5
    least, num_starved = flat_grey_filled_by("paper", masks)
    assert least > 0.2
    assert num_starved == 0
    least, num_starved = flat_grey_filled_by("released", masks)
    assert least < 1e-3
    assert num_starved > 0


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
