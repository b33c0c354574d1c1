"""One optimiser update, and what all recipes share around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import MultiStepLR

from pennet.errors import UserError
from pennet.training import processes


class ScheduledOptimizer:
    """Adam and the schedule of its step size, for parameters that learn together.

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
        self.parameters = list(parameters)
        beta1, beta2 = betas
        self.optimizer: Optimizer = Adam(self.parameters, learning_rate, (beta1, beta2))
        self.scheduler = MultiStepLR(self.optimizer, list(milestones), factor)

    def update(self, loss: Tensor) -> None:
        """Makes one update, the same in all processes: with the mean of the gradients of their parts of the batch.

        Raises:
            FloatingPointError: the loss or a gradient is NaN or infinite, in any process; no weight has changed.
            ProcessLost: another process has ended.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        loss = processes.average_gradients(self.parameters, loss.detach())
        norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        finite = torch.isfinite(torch.stack([loss, norm.to(loss)]))
        if not finite.all():  # the one place where the processor waits for the device
            what = "loss is" if not finite[0] else "loss is finite, but the norm of its gradient is"
            raise FloatingPointError(f"the {self.name} {what} {(norm if finite[0] else loss).item()}")
        self.optimizer.step()
        self.scheduler.step()

    def state_dict(self) -> dict[str, object]:
        return {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


def reported(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """The losses of the global batch, as numbers, from those of this process's part of it."""
    means = processes.average(torch.stack([loss.detach() for loss in losses.values()]))
    return dict(zip(losses, means.tolist(), strict=True))


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
