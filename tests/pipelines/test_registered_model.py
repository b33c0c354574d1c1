import numpy as np
import pytest

from pipelines.tracking.registered_model import Inpainter


@pytest.mark.parametrize(
    ("num_images", "num_masks", "message"),
    [
        (2, 1, "image holds 2 pictures and mask 1; give one mask for each picture"),
        (0, 0, "image holds no picture; give at least one"),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_before_the_network_runs(
    num_images: int, num_masks: int, message: str
) -> None:
    batch = {"image": np.zeros((num_images, 8, 8, 3), np.uint8), "mask": np.zeros((num_masks, 8, 8), np.uint8)}
    with pytest.raises(ValueError, match=message):
        Inpainter().predict(None, batch)
