"""Trained generators on validation pictures: filled and scored as the test pictures are, which are never opened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.config import Config
from pennet.errors import UserError
from pipelines import layout
from pipelines.identity import data_digest
from pipelines.masks import numbered_masks
from pipelines.prepared import names, prepared_pictures

if TYPE_CHECKING:
    import torch

    from pennet.masks.mask import Mask
    from pennet.metrics.per_image import PerImage


@dataclass(frozen=True)
class Validation:
    """Validation pictures with the masks of the headline protocol, the same for every generator.

    Picture number i of the split has mask number i, whether all pictures are taken or a few.
    """

    dataset: str
    config: Config
    """Of the data set, overrides put in."""

    @property
    def protocol(self) -> str:
        return self.config.masks.protocols[0]

    @property
    def digest(self) -> str:
        """Of pictures and masks: scores with another digest cannot be compared."""
        masks = hashlib.sha256(b"".join(self._mask(i).tobytes() for i in self.numbers)).hexdigest()
        content = f"{data_digest(self.dataset, 'val')} {self.numbers} {masks}"
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @cached_property
    def numbers(self) -> list[int]:
        """Which pictures of the split: all, or `promotion.pictures` of them, evenly spaced.

        Raises:
            UserError: the split is empty.
        """
        count = len(self._images)
        if not count:
            raise UserError(
                f"{layout.prepared_dir(self.dataset)} has no validation pictures; raise sources.{self.dataset}.val_ratio"
            )
        wanted = min(self.config.promotion.pictures or count, count)
        return [i * count // wanted for i in range(wanted)]

    @property
    def side_px(self) -> int:
        return int(self._images[0].shape[0])

    def scores(self, folder: Path) -> PerImage:
        """Fills the pictures with the generator in a folder, and scores each by every metric that an image has for itself.

        Raises:
            UserError: no generator is there, or a metric of the rule cannot be computed.
        """
        import numpy as np

        from pennet.generator_files import load_generator
        from pennet.inference import inpaint
        from pennet.metrics.pairs import Pairs
        from pennet.metrics.scoring import score
        from pennet.seeding import seed_everything

        seed_everything(0)
        generator = load_generator(folder).to(self._device)
        numbers, images = self.numbers, self._images
        pairs = Pairs(
            [self._names[i] for i in numbers],
            fake=lambda i: inpaint(generator, images[numbers[i]], self._mask(numbers[i])),
            real=lambda i: np.asarray(images[numbers[i]]),
            mask=lambda i: self._mask(numbers[i]),
        )
        alone = replace(self.config.evaluate, extractors=[])  # metrics of whole sets are not asked for
        scored = score(pairs, alone, self._device, Path())
        for key in self.keys:
            if key not in scored.per_image.values:
                raise UserError(f"promotion: {key} is {scored.report.overall[key].status}")
        return scored.per_image

    @property
    def keys(self) -> list[str]:
        """The metrics of the rule as tables call them, the one that chooses the challenger first."""
        from pennet.promotion import metric_key

        rule = self.config.promotion
        return [metric_key(name, self.config.evaluate, self.side_px) for name in (*rule.better, *rule.guards)]

    @cached_property
    def _images(self):  # type: ignore[no-untyped-def]  # Shards, imported when it is needed
        return prepared_pictures(self.dataset, "val")

    @cached_property
    def _names(self) -> list[str]:
        return names(self._images.keys())

    @cached_property
    def _numbered(self):  # type: ignore[no-untyped-def]
        return numbered_masks(self.protocol, self.config.masks, self.side_px)

    def _mask(self, number: int) -> Mask:
        mask: Mask = self._numbered(number)
        return mask

    @cached_property
    def _device(self) -> torch.device:
        from pennet.seeding import apply_runtime

        return apply_runtime(self.config.runtime)
