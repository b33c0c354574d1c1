"""Who gets in: so many requests at once, each of so many bytes."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serving.limits import Limits, Refusal, refused


class Admission:
    """ASGI middleware around what answers POST requests; a request has its place from its first byte to its answer."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Headers(scope=scope))
        except Refusal as refusal:
            await refused(refusal.status, str(refusal))(scope, receive, send)
            return
        self._inside += 1
        try:
            await self._app(scope, self._counting(receive), send)
        finally:
            self._inside -= 1

    def _check(self, headers: Headers) -> None:
        if self._inside >= self._limits.max_requests:
            raise Refusal(503, f"busy with as many requests as are taken at once ({self._inside}); come again")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_large()

    def _counting(self, receive: Receive) -> Receive:
        """Lets no more bytes through than a body may have, whatever its header says."""
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            return message

        return counted

    @property
    def _max_bytes(self) -> int:
        return self._limits.max_request_mb << 20

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the request is larger than {self._limits.max_request_mb} MB; send fewer or smaller pictures")
