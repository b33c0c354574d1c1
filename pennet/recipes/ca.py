"""How CA learns: spatially discounted L1, two Wasserstein discriminators with a gradient penalty.

Source: Yu et al. 2018, section 3. The literature on Wasserstein GANs calls such a discriminator a critic.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennet.compositing import composite
from pennet.config.ca import CAConfig
from pennet.losses import share_of_ones
from pennet.masks import mask_function
from pennet.models.discriminators import WassersteinDiscriminator
from pennet.models.initialisation import initialise
from pennet.models.two_stage import CAGenerator
from pennet.recipes.updates import Precision, ScheduledOptimizer, place, reported, steps_at
from pennet.training import processes
from pennet.training.dataset import Batch


class CARecipe:
    """Generator, discriminators of the hole's box and of the whole picture, their optimizers, and one update of all.

    Arguments as for `PENNetRecipe`.
    """

    def __init__(self, config: CAConfig, image_size_px: int, steps: int, device: torch.device, mixed_precision: bool):
        self.config = config
        self.training_mask = mask_function(config.training_mask)
        self.discriminator_steps = config.discriminator_steps if config.adversarial_weight else 0
        self.batches_per_step = self.discriminator_steps + 1
        self.precision = Precision(mixed_precision, device)
        self.generator = CAGenerator.from_config(config)
        width = config.discriminator_width
        self.box_discriminator = WassersteinDiscriminator([width, 2 * width, 4 * width, 8 * width], image_size_px // 2)
        self.picture_discriminator = WassersteinDiscriminator([width, 2 * width, 4 * width, 4 * width], image_size_px)
        for network in (self.generator, self.box_discriminator, self.picture_discriminator):
            initialise(network, config.initialisation)
            place(network, device)
        betas, factor, milestones = config.adam_betas, config.lr_decay_factor, steps_at(config.lr_milestones, steps)
        self.generator_optimizer = ScheduledOptimizer(
            "generator", self.generator.parameters(), config.learning_rate, betas, milestones, factor
        )
        self.discriminator_optimizer = ScheduledOptimizer(
            "discriminator",
            itertools.chain(self.box_discriminator.parameters(), self.picture_discriminator.parameters()),
            config.discriminator_learning_rate,
            betas,
            [step * config.discriminator_steps for step in milestones],
            factor,
        )

    def update(self, batch: Batch) -> dict[str, float]:
        """See `pennet.training.loop.Recipe`: `generator` is the weighted sum, the others are unweighted.

        The batch holds one batch for each discriminator update and one for the generator's. With `adversarial_weight: 0`
        nothing depends on the discriminators, so they do not learn.
        """
        config = self.config
        losses: dict[str, Tensor] = {}
        *discriminator_batches, generator_batch = batch.chunk(self.batches_per_step)

        # Discriminators: the larger the gap between real pictures and composites, the better they judge. The generator
        # rests meanwhile, so it paints for all their updates at once.
        for part, fake in zip(discriminator_batches, self._composites(discriminator_batches), strict=True):
            losses["discriminator"] = sum(
                (
                    discriminator(unreal).mean()
                    - discriminator(real).mean()
                    + config.gradient_penalty_weight * gradient_penalty(discriminator, real, unreal, hole)
                    for discriminator, real, unreal, hole in self._views(part.image, fake, part.mask)
                ),
                start=fake.new_zeros(()),
            )
            self.discriminator_optimizer.update(losses["discriminator"])

        # Generator: L1 that matters less far from the hole's border, L1 outside, and to score as high as real pictures.
        image, mask = generator_batch.image, generator_batch.mask
        with self.precision():
            output = self.generator(image, mask)
        prediction, coarse = output.image.float(), output.pyramid[0].float()
        discount = discounted(mask, config.discount)
        errors = config.coarse_weight * (coarse - image).abs() + (prediction - image).abs()
        losses["hole_l1"] = (errors * discount).mean() / share_of_ones(mask)
        losses["known_l1"] = (errors * (1 - mask)).mean() / share_of_ones(1 - mask)
        total = config.l1_weight * losses["hole_l1"] + config.known_weight * losses["known_l1"]
        if config.adversarial_weight:
            fake = composite(image, prediction, mask)
            self._freeze_discriminators(True)
            scores = [discriminator(unreal).mean() for discriminator, _, unreal, _ in self._views(image, fake, mask)]
            losses["adversarial"] = -torch.stack(scores).sum()
            total = total + config.adversarial_weight * losses["adversarial"]
            self._freeze_discriminators(False)
        losses["generator"] = total
        self.generator_optimizer.update(total)
        return reported(losses)

    def parts(self) -> dict[str, Any]:
        """All that a checkpoint must hold: everything that learns."""
        parts: dict[str, Any] = {"generator": self.generator, "generator_optimizer": self.generator_optimizer}
        if not self.discriminator_steps:
            return parts
        return {
            **parts,
            "box_discriminator": self.box_discriminator,
            "picture_discriminator": self.picture_discriminator,
            "discriminator_optimizer": self.discriminator_optimizer,
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
        """What each discriminator sees: the box around the hole, and the whole picture."""
        box = [crop_to_hole(x, mask) for x in (real, fake, mask)]
        return [(self.box_discriminator, box[0], box[1], box[2]), (self.picture_discriminator, real, fake, mask)]

    def _freeze_discriminators(self, frozen: bool) -> None:
        for discriminator in (self.box_discriminator, self.picture_discriminator):
            discriminator.requires_grad_(not frozen)


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """Mean (|gradient of the discriminator| - 1)², taken over hole pixels, at random points between real and fake.

    Args:
        discriminator: (B, 3, h, w) -> scores.
        real, fake: (B, 3, h, w).
        mask: (B, 1, h, w), 1 = hole.

    Source: Yu et al. 2018, equation 5 (Gulrajani et al. 2017, with a mask).
    """
    of_all = torch.rand(processes.number() * len(real), 1, 1, 1, device=real.device)
    share = processes.own(of_all)  # the same for a sample, whichever process has it
    between = (share * real + (1 - share) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
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
    """The window of half of each side with the most hole pixels; of several, the lowest and then the rightmost.

    (B, C, H, W), (B, 1, H, W) -> (B, C, H/2, W/2). A hole that fits is whole in it and begins in its first line and column,
    but for the picture's edge; one that is larger, or scattered, is cut.
    """
    height, width = mask.shape[-2] // 2, mask.shape[-1] // 2
    sums = F.pad(mask[:, 0].long().cumsum(1).cumsum(2), (1, 0, 1, 0))  # of all pixels above and to the left
    holes = sums[:, height:, width:] - sums[:, :-height, width:] - sums[:, height:, :-width] + sums[:, :-height, :-width]
    places = holes.flatten(1)
    last = places.shape[1] - 1 - places.flip(1).argmax(dim=1)
    top, left = last // holes.shape[2], last % holes.shape[2]
    rows = top[:, None] + torch.arange(height, device=x.device)
    columns = left[:, None] + torch.arange(width, device=x.device)
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    return x.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
