"""An exported generator, run by ONNX Runtime, where a generator of torch is expected."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from pennet.data.sources.search import in_one_line, shown
from pennet.errors import UserError
from pennet.extras import require
from pennet.models.output import GeneratorOutput

MAX_GIB = 4.0
"""What dense attention may take, unless told."""
SCORES_HELD = 2
"""How many matrices of scores exist at once: what goes into a step and what comes out. Measured: 2.0 at 256 px."""


class OnnxGenerator(nn.Module):
    """Takes and returns what a generator of `pennet.models` does, so that `pennet.inference` and `Inpainter` take it.

    Args:
        path: a file written by `pennet export --onnx`.
        max_gib: memory that its attention may take, in GiB.

    Attributes:
        name, unit_px, has_attention, softmax_scale: as of the generator that was exported.
        trained_size_px: side of the pictures that it was trained on; None if the file does not say.

    Raises:
        UserError: no ONNX Runtime installed, no such file, or no such ONNX file.
    """

    def __init__(self, path: Path | str, max_gib: float = MAX_GIB):
        super().__init__()
        require("onnx", "onnxruntime")
        import onnxruntime

        if not Path(path).is_file():
            raise UserError(
                f"{(name := in_one_line(str(path)))}: no such file; pennet export MODEL --onnx {name} writes one"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors; warnings are about initializers that may be overridden, which is meant
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a family of its own, without a common name
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{in_one_line(str(path))}: not an ONNX file that can be run ({reason}); give one that pennet export wrote"
            ) from error
        found = self.session.get_modelmeta().custom_metadata_map
        if not {"name", "unit_px", "attention_cell_px"} <= found.keys():
            raise UserError(
                f"{in_one_line(str(path))}: an ONNX file of something else; give one that pennet export --onnx wrote"
            )
        self.path, self.max_gib = Path(path), max_gib
        self.name = found["name"]
        self.unit_px = int(found["unit_px"])
        self.trained_size_px = int(found["trained_size_px"]) if "trained_size_px" in found else None
        self.attention_cell_px = int(found["attention_cell_px"])
        self.has_attention = self.attention_cell_px > 0
        self.softmax_scale = float(found["softmax_scale"]) if self.has_attention else None
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # says which device pictures come from

    def attention_gib(self, batch: int, height: int, width: int) -> float:
        """Memory that attention takes for pictures of that size, in GiB."""
        if not self.has_attention:
            return 0.0
        positions = (height // self.attention_cell_px) * (width // self.attention_cell_px)
        return SCORES_HELD * 4 * batch * positions**2 / 2**30

    def forward(self, image: Tensor, mask: Tensor, sharpness: float | None = None) -> GeneratorOutput:
        """Predicts the whole picture; arguments as of `PENNet.forward`. The output has no pyramid.

        Raises:
            ValueError: a side that does not divide by the unit.
            UserError: dense attention would take more memory than allowed.
        """
        batch, _, height, width = image.shape
        if height % self.unit_px or width % self.unit_px:
            raise ValueError(
                f"image of {height}x{width} px: {self.path.name} needs sides that divide by {self.unit_px}; pad the image"
                " (pennet.inference.inpaint does)"
            )
        needed = self.attention_gib(batch, height, width)
        if needed > self.max_gib:
            raise UserError(
                f"{shown(self.path)}: {batch} x {height}x{width} px at once need some {needed:.1f} GiB for ONNX's dense"
                f" attention, more than {self.max_gib:g}; use the model's folder instead of the ONNX file, or smaller"
                " pictures"
            )
        feed = {"image": image, "mask": mask}
        arrays = {name: value.detach().float().cpu().contiguous().numpy() for name, value in feed.items()}
        if sharpness is not None:
            arrays["sharpness"] = torch.tensor(float(sharpness)).numpy()
        (output,) = self.session.run(["output"], arrays)
        return GeneratorOutput(torch.from_numpy(output).to(image.device), ())


def load_onnx(path: Path | str) -> OnnxGenerator:
    """The generator of an ONNX file; see `OnnxGenerator`."""
    return OnnxGenerator(path).eval()
