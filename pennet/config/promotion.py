"""The rule by which a challenger becomes champion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from pennet.config.section import Limits, Section

if TYPE_CHECKING:
    from pennet.config.sections import EvaluateConfig


@dataclass(frozen=True)
class PromotionConfig(Section):
    """When a challenger becomes champion: both fill the same validation pictures, and are compared image by image."""

    better: list[str]
    """Metrics in which the 95 % interval of the paired difference must lie on the better side of zero: all of them. The
    best of the trained generators by the first is the challenger."""
    guards: dict[str, NonNegativeFloat]
    """Metrics whose mean must not be worse than the champion's by more than this share of the champion's, such as 0.05."""
    pictures: NonNegativeInt
    """Validation pictures that are filled, evenly spaced; 0 for all."""
    resamples: Annotated[int, Field(ge=100)]
    """Resamples of each bootstrap interval; its seed is `evaluate.seed`."""

    def limits(self) -> Limits:
        from pennet.promotion import why_not_of_images

        yield bool(self.better), "better", "names no metric"
        yield len(set(self.better)) == len(self.better), "better", "names one twice"
        for key, names in (("better", self.better), ("guards", list(self.guards))):
            for name in names:
                why = why_not_of_images(name)
                yield not why, key, f"names {name!r}, which {why}"

    def mismatches_with(self, evaluate: EvaluateConfig, image_size_px: int) -> Iterator[str]:
        """Why a metric of the rule is not computed: what to print after `promotion: `."""
        from pennet.promotion import why_not_computed

        for key, names in (("better", self.better), ("guards", list(self.guards))):
            for name in names:
                if why := why_not_computed(name, evaluate, image_size_px):
                    yield f"{key} names {name!r}, which {why}"
