"""How PEN-Net learns: pyramid filling, with hole/valid L1, a pyramid loss and an adversarial loss (section 3.4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pennet.compositing import composite
from pennet.config.pennet import PENNetConfig
from pennet.losses import discriminator_loss, generator_adversarial_loss, hole_l1, pyramid_l1, valid_l1
from pennet.masks import mask_function
from pennet.models.discriminators import PatchDiscriminator
from pennet.models.initialisation import initialise
from pennet.models.pennet import PENNet
from pennet.recipes.updates import Precision, ScheduledOptimizer, place, reported, steps_at
from pennet.training.dataset import Batch


class PENNetRecipe:
    """Generator, discriminator, their optimisers, and one update of both.

    Args:
        config: architecture, losses and optimiser.
        image_size_px: side of the training images; not needed here, but by other recipes.
        steps: the budget, in generator updates, that the learning rate's milestones are shares of.
        device: where the networks live.
        mixed_precision: bfloat16 autocast for the convolutions; needs CUDA.
    """

    batches_per_step = 1

    def __init__(self, config: PENNetConfig, image_size_px: int, steps: int, device: torch.device, mixed_precision: bool):
        self.config = config
        self.training_mask = mask_function(config.training_mask)
        self.precision = Precision(mixed_precision, device)
        self.generator = PENNet.from_config(config)
        self.discriminator = PatchDiscriminator(config.discriminator_width, config.discriminator_strides)
        for network in (self.generator, self.discriminator):
            initialise(network, config.initialisation)
            place(network, device)
        self.generator.start_from_copy()
        shared = config.adam_betas, steps_at(config.lr_milestones, steps), config.lr_decay_factor
        self.generator_optimizer = ScheduledOptimizer(
            "generator", self.generator.parameters(), config.learning_rate, *shared
        )
        self.discriminator_optimizer = ScheduledOptimizer(
            "discriminator", self.discriminator.parameters(), config.discriminator_learning_rate, *shared
        )

    def update(self, batch: Batch) -> dict[str, float]:
        """See `pennet.training.loop.Recipe`: `generator` is the weighted sum, the others are unweighted."""
        config = self.config
        losses: dict[str, Tensor] = {}

        # Inpaint.
        with self.precision():
            output = self.generator(batch.image, batch.mask)
        prediction, pyramid = output.image.float(), [rgb.float() for rgb in output.pyramid]
        composited = composite(batch.image, prediction, batch.mask)

        # Discriminator: real pictures against composites.
        if config.adversarial_weight:
            with self.precision():
                real_logits = self.discriminator(batch.image)
                fake_logits = self.discriminator(composited.detach())
            losses["discriminator"] = discriminator_loss(real_logits.float(), fake_logits.float(), config.adversarial_loss)
            self.discriminator_optimizer.update(losses["discriminator"])

        # Generator: L1 in and around the hole, at every scale, and to be taken for real.
        losses["hole_l1"] = hole_l1(prediction, batch.image, batch.mask, config.hole_cell_px)
        losses["valid_l1"] = valid_l1(prediction, batch.image, batch.mask)
        losses["pyramid_l1"] = pyramid_l1(pyramid, batch.image)
        total = (
            config.hole_weight * losses["hole_l1"]
            + config.valid_weight * losses["valid_l1"]
            + config.pyramid_weight * losses["pyramid_l1"]
        )
        if config.adversarial_weight:
            self.discriminator.requires_grad_(False)
            with self.precision():
                fake_logits = self.discriminator(composited)
            losses["adversarial"] = generator_adversarial_loss(fake_logits.float(), config.adversarial_loss)
            total = total + config.adversarial_weight * losses["adversarial"]
            self.discriminator.requires_grad_(True)
        losses["generator"] = total
        self.generator_optimizer.update(total)
        return reported(losses)

    def parts(self) -> dict[str, Any]:
        """All that a checkpoint must hold."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
