import pytest
import torch

from pennet.config.pennet import smallest_judged_side_px
from pennet.models.discriminators import PatchDiscriminator
from pennet.models.initialisation import initialise


def test_discriminator_makes_a_map_of_logits() -> None:
    assert PatchDiscriminator(4)(torch.zeros(2, 3, 256, 256)).shape == (2, 1, 27, 27)
    assert PatchDiscriminator(4)(torch.zeros(1, 3, 47, 47)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("strides", [[2, 2, 2, 1], [2, 1, 1, 1], [1, 1], [2]])
def test_smallest_side_is_where_one_logit_is_left(strides: list[int]) -> None:
    side = smallest_judged_side_px(strides)
    assert PatchDiscriminator(2, strides)(torch.zeros(1, 3, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        PatchDiscriminator(2, strides)(torch.zeros(1, 3, side - 1, side - 1))


@pytest.mark.parametrize(("strides", "patch_px"), [([2, 2, 2, 1], 93), ([2, 1, 1, 1], 37)])
def test_a_logit_judges_the_patch_that_the_docstring_names(strides: list[int], patch_px: int) -> None:
    image = torch.rand(1, 3, 160, 160, requires_grad=True)
    logits = PatchDiscriminator(2, strides)(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    seen = image.grad.abs().sum(dim=(0, 1, 2)).nonzero()
    assert int(seen.max() - seen.min()) + 1 == patch_px


def test_spectral_norm_bounds_each_convolution() -> None:
    torch.manual_seed(0)  # where the two largest singular values are close, 30 iterations are too few
    discriminator = PatchDiscriminator(8)
    initialise(discriminator, "kaiming")
    for _ in range(100):  # one power iteration a forward pass
        discriminator(torch.rand(1, 3, 47, 47))
    for conv in discriminator.convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("kind", "expected"), [("normal", 0.02), ("kaiming", (2 / (1 + 0.2**2) / (64 * 9)) ** 0.5)])
def test_initialise_draws_the_spread_it_names(kind: str, expected: float) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(64, 64, 3)
    initialise(conv, kind)
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.03)
    assert not conv.bias.any()


def test_initialise_reaches_the_learned_weight_behind_spectral_norm() -> None:
    discriminator = PatchDiscriminator(4)
    before = discriminator.convs[0].parametrizations.weight.original.clone()
    initialise(discriminator, "normal")
    after = discriminator.convs[0].parametrizations.weight.original
    assert not torch.equal(before, after)
    assert after.std().item() == pytest.approx(0.02, rel=0.2)


def test_initialise_draws_transposed_convolutions_too() -> None:
    """`kaiming` keeps the variance of what a leaky rectifier of slope 0.2 passes on, whatever the stride and the groups."""
    for channels, kernel, stride, groups in ((128, 4, 2, 1), (128, 3, 1, 1), (256, 4, 2, 2)):
        torch.manual_seed(0)
        layer = torch.nn.ConvTranspose2d(channels, 64, kernel, stride, groups=groups)
        initialise(layer, "kaiming")
        assert not layer.bias.any()
        x = torch.nn.functional.leaky_relu(torch.randn(4, channels, 24, 24), 0.2)
        painted = layer(x)[..., 4:-4, 4:-4]  # at the edge fewer products meet
        assert painted.var().item() == pytest.approx(1, rel=0.1)
        initialise(layer, "normal")
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize(
    "layer",
    [torch.nn.Linear(5, 3), torch.nn.BatchNorm2d(4), torch.nn.GroupNorm(2, 4), torch.nn.InstanceNorm2d(4, affine=True)],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("kind", ["normal", "kaiming"])
def test_initialise_leaves_other_layers_as_pytorch_starts_them(layer: torch.nn.Module, kind: str) -> None:
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    initialise(torch.nn.Sequential(layer, torch.nn.ReLU()), kind)
    assert torch.equal(torch.rand(1), first)  # nothing drawn: the other layers' weights do not depend on this one
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_initialise_refuses_a_parametrization_that_it_does_not_know() -> None:
    conv = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(3, 4, 3))
    with pytest.raises(TypeError, match="no weight of its own to draw"):
        initialise(conv, "normal")
