"""The few test pictures that the README shows, chosen by a rule that no method has a part in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

NUM_SHOWN = 4


def showcase(images: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Of the pictures in the order of their contrast the middle one of each quarter, from flat to rough.

    Contrast is the standard deviation of the grey levels, the mean of red, green and blue.

    Args:
        images: each (S, S, 3) uint8; they are read one at a time.

    Returns:
        Their places, each once: `NUM_SHOWN`, or fewer if there are not so many pictures.
    """
    import numpy as np

    contrasts = [np.asarray(images[i]).mean(axis=2).std() for i in range(len(images))]
    order = np.argsort(contrasts, kind="stable")
    middles = [(2 * quarter + 1) * len(order) // (2 * NUM_SHOWN) for quarter in range(NUM_SHOWN)]
    return [int(order[place]) for place in dict.fromkeys(middles)]
