"""A real server on loopback that does what servers and networks do, and keeps count of what it sends."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """What the server does with one request; by default what an honest one does, ranges included."""

    status: int = 200
    """Another one is sent as an error, with `headers`."""
    body: bytes | None = None
    """Instead of the server's content."""
    headers: dict[str, str] = field(default_factory=dict)
    """More of them, or others in the place of the honest ones."""
    etag: str | None = '"1"'
    ranges: bool = True
    if_range: bool = True
    """Whether `If-Range` is heeded."""
    length: str | None = ""
    """Content-Length; "" is the honest one, None is none."""
    chunked: bool = False
    cut_after: int | None = None
    """Bytes of the body after which the connection ends."""
    reset: bool = False
    """It ends without a goodbye."""
    stall: bool = False
    """It stays open, and silent."""
    trickle: bool = False
    """A byte at a time, and time between them."""
    silent: bool = False
    """Nothing is sent at all."""


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    sent: int = 0
    """Bytes of the body."""

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class Server(ThreadingHTTPServer):
    """Serves one content under every path.

    Attributes:
        answers: what to do with the first, second... request for a path; the last stays. Other paths are answered honestly.
        requests: all that came, in order.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[Request] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(request.sent for request in self.requests)

    def handle_error(self, request: object, client_address: object) -> None:
        """The client went away, as some tests want it to."""


@contextlib.contextmanager
def running(content: bytes) -> Iterator[Server]:
    with Server(content) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.close_connection = True
        path = self.path.partition("?")[0].strip("/")
        request = Request(path, {name.lower(): value for name, value in self.headers.items()})
        before = sum(other.path == path for other in self.server.requests)
        self.server.requests.append(request)
        answers = self.server.answers.get(path, [Answer()])
        answer = answers[min(before, len(answers) - 1)]
        if answer.silent:
            self.server.closing.wait(30)
            return
        body = self._head(request, answer)
        if answer.trickle:
            with contextlib.suppress(OSError):
                for byte in body[:1000]:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    self.server.closing.wait(0.03)
            return
        request.sent = len(body[: answer.cut_after])
        with contextlib.suppress(OSError):  # the client went away
            if answer.chunked:
                self.wfile.write(b"%x\r\n" % len(body))
            self.wfile.write(body[: answer.cut_after])
            if answer.chunked and answer.cut_after is None:
                self.wfile.write(b"\r\n0\r\n\r\n")
            self.wfile.flush()
            if answer.stall:
                self.server.closing.wait(30)
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _head(self, request: Request, answer: Answer) -> bytes:
        """Sends status and headers; returns the body that belongs to them."""
        content = self.server.content if answer.body is None else answer.body
        status, body, headers = answer.status, content, {"Content-Type": "application/octet-stream"}
        wanted = re.fullmatch(r"bytes=([0-9]+)-", request.range or "")
        same = not answer.if_range or request.headers.get("if-range", answer.etag) == answer.etag
        if status >= 300:
            body = b"" if answer.body is None else content
        elif wanted and answer.ranges and same:
            start = int(wanted[1])
            if start < len(content):
                status, body = 206, content[start:]
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            else:
                status, body, headers["Content-Range"] = 416, b"", f"bytes */{len(content)}"
        if answer.etag:
            headers["ETag"] = answer.etag
        if answer.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif answer.length is not None:
            headers["Content-Length"] = answer.length or str(len(body))
        self.send_response(status)
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        return body

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a reset connection has nothing left to flush
            super().finish()

    def log_message(self, *arguments: object) -> None:
        pass
