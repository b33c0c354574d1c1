"""Asks a server for a file, from any byte on: an answer whose bytes fit, or one reason in one line why there is none."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import mktime_tz, parsedate_tz
from typing import NamedTuple

from pennet.data.sources.partial import CHUNK_BYTES, Origin
from pennet.data.sources.proxies import DirectToLoopback, way

_BUSY = (408, 425, 429)
"""HTTP's words for `try again`; so are all from 500 on."""

SLOWEST_BYTES = 1 << 14
"""A server that sends less in the time for which it may be silent is as good as silent."""
WEB_PAGE = (
    "the server sends a web page instead of the file, as servers do that want a login or a confirmation, or whose quota for"
    " the file is used up; open the address in a browser to see which, download the file there, and name its path instead"
)


class Failed(Exception):
    """Why an address does not give the file."""


class Passing(Failed):
    """Another try may help."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class Unfit(Failed):
    """The bytes that are here and those there are not of one file; to start over may help."""


class Answer(NamedTuple):
    start: int
    """Place in the file of the first byte of `chunks`."""
    origin: Origin
    chunks: Iterator[bytes]


@contextmanager
def ask(url: str, start: int, validator: str | None, timeout_seconds: float) -> Iterator[Answer]:
    """Asks a server for a file from byte `start` on; of the version `validator`, if there is one."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "pennet"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    opener = urllib.request.build_opener(DirectToLoopback())
    with _explained(url, timeout_seconds):
        try:
            response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout_seconds)
        except urllib.error.HTTPError as error:
            response = error
    with response:
        first, total = _content_range(response.headers)
        if response.status == 416 and start and total == start:  # the bytes that are here are all
            yield Answer(start, Origin(url, validator, total), iter(()))
            return
        if isinstance(response, urllib.error.HTTPError):
            raise _refusal(url, response, start)
        if response.headers.get_content_type() == "text/html":
            raise Failed(WEB_PAGE)
        if response.status != 206:
            first, total = 0, response.length
        elif first != start:
            sent = response.headers.get("Content-Range")
            raise (Unfit if start else Failed)(f"asked for bytes from {start:,} on, the server sends {sent!r}")
        origin = Origin(url, _validator(response.headers), total)
        yield Answer(first, origin, _chunks(url, response, timeout_seconds))


def _refusal(url: str, response: urllib.error.HTTPError, start: int) -> Failed:
    reason = cannot(url, f"the server answers {response.code} {response.reason}")
    if response.code == 416 and start:
        return Unfit(reason)
    if response.code in _BUSY or response.code >= 500:
        return Passing(reason, _retry_after(response.headers.get("Retry-After")))
    return Failed(reason)


def _chunks(url: str, response: http.client.HTTPResponse, timeout_seconds: float) -> Iterator[bytes]:
    began, received = time.monotonic(), 0
    while True:
        with _explained(url, timeout_seconds):
            chunk = response.read1(CHUNK_BYTES)  # what has come: of a longer wait, a cut would lose all
        if not chunk:
            return
        received += len(chunk)
        if (seconds := time.monotonic() - began) >= timeout_seconds:
            if received < SLOWEST_BYTES:
                raise Passing(cannot(url, f"only {received:,} bytes in {seconds:.0f} s"))
            began, received = time.monotonic(), 0
        yield chunk


@contextmanager
def _explained(url: str, timeout_seconds: float) -> Iterator[None]:
    """All that goes wrong in here is the network's or the server's doing."""
    try:
        yield
    except (http.client.InvalidURL, ValueError) as error:  # how urllib refuses an address
        raise Failed(cannot(url, f"{error}; correct the address")) from error
    except (OSError, http.client.HTTPException) as error:  # OSError: URLError, time-outs, broken connections
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        silent = isinstance(cause, TimeoutError)
        reason = f"no answer in {timeout_seconds:g} s" if silent else str(cause) or type(cause).__name__
        raise Passing(cannot(url, reason)) from error


def _content_range(headers: http.client.HTTPMessage) -> tuple[int | None, int | None]:
    """First byte and total of a `Content-Range`: `bytes 5-9/10` is (5, 10), `bytes */10` is (None, 10)."""
    match = re.fullmatch(r"bytes (?:([0-9]+)-[0-9]+|\*)/([0-9]+|\*)", headers.get("Content-Range", "").strip())
    if not match:
        return None, None
    first, total = match.groups()
    return None if first is None else int(first), None if total == "*" else int(total)


def _validator(headers: http.client.HTTPMessage) -> str | None:
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")  # a weak ETag does not promise the same bytes


def _retry_after(text: str | None) -> float | None:
    """Seconds, which the server says or gives as the time until a date."""
    if text and text.strip().isdecimal():
        return float(text)
    date = parsedate_tz(text) if text else None
    return max(mktime_tz(date) - time.time(), 0.0) if date else None


def cannot(url: str, reason: str) -> str:
    """In one line: a server's words may hold line ends, and commands to a terminal."""
    plain = "".join(letter if letter.isprintable() or letter.isspace() else "?" for letter in reason)
    return f"cannot be downloaded{way(url)} ({' '.join(plain.split())})"
