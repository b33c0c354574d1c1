"""CA's and GntIpt's learning against closed forms and their papers' equations."""

import copy

import numpy as np
import pytest
import torch

from pennet.config.ca import CAConfig
from pennet.config.gntipt import GntIptConfig
from pennet.masks import KINDS, mask_function
from pennet.masks.jittered_box import jittered_box
from pennet.methods import build_recipe
from pennet.recipes.ca import crop_to_hole, discounted, gradient_penalty
from pennet.training.dataset import Batch
from tests.configs import small_ca, small_gntipt

CPU = torch.device("cpu")
STEPS = 4
SIDE = 32


def make_batch(count: int) -> Batch:
    torch.manual_seed(1)
    masks = np.stack([jittered_box(np.random.default_rng(seed), SIDE, SIDE) for seed in range(count)])
    image = torch.linspace(-0.8, 0.8, SIDE).expand(count, 3, SIDE, SIDE)
    return Batch(image.contiguous(), torch.from_numpy(masks[:, None].astype(np.float32)))


@pytest.mark.parametrize("config", [small_ca(), small_gntipt()], ids=["ca", "gntipt"])
def test_updates_lower_the_loss_and_move_every_weight(config: CAConfig | GntIptConfig) -> None:
    torch.manual_seed(0)
    recipe = build_recipe(config, SIDE, STEPS, CPU, False)
    batch = make_batch(2 * recipe.batches_per_step)
    before = {name: value.clone() for name, value in recipe.generator.named_parameters()}
    first = recipe.update(batch)
    for _ in range(25):
        last = recipe.update(batch)
    key = "refined_l1" if isinstance(config, GntIptConfig) else "hole_l1"
    assert last[key] < 0.8 * first[key]
    assert [name for name, value in recipe.generator.named_parameters() if torch.equal(value, before[name])] == []


@pytest.mark.parametrize("config", [small_ca(), small_gntipt()], ids=["ca", "gntipt"])
def test_state_of_all_parts_repeats_the_next_update(config: CAConfig | GntIptConfig) -> None:
    torch.manual_seed(0)
    recipe = build_recipe(config, SIDE, STEPS, CPU, False)
    batch = make_batch(2 * recipe.batches_per_step)
    recipe.update(batch)
    saved = {name: part.state_dict() for name, part in recipe.parts().items()}
    saved = torch.load(_bytes(saved), weights_only=True)
    torch.manual_seed(4)
    expected = recipe.update(batch)

    torch.manual_seed(99)
    other = build_recipe(config, SIDE, STEPS, CPU, False)
    for name, part in other.parts().items():
        part.load_state_dict(saved[name])
    torch.manual_seed(4)
    assert other.update(batch) == expected


def _bytes(state):
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
@pytest.mark.parametrize("small", [small_ca, small_gntipt])
def test_every_kind_of_mask_can_be_trained_on(small, kind: str) -> None:
    recipe = build_recipe(small(training_mask=kind), SIDE, STEPS, CPU, False)
    assert recipe.training_mask is mask_function(kind)
    count = 6 * recipe.batches_per_step
    masks = np.stack([recipe.training_mask(np.random.default_rng(seed), SIDE, SIDE) for seed in range(count)])
    batch = Batch(torch.rand(count, 3, SIDE, SIDE) * 2 - 1, torch.from_numpy(masks[:, None].astype(np.float32)))
    assert all(np.isfinite(value) for value in recipe.update(batch).values())


def test_ca_takes_its_discriminator_steps_with_a_batch_each() -> None:
    recipe = build_recipe(small_ca(discriminator_steps=3, lr_milestones=[0.5], lr_decay_factor=0.1), SIDE, STEPS, CPU, False)
    assert recipe.batches_per_step == 4
    for _ in range(2):
        recipe.update(make_batch(8))
    discriminators, generator = (recipe.parts()[f"{name}_optimizer"] for name in ("discriminator", "generator"))
    assert discriminators.scheduler.last_epoch == 6
    assert generator.scheduler.last_epoch == 2
    rates = [learner.optimizer.param_groups[0]["lr"] for learner in (discriminators, generator)]
    assert rates == pytest.approx([1e-4, 1e-4])  # both fell at the same generator update


def test_ca_discriminators_learn_as_if_each_batch_were_painted_by_itself() -> None:
    """Against the paper's order written out: paint a batch, score it, one update of both discriminators, the next batch."""
    torch.manual_seed(0)
    recipe = build_recipe(small_ca(discriminator_steps=3), SIDE, STEPS, CPU, False)
    literal = copy.deepcopy(recipe)
    batch = make_batch(8)

    torch.manual_seed(5)
    losses = recipe.update(batch)

    torch.manual_seed(5)
    discriminators = (literal.box_discriminator, literal.picture_discriminator)
    optimizer = torch.optim.Adam(
        [p for discriminator in discriminators for p in discriminator.parameters()], 1e-3, literal.config.adam_betas
    )
    for start in (0, 2, 4):
        image, mask = batch.image[start : start + 2], batch.mask[start : start + 2]
        with torch.no_grad():
            fake = torch.where(mask == 1, literal.generator(image, mask).image, image)
        loss = torch.zeros(())
        for discriminator, view in zip(discriminators, (lambda x, m=mask: crop_to_hole(x, m), lambda x: x), strict=True):
            penalty = gradient_penalty(discriminator, view(image), view(fake), view(mask))
            loss = loss + discriminator(view(fake)).mean() - discriminator(view(image)).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert losses["discriminator"] == pytest.approx(loss.item(), rel=1e-4)
    for discriminator, expected in zip(
        (recipe.box_discriminator, recipe.picture_discriminator), discriminators, strict=True
    ):
        for name, value in discriminator.state_dict().items():
            torch.testing.assert_close(value, expected.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_ca_without_an_adversarial_loss_neither_draws_nor_trains_for_its_discriminators() -> None:
    config = small_ca(adversarial_weight=0.0, discriminator_steps=3, lr_milestones=[0.5])
    recipe = build_recipe(config, SIDE, STEPS, CPU, False)
    assert recipe.batches_per_step == 1
    assert set(recipe.parts()) == {"generator", "generator_optimizer"}
    before = {name: value.clone() for name, value in recipe.box_discriminator.state_dict().items()}
    losses = recipe.update(make_batch(2))
    assert all(torch.equal(recipe.box_discriminator.state_dict()[name], value) for name, value in before.items())
    assert set(losses) == {"hole_l1", "known_l1", "generator"}


def test_gradient_penalty_of_a_linear_discriminator_is_its_closed_form() -> None:
    """f(x) = w·x has the gradient w everywhere; over the hole its norm is |w · mask|."""
    torch.manual_seed(0)
    weight, mask = torch.randn(3, 8, 8), torch.zeros(2, 1, 8, 8)
    mask[0, :, :4], mask[1, :, :, 2:3] = 1, 1
    discriminator = torch.nn.Flatten()
    linear = torch.nn.Linear(192, 1)
    with torch.no_grad():
        linear.weight.copy_(weight.flatten()[None])
    network = torch.nn.Sequential(discriminator, linear)
    norms = (weight[None] * mask).flatten(1).norm(dim=1)
    expected = (norms - 1).square().mean().item()
    got = gradient_penalty(network, torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8), mask)
    assert got.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("rows", "columns"), [((2, 9), (3, 10)), ((0, 7), (3, 10)), ((5, 12), (4, 13)), ((0, 12), (0, 13)), ((0, 12), (6, 7))]
)
def test_discount_falls_with_the_distance_from_the_border_or_the_edge(
    rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    mask = torch.zeros(1, 1, 12, 13)
    mask[..., slice(*rows), slice(*columns)] = 1
    weights = discounted(mask, 0.9)[0, 0]
    for y in range(12):
        for x in range(13):
            inside = mask[0, 0, y, x] > 0
            distance = min(y - rows[0], rows[1] - 1 - y, x - columns[0], columns[1] - 1 - x)
            assert weights[y, x].item() == pytest.approx(0.9**distance if inside else 0.0, rel=1e-5)


def test_discount_of_an_empty_mask_is_zero() -> None:
    assert not discounted(torch.zeros(2, 1, 8, 8), 0.9).any()


def test_crop_holds_the_whole_hole_and_follows_each_sample() -> None:
    masks = torch.from_numpy(np.stack([jittered_box(np.random.default_rng(s), 32, 48) for s in range(20)])[:, None]).float()
    picture = torch.arange(32 * 48, dtype=torch.float32).view(1, 1, 32, 48).expand(20, 1, 32, 48)
    cropped_mask, cropped = crop_to_hole(masks, masks), crop_to_hole(picture, masks)
    assert cropped.shape == (20, 1, 16, 24)
    assert torch.equal(cropped_mask.sum(dim=(1, 2, 3)), masks.sum(dim=(1, 2, 3)))
    for sample in range(20):
        first = int(cropped[sample, 0, 0, 0])
        top, left = divmod(first, 48)
        assert torch.equal(cropped[sample, 0], picture[sample, 0, top : top + 16, left : left + 24])


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (25, 33)])
def test_crop_is_the_window_with_the_most_hole_pixels(size: tuple[int, int]) -> None:
    """Counted window by window, on holes that are scattered, larger than the window, or not there."""
    height, width = size
    masks = [mask_function(kind)(np.random.default_rng(s), *size) for kind in ("irregular", "free_form") for s in range(8)]
    masks += [np.ones(size, np.uint8), np.zeros(size, np.uint8)]
    mask = torch.from_numpy(np.stack(masks)[:, None]).float()
    cropped = crop_to_hole(mask, mask)
    assert cropped.shape == (len(masks), 1, height // 2, width // 2)
    for crop, hole in zip(cropped, masks, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(hole, (height // 2, width // 2))
        assert crop.sum().item() == windows.sum(axis=(2, 3)).max()


def test_losses_are_the_papers_weighted_sums() -> None:
    torch.manual_seed(0)
    config = small_gntipt(adversarial_weight=0.3, l1_weight=2.0)
    losses = build_recipe(config, SIDE, STEPS, CPU, False).update(make_batch(2))
    expected = 2.0 * (losses["coarse_l1"] + losses["refined_l1"]) + 0.3 * losses["adversarial"]
    assert losses["generator"] == pytest.approx(expected, rel=1e-5)
    ca = small_ca(l1_weight=1.5, known_weight=0.5, adversarial_weight=0.2)
    losses = build_recipe(ca, SIDE, STEPS, CPU, False).update(make_batch(2 * (ca.discriminator_steps + 1)))
    expected = 1.5 * losses["hole_l1"] + 0.5 * losses["known_l1"] + 0.2 * losses["adversarial"]
    assert losses["generator"] == pytest.approx(expected, rel=1e-4)
