"""Fills the photos of a command one after the other, and tells a person, or with `--json` a program, what became of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pennet.commands.ending import FAILED, INTERRUPTED, said
from pennet.commands.filling import Outcome, Progress
from pennet.commands.jobs import Job
from pennet.data.sources.search import shown
from pennet.errors import UserError

if TYPE_CHECKING:
    from tqdm import tqdm

    from pennet.inpainter import Window

Fill = Callable[[Job, Progress], Outcome]
_BAR = "{n_fmt}/{total_fmt} {bar} {rate_noinv_fmt}, {remaining} left{postfix}"


def run(jobs: list[Job], fill: Fill, as_json: bool = False) -> int:
    """Fills every photo; one that cannot be filled does not stop the others.

    Args:
        jobs: at least one.
        fill: raises a `UserError` or `OSError` for a photo that cannot be filled.
        as_json: one object a photo to stdout instead of one line, and nothing else.

    Returns:
        The exit code.
    """
    failed: list[Outcome] = []
    with _bar(jobs) as bar:
        for number, job in enumerate(jobs):
            filled = number - len(failed)
            try:
                outcome = _outcome(job, fill, _windows_of(bar, len(jobs)))
                _tell(outcome, as_json, bar)
            except OSError as error:  # a closed pipe, a full disk: the work itself raises none
                before = f"{filled + (outcome.error is None)} of {len(jobs)} photos were filled before it"
                raise UserError(f"standard output: {said(error)}; {before}") from error
            except KeyboardInterrupt:
                bar.close()
                before = f"{filled} of {len(jobs)} photos were filled before it"
                _say(f"pennet: interrupted at {shown(job.photo)}: {before}", sys.stderr)
                return INTERRUPTED
            failed += [outcome] * (outcome.error is not None)
            if len(jobs) > 1:
                bar.update()
    if len(jobs) == 1 and failed:
        _say(f"pennet: {failed[0].error}", sys.stderr)
    elif failed:
        _say(f"pennet: {len(failed)} of {len(jobs)} photos were not filled:", sys.stderr)
        for outcome in failed:
            _say(f"  - {_named(outcome)}", sys.stderr)
    return FAILED if failed else 0


def _outcome(job: Job, fill: Fill, progress: Progress) -> Outcome:
    if job.error:
        return Outcome(job, error=job.error)
    try:
        return fill(job, progress)
    except (UserError, OSError) as error:
        return Outcome(job, error=said(error))


def _tell(outcome: Outcome, as_json: bool, bar: tqdm[Any]) -> None:
    """A result to stdout, words to stderr, past the progress bar."""
    for word in outcome.words:
        bar.write(f"{shown(outcome.job.photo)}: {word}", file=sys.stderr)
    if as_json:
        bar.write(json.dumps(outcome.as_json()), file=sys.stdout)
    elif outcome.error is None:
        bar.write(_line(outcome) if outcome.seconds is not None else _prospect(outcome), file=sys.stdout)
    sys.stdout.flush()


def _line(outcome: Outcome) -> str:
    return f"{shown(outcome.job.output)}: filled in {outcome.seconds:.1f} s"


def _prospect(outcome: Outcome) -> str:
    """What would be done."""
    plan = outcome.plan
    assert plan is not None
    memory = f"{plan.memory_bytes / 1e9:.1f} GB" if plan.memory_bytes >= 1e9 else f"{plan.memory_bytes / 1e6:.0f} MB"
    size = f"{outcome.width} x {outcome.height} px"
    lines = [
        f"{shown(outcome.job.photo)} -> {shown(outcome.job.output)} (nothing is written)",
        f"  {size}, a hole of {100 * (outcome.hole_ratio or 0):.2g} %; strategy {plan.strategy}, about {memory} of memory",
        *(f"  window {number}: {_window(window)}" for number, window in enumerate(plan.windows, start=1)),
    ]
    return "\n".join(lines)


def _window(window: Window) -> str:
    place = f"{window.width} x {window.height} px at left {window.left}, top {window.top}"
    return f"{place}, seen at 1/{window.factor} of its size" if window.factor > 1 else f"{place}, seen at its own size"


def _named(outcome: Outcome) -> str:
    """An error that says whose it is."""
    photo, error = shown(outcome.job.photo), outcome.error or ""
    return error if error.startswith(photo) else f"{photo}: {error}"


def _say(text: str, file: Any) -> None:
    print(text, file=file, flush=True)


@contextmanager
def _bar(jobs: list[Job]) -> Iterator[tqdm[Any]]:
    """Over photos, of a single one over its windows; on a terminal alone."""
    from tqdm import tqdm

    total = len(jobs) if len(jobs) > 1 else None
    unit = " images" if len(jobs) > 1 else " windows"
    bar = tqdm(total=total, unit=unit, file=sys.stderr, disable=None, bar_format=_BAR, leave=False)
    try:
        yield bar
    finally:
        bar.close()


def _windows_of(bar: tqdm[Any], num_jobs: int) -> Progress:
    def several(done: int, windows: int) -> None:
        bar.set_postfix_str(f"window {done} of {windows}" if windows > 1 else "")

    def single(done: int, windows: int) -> None:
        bar.total = windows
        bar.update(done - bar.n)

    return several if num_jobs > 1 else single
