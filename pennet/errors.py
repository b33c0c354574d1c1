"""What a user can mend, told apart from what is a bug."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input: one message that names the file or key, its value and the remedy, and is shown without a traceback.

    Commands and stages catch this family and no other `ValueError`: an error that nobody foresaw keeps its traceback.
    """


class TransientError(UserError):
    """What may pass by itself, such as a network that failed: another try can help."""
