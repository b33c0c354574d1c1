"""Writes a trained generator as one ONNX file, whose batch, height and width are free."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pennet.atomic import replacing
from pennet.errors import UserError
from pennet.extras import require

OPSET = 18
"""Of the operators; ONNX Runtime reads it since 1.14."""
MAX_BYTES = 2**31 - 1
"""Of a file with its weights inside, which is one protobuf message."""


def export_onnx(generator: Any, path: Path, name: str, trained_size_px: int | None = None) -> None:
    """Exports a generator.

    The graph's inputs are `image` (B, 3, H, W), float in [-1, 1], and `mask` (B, 1, H, W), float in {0, 1}, 1 = hole, whose
    sides divide by the unit, and with attention `sharpness`, a float without dimensions that may be left out; its output
    is `output` (B, 3, H, W) in [-1, 1], known pixels included. The file's metadata hold `name`, `unit_px`,
    `trained_size_px` (if known), `softmax_scale` and `attention_cell_px` (0 without attention).

    Args:
        generator: a `PENNet` or a `TwoStageGenerator`; on the CPU, in eval mode.
        path: of the file; it appears when it is whole.
        name: of the model.
        trained_size_px: side of the pictures that it was trained on.

    Raises:
        UserError: no ONNX installed, a generator of another kind, or one too large for one file.
    """
    require("onnx", "onnx")
    import onnx
    import torch

    from pennet.onnx.dense_networks import dense

    network = dense(generator).eval()
    unit = int(generator.unit_px)
    has_attention = network.attention_cell_px > 0
    weights = sum(value.numel() * value.element_size() for value in generator.state_dict().values())
    if weights > MAX_BYTES:
        raise UserError(f"{name}: weights of {weights} bytes; a single ONNX file holds less than 2 GiB")
    # Two samples, and sides of different lengths: what the file must not take for granted.
    image, mask = torch.zeros(2, 3, 2 * unit, 3 * unit), torch.zeros(2, 1, 2 * unit, 3 * unit)
    arguments: tuple[torch.Tensor, ...] = (image, mask)
    if has_attention:
        arguments = (*arguments, torch.tensor(float(generator.softmax_scale)))
    inputs = ["image", "mask", "sharpness"][: len(arguments)]
    free = {0: "batch", 2: "height", 3: "width"}
    with replacing(path) as temporary:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on tracing; what it keeps is tested at many sizes
            # By tracing: `dynamo=True` proves every shape for every size, which takes minutes instead of seconds.
            torch.onnx.export(
                network,
                arguments,
                str(temporary),
                dynamo=False,
                opset_version=OPSET,
                input_names=inputs,
                output_names=["output"],
                dynamic_axes={"image": free, "mask": free, "output": free},
            )
        model = onnx.load(str(temporary))
        if has_attention:  # an initializer of an input's name is what the input is when it is left out
            own = onnx.helper.make_tensor("sharpness", onnx.TensorProto.FLOAT, (), [float(generator.softmax_scale)])
            model.graph.initializer.append(own)
        metadata = {
            "name": name,
            "unit_px": str(unit),
            "softmax_scale": f"{generator.softmax_scale:g}" if has_attention else "",
            "attention_cell_px": str(network.attention_cell_px),
            "trained_size_px": "" if trained_size_px is None else str(trained_size_px),
        }
        onnx.helper.set_model_props(model, {key: value for key, value in metadata.items() if value})
        model.producer_name, model.producer_version = "pennet", ""
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(temporary))
