"""What the server takes, and how it says no: a status and one line."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import JSONResponse

from pennet.errors import UserError
from pennet.picture_pairs import TooLargeError, UnknownKindError

RETRY_AFTER_SECONDS = 1
"""What a client that finds the server full is told to wait."""


@dataclass(frozen=True)
class Limits:
    """Together they bound the memory and the time that strangers can take."""

    max_pixels: int = 1024 * 1024
    """Of one picture. PEN-Net's time grows with the square of it."""
    max_pictures: int = 16
    """In one request."""
    max_request_mb: int = 32
    """Of one request's body, in 2^20 bytes."""
    max_requests: int = 16
    """At once: sent, waiting and computed; the next is told to come again."""
    timeout_seconds: float = 120.0
    """For sending a request, and again for its answer."""


class Refusal(Exception):
    """What ends a request: an HTTP status, and a line for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: UserError) -> int:
    """The HTTP status of what a client can mend: too large, of an unknown kind, or without sense."""
    return 413 if isinstance(error, TooLargeError) else 415 if isinstance(error, UnknownKindError) else 422


def refused(status: int, message: str) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None
    return JSONResponse({"error": message}, status, headers)
