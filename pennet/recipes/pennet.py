"""How PEN-Net learns: pyramid filling, with hole/valid L1, a pyramid loss and an adversarial loss (section 3.4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import MultiStepLR

from pennet.compositing import composite
from pennet.config import PENNetConfig
from pennet.data.dataset import Batch
from pennet.losses import discriminator_loss, generator_adversarial_loss, hole_l1, pyramid_l1, valid_l1
from pennet.models.discriminators import PatchDiscriminator
from pennet.models.initialisation import initialise
from pennet.models.pennet import PENNet


def build_generator(config: PENNetConfig) -> PENNet:
    """The generator a configuration describes, with PyTorch's default weights."""
    return PENNet(
        num_levels=config.num_levels,
        base_width=config.base_width,
        attention_mode=config.attention_mode,
        attention_levels=config.attention_levels,
        affinity=config.affinity,
        softmax_scale=config.softmax_scale,
        valid_threshold=config.valid_threshold,
        dilations=config.dilations,
    )


class PENNetRecipe:
    """Generator, discriminator, their optimisers, and one update of both.

    Args:
        config: architecture, losses and optimiser.
        device: where the networks live.
        mixed_precision: bfloat16 autocast for the convolutions; needs CUDA.
    """

    def __init__(self, config: PENNetConfig, device: torch.device, mixed_precision: bool):
        if mixed_precision and device.type != "cuda":
            raise ValueError(f"train.mixed_precision: true needs a CUDA device, and this run is on {device.type}")
        self.config = config
        self.mixed_precision = mixed_precision
        self.device = device
        self.generator: nn.Module = build_generator(config)
        self.discriminator = PatchDiscriminator(config.discriminator_width)
        for network in (self.generator, self.discriminator):
            initialise(network, config.initialisation)
            network.to(device).to(memory_format=torch.channels_last)  # faster convolutions, the same numbers
        beta1, beta2 = config.adam_betas
        self.generator_optimizer = Adam(self.generator.parameters(), config.learning_rate, (beta1, beta2))
        self.discriminator_optimizer = Adam(
            self.discriminator.parameters(), config.discriminator_learning_rate, (beta1, beta2)
        )
        self.generator_schedule, self.discriminator_schedule = (
            MultiStepLR(optimizer, config.lr_milestones_steps, config.lr_decay_factor)
            for optimizer in (self.generator_optimizer, self.discriminator_optimizer)
        )

    def update(self, batch: Batch) -> dict[str, float]:
        """See `pennet.training.loop.Recipe`: `generator` is the weighted sum, the others are unweighted."""
        config = self.config
        losses: dict[str, Tensor] = {}

        # Inpaint.
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision):
            output = self.generator(batch.image, batch.mask)
        prediction, pyramid = output.image.float(), [rgb.float() for rgb in output.pyramid]
        composited = composite(batch.image, prediction, batch.mask)

        # Discriminator: real pictures against composites.
        if config.adversarial_weight:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision):
                real_logits = self.discriminator(batch.image)
                fake_logits = self.discriminator(composited.detach())
            losses["discriminator"] = discriminator_loss(real_logits.float(), fake_logits.float(), config.adversarial_loss)
            _step(self.discriminator_optimizer, losses["discriminator"], "discriminator")
            self.discriminator_schedule.step()

        # Generator: L1 in and around the hole, at every scale, and to be taken for real.
        losses["hole_l1"] = hole_l1(prediction, batch.image, batch.mask)
        losses["valid_l1"] = valid_l1(prediction, batch.image, batch.mask)
        losses["pyramid_l1"] = pyramid_l1(pyramid, batch.image)
        total = (
            config.hole_weight * losses["hole_l1"]
            + config.valid_weight * losses["valid_l1"]
            + config.pyramid_weight * losses["pyramid_l1"]
        )
        if config.adversarial_weight:
            self.discriminator.requires_grad_(False)
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision):
                fake_logits = self.discriminator(composited)
            losses["adversarial"] = generator_adversarial_loss(fake_logits.float(), config.adversarial_loss)
            total = total + config.adversarial_weight * losses["adversarial"]
            self.discriminator.requires_grad_(True)
        losses["generator"] = total
        _step(self.generator_optimizer, total, "generator")
        self.generator_schedule.step()
        return {name: loss.item() for name, loss in losses.items()}

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
            "generator_schedule": self.generator_schedule,
            "discriminator_schedule": self.discriminator_schedule,
        }


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, name: str) -> None:
    """One optimiser update, refused if the loss is not a number."""
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the {name} loss is {loss.item()}")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
