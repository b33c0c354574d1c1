import pytest

from benchmarks.serving import register_untrained
from tests.configs import small_recipe

NAME = "inpainting-test"
MODEL = f"models:/{NAME}@champion"
OWN_SHARPNESS = 30.0


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a store in which a tiny generator is champion."""
    return register_untrained(small_recipe(softmax_scale=OWN_SHARPNESS), tmp_path_factory.mktemp("store"), NAME)
