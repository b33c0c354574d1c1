import pytest
import torch

from pennet.seeding import choose_device


@pytest.mark.parametrize("name", ["mps", "meta", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:01", "CUDA", ""])
def test_other_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"runtime.device: '{name}' is not auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_number_of_a_device_is_checked_against_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    for name in ("cuda:2", "cuda:1000"):
        with pytest.raises(ValueError, match=f"runtime.device: '{name}', but this machine's last CUDA device is cuda:1"):
            choose_device(name)


def test_cuda_without_a_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match="no usable CUDA device; use auto or cpu"):
            choose_device(name)
