import math

import pytest
import torch

from pennet.losses import discriminator_loss, generator_adversarial_loss, hole_l1, pyramid_l1, valid_l1

IMAGE = torch.zeros(2, 3, 8, 8)


def half_mask() -> torch.Tensor:
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1
    return mask


def test_hole_and_valid_l1_see_only_their_own_region() -> None:
    mask = half_mask()
    prediction = 0.25 * mask + 0.75 * (1 - mask) + IMAGE
    assert hole_l1(prediction, IMAGE, mask).item() == pytest.approx(0.25)
    assert valid_l1(prediction, IMAGE, mask).item() == pytest.approx(0.75)


def test_hole_l1_does_not_depend_on_the_size_of_the_hole() -> None:
    small = torch.zeros(2, 1, 8, 8)
    small[..., 0, 0] = 1
    assert hole_l1(IMAGE + 0.5, IMAGE, small).item() == pytest.approx(hole_l1(IMAGE + 0.5, IMAGE, half_mask()).item())


@pytest.mark.parametrize("loss", [hole_l1, valid_l1])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_masked_l1_of_an_empty_or_full_mask_is_finite_with_a_finite_gradient(loss, value: float) -> None:
    prediction = torch.full((2, 3, 8, 8), 0.5, requires_grad=True)
    result = loss(prediction, IMAGE, torch.full((2, 1, 8, 8), value))
    result.backward()
    region_is_everything = (value == 1.0) == (loss is hole_l1)
    assert result.item() == pytest.approx(0.5 if region_is_everything else 0.0)
    assert torch.isfinite(prediction.grad).all()


def test_pyramid_l1_sums_the_scales() -> None:
    pyramid = [torch.full((2, 3, 2, 2), 0.1), torch.full((2, 3, 4, 4), -0.3)]
    assert pyramid_l1(pyramid, IMAGE).item() == pytest.approx(0.4)


def test_pyramid_l1_of_the_resized_truth_is_zero() -> None:
    ramp = torch.linspace(-1, 1, 8).expand(1, 3, 8, 8)  # corners stay corners, so a ramp resizes to a ramp
    assert pyramid_l1([torch.linspace(-1, 1, 4).expand(1, 3, 4, 4)], ramp).item() == pytest.approx(0, abs=1e-6)


def test_hinge_losses_are_the_closed_forms() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert discriminator_loss(real, fake, "hinge").item() == pytest.approx((0.25 + 0.5) / 2)
    assert generator_adversarial_loss(fake, "hinge").item() == pytest.approx(1.5)


def test_nsgan_losses_are_cross_entropies() -> None:
    real, fake = torch.tensor([1.0]), torch.tensor([-2.0])
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    expected = (-math.log(sigmoid(1.0)) - math.log(1 - sigmoid(-2.0))) / 2
    assert discriminator_loss(real, fake, "nsgan").item() == pytest.approx(expected, rel=1e-6)
    assert generator_adversarial_loss(fake, "nsgan").item() == pytest.approx(-math.log(sigmoid(-2.0)), rel=1e-6)
