import numpy as np
import pytest
import torch

from pennet.masks import numbered_mask
from pennet.models.pennet import AttentionTransferNetwork, PENNet, PyramidContextEncoder
from tests.models.literal import holed
from tests.syncs import Syncs

FULL = {"full_resolution": True}
COPIES = FULL | {"fills": ("features", "picture"), "affinity": "picture", "patch_sizes": (5, 3), "valid_threshold": 0.0}
FORMS = {
    "paper": {},
    "euclidean": {"affinity": "euclidean"},
    "full": FULL,
    "copies": COPIES,
    "copies-by-features": COPIES | {"affinity": "cosine"},
    "picture-alone": COPIES | {"fills": ("picture",)},
    "coarse": COPIES | {"finest_attention": 2},
    "coarser": COPIES | {"finest_attention": 3},
    "coarse-features": {"finest_attention": 3},
    "deepest": COPIES | {"attention_levels": "deepest"},
    "unfilled": COPIES | {"attention_levels": "none"},
    "released": {"attention_mode": "released"},
    "released-full": FULL | {"attention_mode": "released"},
}
"""Every kind of PEN-Net that a configuration may ask for."""
every_form = pytest.mark.parametrize("form", FORMS)


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


def random_image(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@every_form
@pytest.mark.parametrize("hidden", [0.7, float("nan"), float("inf")])
def test_generator_never_sees_the_hole(form: str, hidden: float) -> None:
    generator, mask = make_generator(**FORMS[form]), centre_mask(2, 32, 32)
    image = random_image(2, 32, 32)
    spoilt = torch.where(mask > 0, torch.tensor(hidden), image)
    with torch.inference_mode():
        assert torch.equal(generator(image, mask).image, generator(spoilt, mask).image)


@every_form
@pytest.mark.parametrize("num_levels", [3, 4])
def test_output_and_pyramid_have_their_sizes_and_range(form: str, num_levels: int) -> None:
    generator = make_generator(num_levels=num_levels, **FORMS[form])
    with torch.inference_mode():
        output = generator(random_image(2, 48, 80), centre_mask(2, 48, 80))
    assert output.image.shape == (2, 3, 48, 80)
    assert [tuple(p.shape[-2:]) for p in output.pyramid] == [(6, 10), (12, 20), (24, 40)][4 - num_levels :]
    assert output.image.abs().max() <= 1
    assert output.image.isfinite().all()


@pytest.mark.parametrize("full_resolution", [False, True])
def test_encoder_says_which_positions_saw_the_hole(full_resolution: bool) -> None:
    """An encoder with weights of ones counts the hole pixels that each position looked at."""
    encoder = PyramidContextEncoder([1, 1, 1, 1], full_resolution)
    for conv in encoder.convs:
        torch.nn.init.constant_(conv.weight, 1.0)
        torch.nn.init.zeros_(conv.bias)
    mask = torch.zeros(1, 1, 48, 80)
    mask[..., 21:33, 40:41] = 1
    with torch.inference_mode():
        counts = encoder(mask.expand(1, 4, 48, 80))
    for count, saw in zip(counts, encoder.saw_hole(mask), strict=True):
        assert torch.equal(saw, count > 0)
        assert not saw.all()


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


@every_form
def test_samples_of_a_batch_do_not_meet(form: str) -> None:
    torch.manual_seed(0)
    generator = PENNet(num_levels=4, base_width=8, dilations=(1, 2), **FORMS[form]).eval()
    image = random_image(4, 32, 32)
    mask = centre_mask(4, 32, 32)
    mask[1] = 0
    mask[1, :, :8, :8] = 1
    mask[2] = 1
    mask[3] = 0
    with torch.inference_mode():
        together = generator(image, mask).image
        alone = torch.cat([generator(image[i : i + 1], mask[i : i + 1]).image for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(("form", "waits"), [("paper", 3), ("copies", 4), ("coarse", 3), ("deepest", 1), ("unfilled", 0)])
def test_the_device_is_waited_for_once_by_each_attention(form: str, waits: int) -> None:
    generator = make_generator(**FORMS[form])
    for batch in (1, 3):
        with Syncs() as syncs:
            generator(random_image(batch, 32, 32), centre_mask(batch, 32, 32)).image.sum().backward()
        assert syncs.count == waits


def test_generator_refuses_a_side_that_does_not_halve_often_enough() -> None:
    with pytest.raises(ValueError, match=r"image of 40x64 px: PEN-Net with 4 levels needs sides that divide by 16"):
        make_generator()(torch.zeros(1, 3, 40, 64), torch.zeros(1, 1, 40, 64))


@every_form
def test_masks_that_leave_little_or_nothing_give_finite_pictures(form: str) -> None:
    """Nothing lost, everything lost, a picture of one unit, a hole as wide as the picture, one of 60 %."""
    generator = make_generator(**FORMS[form])
    mask = torch.zeros(4, 1, 64, 64)
    mask[1] = 1
    mask[2, :, 20:40] = 1
    irregular = (torch.from_numpy(numbered_mask("irregular", 7, i, 64, 64)) for i in range(200))
    mask[3] = next(m for m in irregular if 0.55 < m.float().mean() < 0.65)
    image = random_image(4, 64, 64)
    with torch.inference_mode():
        assert generator(image, mask).image.isfinite().all()
        assert generator(image[..., :16, :16], mask[..., 12:28, :16]).image.isfinite().all()


def flat_grey_filled_by(mode: str, masks: torch.Tensor) -> tuple[torch.Tensor, int]:
    """What the two deepest transfers of the release make of maps that are 1 everywhere: the least value, the starved maps.

    Whatever the weights of attention, copies of 1 that add up to one whole patch are 1 again.
    """
    least, num_starved = torch.tensor(1.0), 0
    side = masks.shape[-1]
    for scale, kernel_size in ((5, 1), (4, 3)):
        transfer = AttentionTransferNetwork(4, kernel_size, (), mode, 10.0, 0.1, "cosine", 1.0)
        shallow = torch.ones(len(masks), 4, side >> scale, side >> scale)
        deep = torch.rand(len(masks), 4, side >> scale + 1, side >> scale + 1) + 0.1
        (filled,) = transfer.fill([holed(shallow, masks)], holed(deep, masks), masks)
        inner = filled[..., 1:-1, 1:-1]  # the released patches at a map's edge reach beyond it
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
    assert least > 0.99999
    assert num_starved == 0
    least, num_starved = flat_grey_filled_by("released", masks)
    assert least < 1e-3
    assert num_starved > 0


@every_form
def test_every_parameter_learns(form: str) -> None:
    generator = make_generator(**FORMS[form]).train()
    torch.nn.init.normal_(generator.decoder.paint.weight, 0, 1e-3)  # a sum that is cut at 1 or -1 teaches nothing
    output = generator(random_image(1, 32, 32), centre_mask(1, 32, 32))
    (output.image.square().sum() + sum(p.square().sum() for p in output.pyramid)).backward()
    assert [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert all(p.grad.isfinite().all() for p in generator.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_form
def test_a_gpu_makes_the_picture_of_the_cpu(form: str) -> None:
    generator, mask = make_generator(**FORMS[form]), centre_mask(2, 64, 64)
    image = random_image(2, 64, 64)
    with torch.inference_mode():
        cpu = generator(image, mask).image
        gpu = generator.cuda()(image.cuda(), mask.cuda()).image.cpu()
    assert torch.allclose(cpu, gpu, atol=1e-2)  # TF32 convolutions
