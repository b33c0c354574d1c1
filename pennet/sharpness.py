"""Sharpness: the softmax scale of a trained generator's attention, chosen anew when holes are filled.

Higher copies single patches, lower mixes them. What a recipe was evaluated with is its own `softmax_scale`.
"""

from __future__ import annotations

from numbers import Real

from pennet.errors import UserError

MIN_SHARPNESS, MAX_SHARPNESS = 1.0, 1e6


def check_sharpness(value: object, own: float | None = None) -> float:
    """The value, if it is a sharpness.

    Args:
        value: what was asked for: a number, both limits included.
        own: the generator's own scale, for the message.

    Raises:
        UserError: no number, not finite, or beyond the limits.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not MIN_SHARPNESS <= value <= MAX_SHARPNESS:  # type: ignore[operator]  # nan is within no limits
        default = "" if own is None else f" ({own:g})"
        raise UserError(
            f"sharpness: expected a number from {MIN_SHARPNESS:g} to {MAX_SHARPNESS:.0f}, got {value!r};"
            f" leave it out for the model's own{default}"
        )
    return float(value)  # type: ignore[arg-type]
