"""What a user can mend, told apart from what is a bug."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(ValueError):
    """Bad input: one message that names the file or key, its value and the remedy, and is shown without a traceback.

    Commands and stages catch this family and no other `ValueError`: an error that nobody foresaw keeps its traceback.
    """


class TransientError(UserError):
    """What may pass by itself, such as a network that failed: another try can help."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Ends a message on a name that is not known: `; do you mean centre?`, or nothing where no known one is like it."""
    found = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; do you mean {found[0]}?" if found else ""


MOST_LISTED = 20


def all_at_once(problems: Sequence[str], what: str, count: int = 0) -> str:
    """One problem as it is; several with a line each, so that they can be mended at once: `3 members cannot be taken:`.

    Args:
        problems: at least one; of more than `MOST_LISTED` the first.
        what: what all of them are.
        count: of all, where there are more than are given.
    """
    count = max(count, len(problems))
    if count == 1:
        return problems[0]
    lines = "".join(f"\n  - {problem}" for problem in problems[:MOST_LISTED])
    more = f"\n  and {count - MOST_LISTED:,} more" if count > MOST_LISTED else ""
    return f"{count:,} {what}:{lines}{more}"
