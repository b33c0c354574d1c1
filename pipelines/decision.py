"""A decision on the champion of a data set, with all its numbers: for the registry, and as files in `reports/`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pipelines import layout

if TYPE_CHECKING:
    from pennet.promotion import Finding

Outcome = Literal["first", "promoted", "kept", "forced", "rolled back"]
SIGNIFICANT_DIGITS = 6
"""Of the numbers in files; a decision is made with every digit."""


@dataclass(frozen=True)
class Contestant:
    """A version of the registered model."""

    version: str
    weights: str
    """SHA-256 of its weights."""
    method: str
    seed: str

    @property
    def title(self) -> str:
        return f"version {self.version} ({self.method}, seed {self.seed})"


@dataclass(frozen=True)
class Decision:
    dataset: str
    model: str
    """The registered model."""
    outcome: Outcome
    reason: str
    before: Contestant | None
    """The champion until now."""
    challenger: Contestant
    """Of a rollback the former champion that takes its place again."""
    now: Contestant
    """The champion from now on."""
    rule: dict[str, Any] = field(default_factory=dict)
    """`promotion` of params.yaml; empty where no picture was filled, as all below."""
    protocol: str = ""
    num_pictures: int = 0
    validation: str = ""
    """Digest of the validation pictures and their masks."""
    findings: list[Finding] = field(default_factory=list)
    """One a metric of the rule."""
    candidates: dict[str, float] = field(default_factory=dict)
    """Mean of the rule's first metric, by version."""
    left_out: list[str] = field(default_factory=list)
    """Trainings that were no candidates, each with its reason."""

    @property
    def line(self) -> str:
        """In one line, for a terminal and for tags."""
        return f"{self.dataset}: {self.outcome}: {self.reason}; champion is {self.now.title}"

    def mapping(self) -> dict[str, Any]:
        """JSON's types, numbers with the digits that files keep."""
        return _rounded(dataclasses.asdict(self))

    def markdown(self) -> str:
        """A page."""
        parts = [f"# {self.dataset}: champion", self.section()]
        if len(self.candidates) > 1 or self.left_out:
            first = self.findings[0].metric if self.findings else str(self.rule.get("better", [""])[0])
            rows = [f"- version {version}: {first} {value:.4g}" for version, value in self.candidates.items()]
            rows += [f"- {reason}" for reason in self.left_out]
            parts += ["## Candidates", "\n".join(rows)]
        contestants = {c.version: c for c in (self.before, self.challenger, self.now) if c is not None}
        digests = [f"- weights of {c.title}: `{c.weights}`" for c in contestants.values()]
        if self.validation:
            digests.append(f"- validation pictures and masks: `{self.validation}`")
        parts += ["## Digests", "\n".join(digests)]
        return "\n\n".join(parts) + "\n"

    def section(self) -> str:
        """What a version's page says of it: the outcome, and a row for each metric of the rule."""
        before = "none" if self.before is None else self.before.title
        parts = [
            f"**{self.outcome}**: {self.reason}.",
            f"Champion before: {before}; challenger: {self.challenger.title}; champion now: {self.now.title}.",
        ]
        if self.num_pictures:
            better = ", ".join(f"`{name}`" for name in self.rule["better"])
            guards = ", ".join(f"`{name}` {share:g}" for name, share in self.rule["guards"].items())
            parts.append(
                f"On {self.num_pictures} validation pictures with `{self.protocol}` masks. Must be better: {better}; may be"
                f" worse by this share of the champion's mean: {guards or 'none'}."
            )
        if self.findings:
            parts.append(_table(self.findings))
        return "\n\n".join(parts)


def write(decision: Decision) -> None:
    """Writes `decision.json` and `decision.md`, each whole.

    Raises:
        OSError: the folder cannot be written.
    """
    from pennet.atomic import write_json, write_text

    folder = layout.promotion_dir(decision.dataset)
    write_text(folder / "decision.md", decision.markdown())
    write_json(folder / "decision.json", decision.mapping())


def _table(findings: Sequence[Finding]) -> str:
    from pennet.metrics.catalogue import find

    lines = [
        "| metric | champion | challenger | difference | 95 % interval | holds | why |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
    ]
    for finding in findings:
        metric = find(finding.metric)
        numbers = ["", "", ""]
        if finding.champion is not None and finding.challenger is not None and finding.difference is not None:
            numbers = [f"{finding.champion:.4g}", f"{finding.challenger:.4g}", f"{finding.difference:+.3g}"]
        interval = "" if finding.ci_low is None else f"{finding.ci_low:+.3g} to {finding.ci_high:+.3g}"
        holds = "yes" if finding.holds else "**no**"
        lines.append(f"| {metric.title} {metric.arrow} | {' | '.join([*numbers, interval, holds, finding.why])} |")
    return "\n".join(lines)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
