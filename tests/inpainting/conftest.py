"""A generator that never was trained."""

import json
from pathlib import Path

import pytest

from pennet.generator_files import save_generator
from pennet.methods import build_generator
from pennet.models.initialisation import initialise
from pennet.seeding import seed_everything
from tests.configs import small_recipe
from tests.inpainting.pictures import TRAINED_PX


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that never was trained, in a folder that says it was at 16 px."""
    folder = tmp_path_factory.mktemp("generator")
    seed_everything(0)
    recipe = small_recipe()
    generator = build_generator(recipe)
    initialise(generator, "kaiming")
    save_generator(generator, recipe, folder)
    (folder / "identity.json").write_text(json.dumps({"prepare.image_size_px": str(TRAINED_PX)}))
    return folder
