"""What a user can mend, told apart from what is a bug."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
