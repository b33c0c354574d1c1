"""How CA learns: spatially discounted L1, two Wasserstein critics with a gradient penalty (Yu et al. 2018, section 3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from pennet.compositing import composite
from pennet.config import CAConfig
from pennet.data.dataset import Batch
from pennet.data.masks import jittered_box
from pennet.models.critics import WassersteinCritic
from pennet.models.initialisation import initialise
from pennet.models.two_stage import CAGenerator
from pennet.recipes.updates import Learner, Precision, place, steps_at


def build_generator(config: CAConfig) -> CAGenerator:
    """The generator a configuration describes, with PyTorch's default weights."""
    return CAGenerator(config.base_width, config.softmax_scale)


class CARecipe:
    """Generator, critics of the hole's box and of the whole picture, and their updates. Arguments as for `PENNetRecipe`."""

    training_mask = staticmethod(jittered_box)

    def __init__(self, config: CAConfig, image_size_px: int, steps: int, device: torch.device, mixed_precision: bool):
        self.config = config
        self.critic_steps = config.critic_steps if config.adversarial_weight else 0
        self.batches_per_step = self.critic_steps + 1
        self.precision = Precision(mixed_precision, device)
        self.generator = build_generator(config)
        width = config.critic_width
        self.box_critic = WassersteinCritic([width, 2 * width, 4 * width, 8 * width], image_size_px // 2)
        self.picture_critic = WassersteinCritic([width, 2 * width, 4 * width, 4 * width], image_size_px)
        for network in (self.generator, self.box_critic, self.picture_critic):
            initialise(network, config.initialisation)
            place(network, device)
        betas, factor, milestones = config.adam_betas, config.lr_decay_factor, steps_at(config.lr_milestones, steps)
        self.painting = Learner("generator", self.generator.parameters(), config.learning_rate, betas, milestones, factor)
        self.judging = Learner(
            "critic",
            itertools.chain(self.box_critic.parameters(), self.picture_critic.parameters()),
            config.critic_learning_rate,
            betas,
            [step * config.critic_steps for step in milestones],
            factor,
        )

    def update(self, batch: Batch) -> dict[str, float]:
        """See `pennet.training.loop.Recipe`: `generator` is the weighted sum, the others are unweighted.

        The batch holds one batch for each critic update and one for the generator's. With `adversarial_weight: 0` nothing
        depends on the critics, so they do not learn.
        """
        config = self.config
        losses: dict[str, Tensor] = {}
        *critic_batches, generator_batch = batch.chunk(self.batches_per_step)

        # Critics: the larger the gap between real pictures and composites, the better they judge. The generator rests
        # meanwhile, so it paints for all their updates at once.
        for part, fake in zip(critic_batches, self._composites(critic_batches), strict=True):
            losses["critic"] = sum(
                (
                    critic(unreal).mean()
                    - critic(real).mean()
                    + config.gradient_penalty_weight * gradient_penalty(critic, real, unreal, hole)
                    for critic, real, unreal, hole in self._views(part.image, fake, part.mask)
                ),
                start=fake.new_zeros(()),
            )
            self.judging.update(losses["critic"])

        # Generator: L1 that matters less far from the hole's border, L1 outside, and to score as high as real pictures.
        image, mask = generator_batch.image, generator_batch.mask
        with self.precision():
            output = self.generator(image, mask)
        prediction, coarse = output.image.float(), output.pyramid[0].float()
        discount = discounted(mask, config.discount)
        errors = config.coarse_weight * (coarse - image).abs() + (prediction - image).abs()
        losses["hole_l1"] = (errors * discount).mean() / mask.mean().clamp_min(1 / mask.numel())
        losses["known_l1"] = (errors * (1 - mask)).mean() / (1 - mask).mean().clamp_min(1 / mask.numel())
        total = config.l1_weight * losses["hole_l1"] + config.known_weight * losses["known_l1"]
        if config.adversarial_weight:
            fake = composite(image, prediction, mask)
            self._freeze_critics(True)
            scores = [critic(unreal).mean() for critic, _, unreal, _ in self._views(image, fake, mask)]
            losses["adversarial"] = -torch.stack(scores).sum()
            total = total + config.adversarial_weight * losses["adversarial"]
            self._freeze_critics(False)
        losses["generator"] = total
        self.painting.update(total)
        return {name: loss.item() for name, loss in losses.items()}

    def parts(self) -> dict[str, Any]:
        """All that a checkpoint must hold: everything that learns."""
        painting = {"generator": self.generator, "painting": self.painting}
        if not self.critic_steps:
            return painting
        return {
            **painting,
            "box_critic": self.box_critic,
            "picture_critic": self.picture_critic,
            "judging": self.judging,
        }

    def _composites(self, batches: list[Batch]) -> Sequence[Tensor]:
        """What the generator makes of each batch, without gradients."""
        if not batches:
            return []
        image, mask = (torch.cat(parts) for parts in zip(*((batch.image, batch.mask) for batch in batches), strict=True))
        with torch.no_grad(), self.precision():
            prediction = self.generator(image, mask).image
        return composite(image, prediction.float(), mask).chunk(len(batches))

    def _views(self, real: Tensor, fake: Tensor, mask: Tensor) -> list[tuple[nn.Module, Tensor, Tensor, Tensor]]:
        """What each critic sees: the box around the hole, and the whole picture."""
        box = [crop_to_hole(x, mask) for x in (real, fake, mask)]
        return [(self.box_critic, box[0], box[1], box[2]), (self.picture_critic, real, fake, mask)]

    def _freeze_critics(self, frozen: bool) -> None:
        for critic in (self.box_critic, self.picture_critic):
            critic.requires_grad_(not frozen)


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """Mean (|gradient of the critic| - 1)², taken over hole pixels, at random points between real and fake.

    Args:
        critic: (B, 3, h, w) -> scores.
        real, fake: (B, 3, h, w).
        mask: (B, 1, h, w), 1 = hole.

    Source: Yu et al. 2018, equation 5 (Gulrajani et al. 2017, with a mask).
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = ((gradient * mask).square().sum(dim=(1, 2, 3)) + 1e-12).sqrt()
    return (norms - 1).square().mean()


def discounted(mask: Tensor, discount: float) -> Tensor:
    """discount**d in the hole, d the number of pixels to its border (0 at the border); 0 outside: (B, 1, H, W) -> the same.

    A hole that reaches the picture's edge has its border there.

    Source: Yu et al. 2018, section 3.2, spatially discounted reconstruction loss.
    """
    holes = mask[:, 0].to(torch.uint8).cpu().numpy()
    ringed = np.pad(holes, ((0, 0), (1, 1), (1, 1)))
    distances = np.stack([cv2.distanceTransform(hole, cv2.DIST_C, 3)[1:-1, 1:-1] for hole in ringed])[:, None]
    return mask * discount ** (torch.from_numpy(distances).to(mask) - 1).clamp_min(0)


def crop_to_hole(x: Tensor, mask: Tensor) -> Tensor:
    """The window of half of each side whose first line and column are the hole's, or the last that fit.

    (B, C, H, W), (B, 1, H, W) -> (B, C, H/2, W/2). A hole that is larger is cut.
    """
    height, width = mask.shape[-2:]
    top = mask[:, 0].amax(dim=2).argmax(dim=1).clamp_max(height - height // 2)
    left = mask[:, 0].amax(dim=1).argmax(dim=1).clamp_max(width - width // 2)
    rows = top[:, None] + torch.arange(height // 2, device=x.device)
    columns = left[:, None] + torch.arange(width // 2, device=x.device)
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    return x.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
