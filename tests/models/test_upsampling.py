import pytest
import torch

from pennet.models.upsampling import double, double_by_slices


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("size", [(2, 3, 8, 8), (1, 2, 1, 1), (1, 1, 1, 5), (2, 3, 7, 2), (1, 2, 16, 11)])
def test_slices_give_the_same_map_and_the_same_gradient_as_interpolation(
    size: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    x = (torch.rand(size, dtype=dtype) * 2 - 1).requires_grad_()
    interpolated, sliced = double(x), double_by_slices(x)
    weight = torch.rand_like(interpolated) / 4
    gradients = [torch.autograd.grad((doubled * weight).sum(), x)[0] for doubled in (interpolated, sliced)]
    torch.testing.assert_close(sliced, interpolated, atol=tolerance, rtol=0)
    torch.testing.assert_close(gradients[1], gradients[0], atol=tolerance, rtol=0)


def test_slices_in_half_precision_are_the_rounded_ones_of_full_precision() -> None:
    x = torch.rand(1, 2, 5, 6, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert torch.equal(double_by_slices(x), double_by_slices(x.float()).bfloat16())


def test_a_ramp_stays_a_ramp_between_the_same_corners() -> None:
    ramp = torch.arange(5, dtype=torch.float64).view(1, 1, 5, 1).expand(1, 1, 5, 4)
    expected = torch.linspace(0, 4, 10, dtype=torch.float64).view(1, 1, 10, 1).expand(1, 1, 10, 8)
    torch.testing.assert_close(double_by_slices(ramp), expected, atol=1e-12, rtol=0)


def test_double_asks_for_slices_on_cuda_with_repeatable_bits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's bits stay those of the interpolation, whatever torch's switch says."""
    x = torch.rand(1, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    plain = double(x)
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert torch.equal(double(x), plain)
