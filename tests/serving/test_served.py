"""A version is found by its name, or it is said what there is."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving import draw_pairs
from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.inference import inpaint
from pipelines.tracking.served import Served, load_served
from tests.serving.conftest import MODEL, NAME, OWN_SHARPNESS


def test_a_version_fills_as_the_library_does(store: str) -> None:
    served = load_served(MODEL, store, "cpu")
    generator = load_generator(Path(store.removeprefix("sqlite:///")).parent / "generator")
    for image, mask in draw_pairs(3, (16, 40)):
        for sharpness in (None, 1000):
            filled = served.fill(image, mask, sharpness)
            assert np.array_equal(filled, inpaint(generator, image, mask, sharpness))
            assert np.array_equal(filled[mask == 0], image[mask == 0])
    with pytest.raises(UserError, match="sharpness: expected a number from 1 to 1000000, got '10'"):
        served.fill(image, mask, "10")
    about = served.about
    assert (about["name"], about["version"], about["aliases"]) == (NAME, "1", ["champion"])
    assert about["sharpness"] == {"least": 1, "most": 1e6, "own": OWN_SHARPNESS}


def test_a_version_without_a_sharpness_refuses_any() -> None:
    """MLflow would leave it out, with a warning in the log, and answer as if nothing had been asked."""
    with pytest.raises(UserError, match=r"sharpness: got 10\.0, and this version of the model takes none; leave it out"):
        Served(None, {}, takes_sharpness=False).fill(np.zeros((8, 8, 3), np.uint8), np.eye(8, dtype=np.uint8), 10.0)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("inpainting-test", "MODEL=inpainting-test: expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        (
            "models:/inpainting-tset@champion",
            f"no model inpainting-tset is registered in .*; there are: {NAME}; `make demo`",
        ),
        (f"models:/{NAME}@best", "has no alias best in .*; it has: champion; choose one with `python -m pipelines.promote`"),
        (f"models:/{NAME}/7", f"{NAME} has no version 7 in .*; name one that is there, or @champion"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(store: str, uri: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_served(uri, store, "cpu")


def test_without_a_store_there_is_one_message_and_no_new_store(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with pytest.raises(UserError, match=r"mlflow\.db does not exist, so no model is registered yet; run `make demo`"):
        load_served(MODEL, f"sqlite:///{path}", "cpu")
    assert not path.exists()
    path.write_text("no database, but long enough to be looked at as one" * 20)
    with pytest.raises(UserError, match=r"cannot be loaded from .*: file is not a database"):
        load_served(MODEL, f"sqlite:///{path}", "cpu")
