"""The untrained generators of benchmarks/copying.py."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.copying import contenders, untrained
from benchmarks.shipped import WEIGHTS
from pennet.config import ConfigError


def test_an_untrained_generator_shows_copies_alone_and_has_what_was_changed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[:, 32:] //= 4
    mask = np.zeros((64, 64), np.uint8)
    mask[26:38, 40:52] = 1
    generator = untrained(WEIGHTS, "patch_sizes=7,5 middle_weight=4", 64)
    assert [transfer.kernel_size for transfer in generator.transfers] == [7, 5, 5, 5]
    assert {transfer.middle_weight for transfer in generator.transfers} == {4.0}
    filled = contenders(WEIGHTS, ["patch_sizes=7,5"], 64)
    assert list(filled) == ["the recipe", "patch_sizes=7,5", "the recipe, trained", "patchmatch", "telea"]
    pictures = [np.asarray(filled[name](image, mask)) for name in ("the recipe", "patch_sizes=7,5")]
    assert not np.array_equal(*pictures)
    for picture in pictures:
        assert np.array_equal(picture[mask == 0], image[mask == 0])


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ConfigError, match="patch_size"):
        untrained(WEIGHTS, "patch_size=7", 64)
