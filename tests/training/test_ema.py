"""The moving average against its formula, in numbers that binary fractions hold exactly: not a bit may differ."""

import pytest
import torch
from torch import nn

from pennet.training.ema import EMA


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_average_has_the_bits_of_its_formula() -> None:
    network = nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randint(-8, 8, parameter.shape, generator=torch.Generator().manual_seed(0)))
    ema, expected = EMA(network, decay=0.75), weights(network)
    for _ in range(3):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 4
        ema.update(network, step=1000)
        expected = 0.75 * expected + 0.25 * weights(network)
        assert torch.equal(weights(ema.network), expected)


@pytest.mark.parametrize(("step", "kept"), [(2, 0.25), (8, 0.5), (26, 0.75), (1000, 0.9375)])
def test_decay_warms_up(step: int, kept: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    ema = EMA(network, decay=0.9375)
    nn.init.ones_(network.weight)
    ema.update(network, step)
    assert ema.network.weight.item() == 1 - kept


def test_average_is_in_eval_mode_learns_nothing_and_takes_buffers_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    ema = EMA(network, decay=0.5)
    network(torch.rand(4, 1, 3, 3))
    ema.update(network, step=1)
    assert not any(module.training for module in ema.network.modules())
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
    assert network.training
    for kept, current in zip(ema.network.buffers(), network.buffers(), strict=True):
        assert torch.equal(kept, current)
