"""The kinds that trainings have learned from draw the masks they drew then, to the bit."""

import hashlib

import numpy as np
import pytest

from pennet.masks import numbered_mask

DIGESTS = {
    "centre": "d7b3c33eab5925b12dc6c5de3a4b07dd",
    "rotated_square": "4e187f2843ac1f3466a6f07959e89a2a",
    "jittered_box": "6d2438f7b9653e0397d8034428388528",
    "free_form": "968d435ea3cfddb54fad8a687ca4d515",
    "box_and_free_form": "2129baccabb10eb15b719f064fe66410",
    "irregular": "60ce2bc7c535f3964af6ae0e1d938b0b",
    "many_sizes": "7b61ce4f186b2e086854997241e049c2",
}
"""SHA-256, its first half, of 210 masks each; a change here is one of the numerics, for CHANGELOG.md."""


@pytest.mark.parametrize("name", DIGESTS)
def test_masks_are_what_they_were(name: str) -> None:
    digest = hashlib.sha256()
    for size, count in {(64, 64): 60, (256, 256): 30, (48, 80): 60, (33, 17): 60}.items():
        for index in range(count):
            mask = numbered_mask(name, 2019, index, *size)
            assert mask.dtype == np.uint8
            digest.update(mask.tobytes())
    assert digest.hexdigest()[:32] == DIGESTS[name]
