"""What MLflow runs when the registered model is loaded: (image, mask) in, composite out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np

from pennet.errors import UserError


class Inpainter(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Fills the holes of pictures of any size, as `pennet.inpainter` does by itself; known pixels come back bit for bit.

    A picture about as large as those that the model learnt from is seen whole; of a large photo each hole, with its context,
    at the size that the model knows.

    Input: a mapping (or a table) with `image` and `mask`, N of each. An image is uint8 (H, W, 3) RGB, a mask uint8 (H, W),
    1 (or 255) = hole; or either is a file (PNG, JPEG, ...), as bytes or in base64. Columns are arrays: (N, H, W, 3) where
    sizes are equal, else (N,) of objects.
    Output: what the images were: uint8 (N, H, W, 3), (N,) of arrays where sizes differ, or (N,) of PNG files, as bytes or in
    base64.
    Parameter: `sharpness`, softmax scale of the attention, in [1, 1e6]; None for the model's own.
    What makes no sense is a `ValueError` of one line that says what is expected (`pennet.picture_pairs`).
    """

    def load_context(self, context: Any) -> None:
        """Loads the weights, onto a GPU where there is one."""
        from pennet import inpainter

        self._inpainter = inpainter.Inpainter(Path(context.artifacts["model_dir"]))

    @property
    def generator(self) -> Any:
        """The network, which a server moves to its device."""
        return self._inpainter.generator

    # No type hints: MLflow would read them as a signature, and has none for a mapping of arrays.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        from pennet.picture_pairs import answer_like, check_pairs, is_file

        images, masks = (_items(model_input, name) for name in ("image", "mask"))
        pairs = check_pairs(images, masks)
        sharpness = (params or {}).get("sharpness")
        filled = [self._inpainter.fill(pair.image, pair.mask, sharpness=sharpness).image for pair in pairs]
        if not any(map(is_file, images)) and len({picture.shape for picture in filled}) == 1:
            return np.stack(filled)
        return _objects([answer_like(image, picture) for image, picture in zip(images, filled, strict=True)])


def _items(model_input: Any, name: str) -> list[Any]:
    """One column, each picture of it by itself."""
    try:
        column = model_input[name]
    except KeyError as error:
        raise UserError(f"{name} is missing; give image and mask, one of each for every picture") from error
    if np.ndim(column) == 0 or isinstance(column, str | bytes):
        raise UserError(f"{name}: expected a list of pictures, got a single {type(column).__name__}; put it into a list")
    return list(column)


def _objects(values: list[Any]) -> Any:
    """(N,) of objects: NumPy would try to make one array of them."""
    column = np.empty(len(values), object)
    for place, value in enumerate(values):
        column[place] = value
    return column


mlflow.models.set_model(Inpainter())
