"""What MLflow runs when the registered model is loaded: (image, mask) in, composite out."""

from __future__ import annotations

from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np

from pennet.errors import UserError


class Inpainter(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Fills the holes of pictures of any size.

    Input: a mapping with `image`, uint8 (N, H, W, 3) RGB, and `mask`, uint8 (N, H, W), 1 (or 255) = hole.
    Output: uint8 (N, H, W, 3), known pixels bit for bit as they came.
    Parameter: `sharpness`, softmax scale of the attention, in [1, 1e6]; None for the model's own.
    Another number of masks than of images, no image, or a sharpness that is none is a `ValueError`.
    """

    def load_context(self, context: Any) -> None:
        from pennet.generator_files import load_generator

        self.generator = load_generator(context.artifacts["model_dir"])

    # No type hints: MLflow would read them as a signature, and has none for a mapping of arrays.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        from pennet.inference import inpaint

        images, masks = model_input["image"], model_input["mask"]
        if len(images) != len(masks):
            raise UserError(f"image holds {len(images)} pictures and mask {len(masks)}; give one mask for each picture")
        if len(images) == 0:
            raise UserError("image holds no picture; give at least one, as uint8 (N, H, W, 3)")
        sharpness = (params or {}).get("sharpness")
        pairs = zip(images, masks, strict=True)
        return np.stack([inpaint(self.generator, image, mask, sharpness) for image, mask in pairs])


mlflow.models.set_model(Inpainter())
