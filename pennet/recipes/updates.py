"""One optimiser update, and what all recipes share around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import MultiStepLR

from pennet.errors import UserError


class Learner:
    """Networks that learn together: their optimiser and its step-size schedule.

    Args:
        name: what to call their loss in an error.
        parameters: what is learned.
        learning_rate: Adam's step size.
        betas: Adam's two decay rates.
        milestones: updates at which the step size is multiplied by `factor`.
        factor: see there.
    """

    def __init__(
        self,
        name: str,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        betas: Sequence[float],
        milestones: Sequence[int],
        factor: float,
    ):
        self.name = name
        beta1, beta2 = betas
        self.optimizer: Optimizer = Adam(parameters, learning_rate, (beta1, beta2))
        self.schedule = MultiStepLR(self.optimizer, list(milestones), factor)

    def update(self, loss: Tensor) -> None:
        """Makes one update.

        Raises:
            FloatingPointError: the loss is NaN or infinite; no weight has changed.
        """
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the {self.name} loss is {loss.item()}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()

    def state_dict(self) -> dict[str, object]:
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def steps_at(shares: Sequence[float], steps: int) -> list[int]:
    """Milestones in updates: shares of the budget, so that a longer training decays its step size later."""
    return [max(1, round(share * steps)) for share in shares]


def place(network: nn.Module, device: torch.device) -> None:
    """Moves a network, its convolutions in the memory layout that is faster and gives the same numbers."""
    network.to(device).to(memory_format=torch.channels_last)


class Precision:
    """Opens autocast regions: bfloat16 on CUDA where it is asked for, plain float32 elsewhere.

    Raises:
        UserError: mixed precision is asked for on another device than CUDA.
    """

    def __init__(self, mixed: bool, device: torch.device):
        if mixed and device.type != "cuda":
            raise UserError(f"train.mixed_precision: true needs a CUDA device, and this run is on {device.type}")
        self.mixed = mixed
        self.device_type = device.type

    def __call__(self) -> torch.autocast:
        return torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=self.mixed)
