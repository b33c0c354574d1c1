"""From the size that a network knows to the photo's own: its attention is carried up, and fills the full picture's hole.

The idea of PEN-Net, section 3.2, above the network: what attention found at one scale fills the next finer one, again and
again, down to the photo's own pixels.
"""

from __future__ import annotations

from torch import Tensor


def carry_up(
    image: Tensor, mask: Tensor, prediction: Tensor, sources: Tensor | None, sharpness: float | None = None
) -> Tensor:
    """Fills the hole of a large picture from a prediction of the same picture made at a smaller size.

    Args:
        image: (3, H, W) in [-1, 1], H = f h and W = f w with f a power of two; what is in the hole is never seen.
        mask: (1, H, W) in {0, 1}, 1 = hole.
        prediction: (3, h, w) in [-1, 1]: of the picture averaged over cells of f x f pixels; a cell with any hole pixel was
            hole.
        sources: (2, h, w), line and column in pixels of the small picture that each of its pixels was copied from
            (`pennet.inference.predict_sources`); None for a method that copies no pixels: the likeness of what it predicted to
            what is known decides.
        sharpness: unused by hard copies.

    Returns:
        (3, H, W) in [-1, 1]: known pixels untouched.
    """
    raise NotImplementedError
