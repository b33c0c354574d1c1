"""How GntIpt learns: L1 of both stages, and SN-PatchGAN's hinge loss (Yu et al. 2019, section 3.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pennet.compositing import composite
from pennet.config.gntipt import GntIptConfig
from pennet.losses import discriminator_loss, generator_adversarial_loss
from pennet.masks import mask_function
from pennet.models.discriminators import SNPatchDiscriminator
from pennet.models.initialisation import initialise
from pennet.models.two_stage import GntIptGenerator
from pennet.recipes.updates import Precision, ScheduledOptimizer, place, reported, steps_at
from pennet.training.dataset import Batch


class GntIptRecipe:
    """Generator, discriminator, their optimisers, and one update of both. Arguments as for `PENNetRecipe`."""

    batches_per_step = 1

    def __init__(self, config: GntIptConfig, image_size_px: int, steps: int, device: torch.device, mixed_precision: bool):
        self.config = config
        self.training_mask = mask_function(config.training_mask)
        self.precision = Precision(mixed_precision, device)
        self.generator = GntIptGenerator.from_config(config)
        self.discriminator = SNPatchDiscriminator(config.discriminator_width)
        for network in (self.generator, self.discriminator):
            initialise(network, config.initialisation)
            place(network, device)
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
        prediction, coarse = output.image.float(), output.pyramid[0].float()
        composited = composite(batch.image, prediction, batch.mask)

        # Discriminator: real pictures against composites, knowing the mask.
        if config.adversarial_weight:
            with self.precision():
                real_logits = self.discriminator(batch.image, batch.mask)
                fake_logits = self.discriminator(composited.detach(), batch.mask)
            losses["discriminator"] = discriminator_loss(real_logits.float(), fake_logits.float(), "hinge")
            self.discriminator_optimizer.update(losses["discriminator"])

        # Generator: L1 over the whole picture, coarse and refined, and to be taken for real.
        losses["coarse_l1"] = (coarse - batch.image).abs().mean()
        losses["refined_l1"] = (prediction - batch.image).abs().mean()
        total = config.l1_weight * (losses["coarse_l1"] + losses["refined_l1"])
        if config.adversarial_weight:
            self.discriminator.requires_grad_(False)
            with self.precision():
                fake_logits = self.discriminator(composited, batch.mask)
            losses["adversarial"] = generator_adversarial_loss(fake_logits.float(), "hinge")
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
