"""The losses of PEN-Net as functions of tensors (Zeng et al., section 3.4).

Where several processes share a batch, each computes the loss of its part; the mean over the processes is that of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from pennet.training import processes

AdversarialLoss = Literal["hinge", "nsgan"]


def hole_l1(prediction: Tensor, image: Tensor, mask: Tensor, cell_px: int = 1) -> Tensor:
    """Mean |prediction - image| over the batch's hole pixels; 0 if there are none.

    Args:
        prediction, image: (B, 3, H, W) in [-1, 1].
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.
        cell_px: side of the cells over whose hole pixels the two are averaged first; H and W must divide by it. With 1 it
            is the paper's loss; with more, what texture does inside of a cell is left to other losses.
    """
    error = F.avg_pool2d((prediction - image) * mask, cell_px)
    return error.abs().mean() / share_of_ones(mask)


def share_of_ones(mask: Tensor) -> Tensor:
    """The share of the whole batch's pixels that are 1, in all processes; that of one pixel if there are none.

    Args:
        mask: (B, 1, H, W) in {0, 1}.
    """
    return processes.average(mask.mean()).clamp_min(1 / (processes.number() * mask.numel()))


def valid_l1(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Mean |prediction - image| over the batch's known pixels; 0 if there are none. Arguments as for `hole_l1`."""
    return hole_l1(prediction, image, 1 - mask)


def pyramid_l1(pyramid: Sequence[Tensor], image: Tensor) -> Tensor:
    """Sum over the scales of the L1 distance between the RGB prediction and the resized ground truth.

    Args:
        pyramid: RGB predictions (B, 3, H/2**k, W/2**k).
        image: ground truth (B, 3, H, W).

    Source: Zeng et al. 2019, equation 6.
    """
    total = image.new_zeros(())
    for prediction in pyramid:
        target = F.interpolate(image, prediction.shape[-2:], mode="bilinear", align_corners=True)
        total = total + F.l1_loss(prediction, target)
    return total


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, kind: AdversarialLoss) -> Tensor:
    """Mean of the losses on real pictures and on composites.

    `hinge`: relu(1 - real), relu(1 + fake). `nsgan`: cross entropy of the sigmoid.
    """
    if kind == "hinge":
        return (F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()) / 2
    return (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()) / 2


def generator_adversarial_loss(fake_logits: Tensor, kind: AdversarialLoss) -> Tensor:
    """What the generator minimises to be taken for real: -mean(logits) (`hinge`) or -log sigmoid (`nsgan`)."""
    if kind == "hinge":
        return -fake_logits.mean()
    return F.softplus(-fake_logits).mean()
