import pytest
import torch

from pennet.compositing import composite
from pennet.losses import discriminator_loss
from pennet.recipes.pennet import PENNetRecipe
from pennet.recipes.updates import ScheduledOptimizer
from pennet.training.dataset import Batch
from tests.configs import COPYING, small_recipe

CPU = torch.device("cpu")
STEPS = 4


def make_batch(size: int = 48) -> Batch:
    torch.manual_seed(1)
    mask = torch.zeros(2, 1, size, size)
    mask[..., 8:24, 8:24] = 1
    return Batch(torch.rand(2, 3, size, size) * 2 - 1, mask)


@pytest.mark.parametrize("changes", [{}, COPYING], ids=["features", "picture"])
def test_update_reports_the_weighted_sum_of_its_losses(changes: dict) -> None:
    config = small_recipe(**changes)
    losses = PENNetRecipe(config, 48, STEPS, CPU, False).update(make_batch())
    expected = (
        config.hole_weight * losses["hole_l1"]
        + config.valid_weight * losses["valid_l1"]
        + config.pyramid_weight * losses["pyramid_l1"]
        + config.adversarial_weight * losses["adversarial"]
    )
    assert losses["generator"] == pytest.approx(expected, rel=1e-5)


def test_updates_lower_the_loss_of_a_batch() -> None:
    torch.manual_seed(0)
    recipe, batch = PENNetRecipe(small_recipe(adversarial_weight=0.0, lr_milestones=[]), 48, STEPS, CPU, False), make_batch()
    batch = Batch(torch.linspace(-0.8, 0.8, 48).expand(2, 3, 48, 48), batch.mask)  # smooth: noise cannot be learned
    first = recipe.update(batch)["hole_l1"]
    for _ in range(30):
        last = recipe.update(batch)["hole_l1"]
    assert last < 0.8 * first


def test_a_generator_that_copies_starts_from_its_copy_and_leaves_it() -> None:
    """The first prediction is the copy, whatever the drawn weights; the first update changes it in the hole alone."""
    torch.manual_seed(0)
    recipe, batch = PENNetRecipe(small_recipe(**COPYING), 48, STEPS, CPU, False), make_batch()
    with torch.inference_mode():
        first = recipe.generator(batch.image, batch.mask).image
        copy = recipe.generator._filled_pyramid(batch.image, batch.mask, None)[0]["picture"].values
    assert torch.equal(first, copy.clamp(-1, 1))
    recipe.update(batch)
    with torch.inference_mode():
        second = recipe.generator(batch.image, batch.mask).image
    assert torch.equal((second != first).any(dim=1), batch.mask[:, 0] > 0)


def test_a_generator_that_copies_learns_what_to_add() -> None:
    """To a hole whose truth is nowhere to copy from."""
    torch.manual_seed(0)
    changes = COPYING | {"adversarial_weight": 0.0, "lr_milestones": []}
    recipe, batch = PENNetRecipe(small_recipe(**changes), 48, STEPS, CPU, False), make_batch()
    batch = Batch(torch.where(batch.mask > 0, 0.8, torch.linspace(-0.8, 0, 48)).expand(2, 3, 48, 48), batch.mask)
    first = recipe.update(batch)["hole_l1"]
    for _ in range(30):
        last = recipe.update(batch)["hole_l1"]
    assert last < 0.5 * first


def test_no_adversarial_weight_trains_no_discriminator() -> None:
    recipe = PENNetRecipe(small_recipe(adversarial_weight=0.0), 48, STEPS, CPU, False)
    before = {name: value.clone() for name, value in recipe.discriminator.state_dict().items()}
    assert "discriminator" not in recipe.update(make_batch())
    assert all(torch.equal(value, before[name]) for name, value in recipe.discriminator.state_dict().items())


def test_generator_update_leaves_no_gradient_in_the_discriminator() -> None:
    batch = make_batch()
    torch.manual_seed(5)
    recipe = PENNetRecipe(small_recipe(), 48, STEPS, CPU, False)
    recipe.update(batch)
    gradients = [p.grad.clone() for p in recipe.discriminator.parameters()]
    assert all(p.requires_grad for p in recipe.discriminator.parameters())

    torch.manual_seed(5)
    alone = PENNetRecipe(small_recipe(), 48, STEPS, CPU, False)
    output = alone.generator(batch.image, batch.mask)
    composited = composite(batch.image, output.image, batch.mask).detach()
    discriminator_loss(alone.discriminator(batch.image), alone.discriminator(composited), "hinge").backward()
    for gradient, parameter in zip(gradients, alone.discriminator.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, atol=1e-6)


def test_step_sizes_fall_at_the_milestones() -> None:
    recipe, batch = (
        PENNetRecipe(small_recipe(lr_milestones=[0.25, 0.75], lr_decay_factor=0.1), 48, STEPS, CPU, False),
        make_batch(),
    )
    rates = []
    for _ in range(4):
        recipe.update(batch)
        rates.append(recipe.generator_optimizer.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


def test_a_loss_that_is_no_number_changes_no_weight() -> None:
    recipe, batch = PENNetRecipe(small_recipe(adversarial_weight=0.0), 48, STEPS, CPU, False), make_batch()
    before = [p.clone() for p in recipe.generator.parameters()]
    batch.image[0, 0, 0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="generator loss is nan"):
        recipe.update(batch)
    assert all(torch.equal(old, new) for old, new in zip(before, recipe.generator.parameters(), strict=True))


def test_a_gradient_that_is_no_number_changes_no_weight() -> None:
    """The root of 0 is 0 and its slope infinite: a finite loss, times 0 a gradient that is NaN."""
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = ScheduledOptimizer("generator", [weight], 0.1, (0.5, 0.9), [1], 0.5)
    with pytest.raises(FloatingPointError, match="the generator loss is finite, but the norm of its gradient is nan"):
        optimizer.update((0 * weight).sqrt().sum())
    with pytest.raises(FloatingPointError, match="the generator loss is finite, but the norm of its gradient is inf"):
        optimizer.update(weight.sqrt().sum())
    assert torch.equal(weight, torch.zeros(3))
    assert optimizer.scheduler.last_epoch == 0
    optimizer.update((weight - 1).square().sum())
    assert weight.min() > 0


def test_update_is_the_plain_one_of_adam_and_its_schedule() -> None:
    torch.manual_seed(0)
    ours, plain = (torch.nn.Linear(4, 3) for _ in range(2))
    plain.load_state_dict(ours.state_dict())
    scheduled = ScheduledOptimizer("generator", ours.parameters(), 0.1, (0.5, 0.9), [2], 0.5)
    adam = torch.optim.Adam(plain.parameters(), 0.1, (0.5, 0.9))
    for step in range(4):
        x = torch.randn(5, 4)
        scheduled.update(ours(x).square().mean())
        adam.zero_grad()
        plain(x).square().mean().backward()
        adam.step()
        if step == 1:
            adam.param_groups[0]["lr"] = 0.05
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))


def test_mixed_precision_is_refused_on_a_cpu() -> None:
    with pytest.raises(ValueError, match=r"train\.mixed_precision: true needs a CUDA device, and this run is on cpu"):
        PENNetRecipe(small_recipe(), 48, STEPS, CPU, mixed_precision=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_update_on_a_gpu(mixed_precision: bool) -> None:
    device = torch.device("cuda")
    losses = PENNetRecipe(small_recipe(), 48, STEPS, device, mixed_precision).update(make_batch().to(device))
    assert all(torch.isfinite(torch.tensor(value)) for value in losses.values())
