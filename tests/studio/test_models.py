"""Which models the page offers, and under which names."""

from pathlib import Path

import pytest

from pennet.errors import UserError
from pennet.generator_files import save_generator
from pennet.inpainter import DEFAULT_MODEL
from pennet.studio.models import Models
from tests.test_sources import COPYING, built


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("mine/one", "yours/one", "models/terrain/pennet/seed-1"):
        save_generator(built(COPYING), COPYING, folder / name)
    return folder


def test_the_shipped_ones_given_ones_those_of_a_checkout_and_methods_are_offered(folder: Path) -> None:
    models = Models([folder / "mine/one"], folder / "models", "cpu")
    assert models.learned_names == [DEFAULT_MODEL, "mine/one", "terrain/pennet/seed-1"]
    assert models.names[3:] == ["mean", "telea", "biharmonic", "patchmatch"]


def test_names_tell_folders_apart(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other/mine").symlink_to(folder / "mine")
    given = [folder / "mine/one", folder / "yours/one"]
    assert Models(given, folder / "nothing").learned_names == [DEFAULT_MODEL, "mine/one", "yours/one"]


def test_what_is_given_has_to_exist(folder: Path) -> None:
    with pytest.raises(UserError, match=r"--model .*/none: no such file or folder"):
        Models([folder / "none"])


def test_a_model_is_loaded_once(folder: Path) -> None:
    models = Models([folder / "mine/one"], folder / "nothing", "cpu")
    assert models.inpainter("mine/one") is models.inpainter("mine/one")
    assert models.inpainter("mine/one").generator is not None
    assert models.inpainter("mean").generator is None
