import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from pennet.errors import UserError
from pennet.seeding import apply_runtime, choose_device, numerics
from tests.configs import small_runtime

RUNTIME = small_runtime()
CUDA = replace(RUNTIME, device="cuda")


def in_force() -> tuple[object, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.cudnn.conv.fp32_precision,
    )


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with one GPU that torch has not used yet; torch's settings are put back afterwards."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    yield
    apply_runtime(replace(RUNTIME, num_threads=threads))


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


@pytest.mark.usefixtures("fresh")
def test_every_choice_is_in_force_on_cuda_and_taken_back() -> None:
    assert apply_runtime(replace(CUDA, deterministic=True, tf32=True)) == torch.device("cuda")
    assert in_force() == (True, True, False, "tf32", "tf32")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    apply_runtime(replace(CUDA, cudnn_benchmark=True))
    assert in_force() == (False, False, True, "ieee", "ieee")


@pytest.mark.usefixtures("fresh")
def test_choices_that_act_on_cuda_change_nothing_on_a_cpu() -> None:
    apply_runtime(replace(RUNTIME, num_threads=2))
    plain = in_force()[:3]
    assert torch.get_num_threads() == 2
    apply_runtime(replace(RUNTIME, deterministic=True, tf32=True))
    assert in_force()[:3] == plain == (False, False, False)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.usefixtures("fresh")
def test_a_workspace_that_does_not_repeat_its_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    with pytest.raises(
        UserError, match=r"CUBLAS_WORKSPACE_CONFIG=:0:0: with runtime\.deterministic: true .*:4096:8.*unset it"
    ):
        apply_runtime(replace(CUDA, deterministic=True))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    apply_runtime(replace(CUDA, deterministic=True))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.usefixtures("fresh")
def test_repeatable_bits_asked_for_too_late_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(UserError, match="comes too late"):
        apply_runtime(replace(CUDA, deterministic=True))


@pytest.mark.usefixtures("fresh")
def test_numerics_split_what_can_differ_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = ({"deterministic": True}, {"tf32": True}, {"cudnn_benchmark": True})
    for change in changes:
        assert numerics(replace(RUNTIME, **change)) == numerics(RUNTIME)
        assert numerics(replace(CUDA, **change)) != numerics(CUDA)
    for runtime in (RUNTIME, CUDA):
        assert numerics(replace(runtime, num_threads=2)) != numerics(runtime)
        assert numerics(replace(runtime, num_workers=2)) == numerics(runtime)
    assert (
        numerics(RUNTIME)
        != numerics(CUDA)
        == numerics(replace(CUDA, device="auto"))
        == numerics(replace(CUDA, device="cuda:0"))
    )
    found = {}
    for version in ("2.14.1+cu130", "2.14.1+cpu", "2.15.0+cu130"):
        monkeypatch.setattr(torch, "__version__", version)
        found[version] = numerics(RUNTIME), numerics(CUDA)
    assert found["2.14.1+cu130"][0] == found["2.14.1+cpu"][0] != found["2.15.0+cu130"][0]
    assert found["2.14.1+cu130"][1] != found["2.14.1+cpu"][1]
