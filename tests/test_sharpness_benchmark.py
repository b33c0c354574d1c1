"""The table of benchmarks/sharpness.py against figures computed here."""

import numpy as np
import pytest

from benchmarks.sharpness import table, untrained
from pennet.errors import UserError
from pennet.inference import inpaint


def test_table_holds_the_means_of_what_the_generator_fills() -> None:
    generator = untrained("pennet", 64)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    masks = np.zeros((2, 64, 64), np.uint8)
    masks[:, 20:44, 20:44] = 1
    rows = table(generator, images, masks, [10.0, 1000.0])
    for scale, l1_hole, *_ in rows:
        filled = np.stack([inpaint(generator, *pair, scale) for pair in zip(images, masks, strict=True)])
        error = np.abs(filled.astype(float) - images)[masks > 0].mean() / 255
        assert l1_hole == pytest.approx(error, rel=1e-6)
    assert [row[0] for row in rows] == [10.0, 1000.0]
    assert rows[0][1] < rows[1][1]  # of noise, mixed patches are nearer to the truth than single ones


def test_unknown_recipe_is_named() -> None:
    with pytest.raises(UserError, match=r"no recipe 'nothing'; it has pennet"):
        untrained("nothing", 64)
