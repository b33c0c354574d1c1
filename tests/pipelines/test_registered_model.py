import asyncio
import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import httpx
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.pyfunc import scoring_server
from PIL import Image

from pennet.config import MethodConfig
from pennet.errors import UserError
from pennet.generator_files import load_generator, save_generator
from pennet.inference import inpaint
from pennet.methods import build_generator
from pennet.models.initialisation import initialise
from pipelines.tracking import registered_model
from pipelines.tracking.registered_model import Inpainter
from pipelines.tracking.registry import signature
from tests.configs import small_ca, small_gntipt, small_recipe

OWN = 30.0
RECIPES = [small_recipe(softmax_scale=OWN), small_ca(softmax_scale=OWN), small_gntipt(softmax_scale=OWN)]
BATCH = {
    "image": np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), dtype=np.uint8),
    "mask": np.zeros((2, 32, 40), np.uint8),
}
BATCH["mask"][0, 8:20, 8:20] = 1
BATCH["mask"][1, 10:30, 20:28] = 1


def saved(recipe: MethodConfig, folder: Path) -> mlflow.pyfunc.PyFuncModel:
    """A generator as MLflow loads it, without a registry around; its own files are in `folder / "generator"`."""
    torch.manual_seed(0)
    generator = build_generator(recipe)
    initialise(generator, "kaiming")  # larger weights: what attention does is then seen in a picture of bytes
    save_generator(generator, recipe, folder / "generator")
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=registered_model.__file__,
        artifacts={"model_dir": str(folder / "generator")},
        signature=signature(),
        pip_requirements=["torch"],
    )
    return mlflow.pyfunc.load_model(str(folder / "model"))


def filled(folder: Path, sharpness: float | None) -> np.ndarray:
    """What the library makes of the same files."""
    generator = load_generator(folder / "generator")
    pairs = zip(BATCH["image"], BATCH["mask"], strict=True)
    return np.stack([inpaint(generator, image, mask, sharpness) for image, mask in pairs])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.method)
def test_params_and_a_served_model_sharpen_as_the_library_does(recipe: MethodConfig, tmp_path: Path) -> None:
    model = saved(recipe, tmp_path)
    served = scoring_server.init(model)
    own, sharper = filled(tmp_path, None), filled(tmp_path, 1000.0)
    assert not np.array_equal(own, sharper)
    for params, expected in (
        (None, own),
        ({}, own),
        ({"sharpness": None}, own),
        ({"sharpness": OWN}, own),
        ({"sharpness": int(OWN)}, own),
        ({"sharpness": 1000.0}, sharper),
    ):
        assert np.array_equal(model.predict(BATCH, params=params), expected)
        answer = invoke(served, params)
        assert answer.status_code == 200
        assert np.array_equal(answer.json()["predictions"], expected)
    assert np.array_equal(model.predict(BATCH), own)


def test_params_and_a_served_model_refuse_what_is_no_sharpness(tmp_path: Path) -> None:
    model = saved(RECIPES[0], tmp_path)
    served = scoring_server.init(model)
    for value in (0.0, 0.999, 1e6 + 1, float("nan"), float("inf"), True, "10", [10.0]):
        with pytest.raises(ValueError if type(value) is float else mlflow.MlflowException, match="sharpness") as error:
            model.predict(BATCH, params={"sharpness": value})
        answer = invoke(served, {"sharpness": value})
        assert answer.status_code == 400
        message = f"sharpness: expected a number from 1 to 1000000, got {value!r}; leave it out for the model's own (30)"
        if type(value) is float:  # of another type it is MLflow that refuses it
            assert str(error.value) == message
            assert message in answer.text


def test_a_registered_model_without_attention_takes_no_sharpness(tmp_path: Path) -> None:
    model = saved(small_recipe(attention_levels="none"), tmp_path)
    assert np.array_equal(model.predict(BATCH), filled(tmp_path, None))
    with pytest.raises(ValueError, match="has no attention to sharpen"):
        model.predict(BATCH, params={"sharpness": 10.0})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mlflow.pyfunc.PyFuncModel:
    return saved(small_recipe(attention_levels="none"), tmp_path_factory.mktemp("model"))


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG")
    return file.getvalue()


def opened(file: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(file)))


def objects(*values: Any) -> np.ndarray:
    column = np.empty(len(values), object)
    for place, value in enumerate(values):
        column[place] = value
    return column


def test_files_give_the_files_of_what_arrays_give(model: mlflow.pyfunc.PyFuncModel) -> None:
    expected = model.predict(BATCH)
    files = {"image": [png(image) for image in BATCH["image"]], "mask": [png(255 * mask) for mask in BATCH["mask"]]}
    for table in ({name: objects(*column) for name, column in files.items()}, pd.DataFrame(files)):
        filled = model.predict(table)
        assert all(isinstance(file, bytes) for file in filled)
        assert np.array_equal([opened(file) for file in filled], expected)
    texts = {name: [base64.b64encode(file).decode() for file in column] for name, column in files.items()}
    answer = invoke(scoring_server.init(model), None, texts)
    assert answer.status_code == 200
    assert np.array_equal([opened(base64.b64decode(file)) for file in answer.json()["predictions"]], expected)


def test_pictures_of_several_sizes_are_one_batch(model: mlflow.pyfunc.PyFuncModel) -> None:
    images = [BATCH["image"][0], BATCH["image"][1, :24, :31]]
    masks = [BATCH["mask"][0], BATCH["mask"][1, :24, :31]]
    expected = [model.predict({"image": i[None], "mask": m[None]})[0] for i, m in zip(images, masks, strict=True)]
    filled = model.predict({"image": objects(*images), "mask": objects(*masks)})
    answer = invoke(
        scoring_server.init(model), None, {"image": [i.tolist() for i in images], "mask": [m.tolist() for m in masks]}
    )
    for one, served, own in zip(filled, answer.json()["predictions"], expected, strict=True):
        assert np.array_equal(one, own)
        assert np.array_equal(served, own)


def test_floats_are_refused_and_never_black(model: mlflow.pyfunc.PyFuncModel) -> None:
    """MLflow made bytes of them, all 0, and answered 200 with a black picture."""
    floats = BATCH["image"] / 255.0
    message = r"image[0]: expected uint8 (H, W, 3) from 0 to 255, RGB, got float64 from 0 to 1; make of 0.0 to 1.0 whole"
    for image in (floats, floats.astype(object)):
        with pytest.raises(UserError, match=re.escape(message)):
            model.predict({"image": image, "mask": BATCH["mask"]})
    answer = invoke(scoring_server.init(model), None, {"image": floats.tolist(), "mask": BATCH["mask"].tolist()})
    assert answer.status_code == 400
    assert message in answer.text


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"image": BATCH["image"], "mask": BATCH["mask"][:1]}, "image holds 2 pictures and mask 1; give one mask for each"),
        ({"image": BATCH["image"][:0], "mask": BATCH["mask"][:0]}, "image holds no picture; give at least one"),
        ({"image": BATCH["image"]}, "mask is missing; give image and mask"),
        ({"image": "aGFsbG8=", "mask": BATCH["mask"]}, "image: expected a list of pictures, got a single str"),
        ({"image": BATCH["image"], "mask": np.zeros((2, 32, 40), np.uint8)}, r"mask\[0\]: no hole"),
        (
            {"image": BATCH["image"], "mask": BATCH["mask"][:, :30]},
            r"mask\[0\]: expected 40x32 px like its image, got 40x30",
        ),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_before_the_network_runs(batch: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Inpainter().predict(None, batch)


def invoke(served: Any, params: dict[str, Any] | None, inputs: dict[str, Any] | None = None) -> httpx.Response:
    """Asks MLflow's scoring server what its clients ask, within this process; without `params` where they are None."""
    body: dict[str, Any] = {"inputs": inputs or {name: values.tolist() for name, values in BATCH.items()}}
    body |= {} if params is None else {"params": params}

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=served), base_url="http://served") as client:
            headers = {"Content-Type": "application/json"}
            return await client.post("/invocations", content=json.dumps(body), headers=headers)

    return asyncio.run(post())
