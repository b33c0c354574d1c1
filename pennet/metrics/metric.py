"""What a metric is: all that the project knows of it, in one declaration that stands beside its function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from pennet.config import EvaluateConfig

Direction = Literal["lower", "higher"]
Needs = Literal["pair", "hole", "network", "features"]


def _unnamed(config: EvaluateConfig, side_px: int) -> Sequence[str]:
    return ("",)


@dataclass(frozen=True)
class Metric:
    """A metric, or a family of them that differ in one word: `fid` of `efflite0` and `fid` of `inception`."""

    name: str
    """Also of its page, `docs/metrics/NAME.md`."""
    heading: str
    """Of its column."""
    better: Direction
    range: str
    """For the index of the pages."""
    digits: int
    """Decimals that mean something, and that come out the same on every machine."""
    needs: Needs
    function: Callable[..., Any]
    """What it is given depends on `needs`; pictures are uint8 (N,H,W,C).

    `pair`: (fake, real) -> float64 (N,). `hole`: (fake, real, mask) -> float64 (N,). `network`: (fake, real, network) ->
    float64 (N,). `features`: (fake features, real features, jackknife groups, config) -> `SetScore`. Metrics with the same
    function are computed together: it returns a NamedTuple with a field for each name."""
    headline: bool = False
    """One of the few that a reader with room for a handful sees."""
    undefined: str = "undefined"
    """Why an image may have no value."""
    min_side_px: int = 1
    """Smaller pictures have no value."""
    variants: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    """The words that may follow the name, and what each adds to the heading."""
    choose: Callable[[EvaluateConfig, int], Sequence[str]] = _unnamed
    """The variants that a configuration asks for, of pictures with this shorter side in pixels."""
    load: Callable[[str, torch.device], Any] | None = None
    """Loads the network of a variant, where one is needed; raises `WeightsUnavailable`."""
    variant: str = ""

    def of(self, variant: str) -> Metric:
        """The member of the family with this variant."""
        return dataclasses.replace(self, variant=variant)

    @property
    def key(self) -> str:
        """Its name in reports, tables and files: `l1`, `fid_efflite0`."""
        return f"{self.name}_{self.variant}" if self.variant else self.name

    @property
    def title(self) -> str:
        """The heading of its column: `FID (efflite0)`."""
        suffix = self.variants[self.variant]
        return f"{self.heading} ({suffix})" if suffix else self.heading

    @property
    def arrow(self) -> str:
        return "↑" if self.better == "higher" else "↓"

    @property
    def network(self) -> str | None:
        """The network behind it; None if there is none."""
        return self.variant if self.needs in ("network", "features") else None

    def rounded(self, value: float) -> float:
        """The value with the digits that are kept."""
        return round(value, self.digits) + 0.0  # no -0.0

    def text(self, value: float, signed: bool = False) -> str:
        """The value as it is shown."""
        return f"{self.rounded(value):{'+' if signed else ''}.{self.digits}f}"
