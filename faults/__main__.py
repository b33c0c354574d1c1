"""Disturbs everything that can be disturbed, runs it again, and counts what was lost.

    python -m faults [--times 20] [--only train record] [--seed 0] [--jobs 2]

Each trial works in a project of its own: the stages of this checkout on a few small pictures. An undisturbed run is the
reference; a trial is disturbed, run again until it has finished, and must end with the same bytes and the same record, no
process and no file left. Moments are uniform over the reference's time, drawn from the seed. Exit status 1 if anything is
lost; the folders of those trials stay.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Sequence

from faults.experiments import EXPERIMENTS, Options, count
from faults.processes import scratch_folder
from faults.trials import Row
from pennet.errors import UserError


def table(rows: Sequence[Row]) -> str:
    """Markdown: what was done, how often, and how often something was lost."""
    lines = ["| fault | trials | lost | what |", "| --- | ---: | ---: | --- |"]
    for row in rows:
        if row.skipped:
            lines.append(f"| {row.fault} | 0 | | skipped: {row.skipped} |")
        else:
            lines.append(f"| {row.fault} | {row.trials} | {len(row.lost)} | {'<br>'.join(row.lost)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="kills of each command; disks and servers: a quarter")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--jobs", type=int, default=2, help="trials at once")
    arguments = parser.parse_args()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in a shell's background: what is started would ignore it, too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    workshop, started = scratch_folder(), time.monotonic()
    try:
        rows = count(arguments.only, Options(arguments.times, arguments.seed, arguments.jobs), workshop)
    except (UserError, OSError) as error:
        sys.exit(f"faults: {error}")
    print(f"\n{table(rows)}\n\n{(time.monotonic() - started) / 60:.1f} minutes")
    if any(row.lost for row in rows):
        sys.exit(f"faults: something was lost; its folders are in {workshop}")
    shutil.rmtree(workshop, ignore_errors=True)


if __name__ == "__main__":
    main()
