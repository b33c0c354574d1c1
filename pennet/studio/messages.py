"""What a visitor did wrong, told in the page and not in the server's terminal."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from pennet.errors import UserError


@contextmanager
def told(title: str = "This does not work") -> Iterator[None]:
    """Shows a `UserError` or an `OSError` of its block as a message that stays until it is closed."""
    try:
        yield
    except (UserError, OSError) as error:
        # The page shows a message as HTML, and a file's name is a stranger's.
        raise gr.Error(html.escape(str(error)), duration=None, title=html.escape(title), print_exception=False) from error
