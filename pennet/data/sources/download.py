"""Brings a file here, from paths or URLs: whole and as it is known to be, or not at all.

A large file comes in as many pieces as the network makes of it: each try asks for the missing bytes (`Range`) of the
version that is here (`If-Range`; RFC 9110, sections 13 and 14), and the checksum of the whole has the last word.
A server on this machine is asked directly, whatever proxy the environment names.
"""

from __future__ import annotations

import http.client
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from email.utils import mktime_tz, parsedate_tz
from itertools import chain
from pathlib import Path
from time import sleep
from typing import NamedTuple

from tqdm import tqdm

from pennet.atomic import replacing
from pennet.data.sources.formats import HEAD_BYTES, is_web_page
from pennet.data.sources.partial import CHUNK_BYTES, Kind, Origin, Partial, Remote, is_kind, kept
from pennet.data.sources.proxies import DirectToLoopback, way
from pennet.errors import TransientError, UserError

__all__ = ["Remote", "fetch", "fetch_remote"]

TIMEOUT_SECONDS = 60.0
"""How long a server may be silent."""
ATTEMPTS = 5
"""How often in a row an address is asked without sending `CHUNK_BYTES` that are new."""
LONGEST_WAIT_SECONDS = 300.0
_BUSY = (408, 425, 429)
"""HTTP's words for `try again`; so are all from 500 on."""

logger = logging.getLogger(__name__)


def fetch(source: str, path: Path, sha256: str, remedy: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Copies or downloads a file in one try; it appears at `path` only if it is whole and has the right checksum.

    Args:
        source: a path, or an http(s) URL.
        path: where it goes; a file that is there is replaced at the end.
        sha256: hexadecimal checksum of the file.
        remedy: what to do where the source does not have it; ends the message.
        timeout_seconds: how long the server may be silent.

    Raises:
        UserError: no such file, one with another checksum, a server that refuses, or too little space; names the source.
        TransientError: the server or the way to it failed, which may pass.
        OSError: the file cannot be written here; names `path`.
    """
    with replacing(path) as temporary, Partial(temporary) as partial:
        _download(Remote((source,), sha256), partial, path.name, remedy, timeout_seconds, attempts=1)


def fetch_remote(
    remote: Remote,
    path: Path,
    partial_dir: Path,
    remedy: str,
    timeout_seconds: float = TIMEOUT_SECONDS,
    attempts: int = ATTEMPTS,
) -> str:
    """Brings a large file here, and goes on where an earlier try was cut; it appears at `path` only if it is the right one.

    Args:
        remote: the file.
        path: where it goes; a file that is there is replaced at the end.
        partial_dir: where the bytes lie until all are here, and stay if the download ends early. Best on the disk of `path`,
            and in no folder that is emptied before the next try.
        remedy: what to do where no address has it; ends the message.
        timeout_seconds: how long a server may be silent.
        attempts: how often in a row an address is asked without much that is new, before the next one is.

    Returns:
        The hexadecimal sha256 of the file.

    Raises:
        UserError: no address gives this file, each named with its reason; or the disk has too little space.
        TransientError: among the reasons is one that may pass; or another process downloads the file.
        OSError: a folder cannot be written; names it.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; remove it, or choose another place for the file")
    content = next(iter(remote.checksums.values()), " ".join(remote.urls))
    with kept(partial_dir, path.name, content, remote.checksums) as partial:
        _download(remote, partial, path.name, remedy, timeout_seconds, attempts)
        partial.move_to(path)
        return partial.checksum("sha256")


class _Failed(Exception):
    """Why an address does not give the file."""


class _Passing(_Failed):
    """Another try may help."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class _Unfit(_Failed):
    """The bytes that are here and those there are not of one file; to start over may help."""


def _download(remote: Remote, partial: Partial, name: str, remedy: str, timeout_seconds: float, attempts: int) -> None:
    failures: list[tuple[str, _Failed]] = []
    for url in remote.urls:
        try:
            _complete(remote, partial, url, name, timeout_seconds, attempts)
            return
        except _Failed as error:
            failures.append((url, error))
    may_pass = any(isinstance(why, _Passing) for _, why in failures)
    if may_pass:
        here = f" to go on from the {partial.size:,} bytes that are here" if partial.notes and partial.size else ""
        remedy = f"try again{here}, or {remedy}"
    url, why = failures[-1]
    listed = "".join(f"\n  - {url}: {why}" for url, why in failures)
    message = f"{url}: {why}; {remedy}" if len(failures) == 1 else f"{name}: no address gives it{listed}\n{remedy}"
    raise (TransientError if may_pass else UserError)(message) from why


def _complete(remote: Remote, partial: Partial, url: str, name: str, timeout_seconds: float, attempts: int) -> None:
    """Asks one address until the file is whole and right."""
    failed, furthest, started_over = 0, partial.size, False
    while True:
        try:
            if not partial.size or partial.size != remote.total(partial.origin):
                _receive(remote, partial, url, name, timeout_seconds)
            if wrong := partial.wrong(remote):
                failure = _Unfit if partial.resumed else _Failed
                partial.restart(Origin(url))
                raise failure(f"{wrong}; it is truncated or another version")
            return
        except _Unfit as error:
            if started_over:
                raise
            started_over = True
            logger.warning("%s: %s; starting over", url, error)
            partial.restart(Origin(url))
        except _Passing as error:
            failed = 1 if partial.size >= furthest + CHUNK_BYTES else failed + 1
            furthest = max(furthest, partial.size)
            if failed >= attempts:
                raise
            said = error.wait_seconds
            wait_seconds = min(2.0 ** (failed - 1) if said is None else said, LONGEST_WAIT_SECONDS)
            logger.warning("%s: %s; another try in %.0f s", url, error, wait_seconds)
            sleep(wait_seconds)


def _receive(remote: Remote, partial: Partial, url: str, name: str, timeout_seconds: float) -> None:
    """Asks an address once, and writes what it sends."""
    here = partial.origin
    validator = here.validator if here and here.url == url else None
    # Without either, nothing would tell that the bytes that follow are of another file.
    start = partial.size if validator or remote.checksums else 0
    is_url = url.startswith(("http://", "https://"))
    with _ask(url, start, validator, timeout_seconds) if is_url else nullcontext(_open(Path(url))) as answer:
        origin, chunks = answer.origin, answer.chunks
        if remote.size_bytes is not None and origin.total not in (None, remote.size_bytes):
            raise _Failed(f"it has {origin.total:,} bytes there, expected {remote.size_bytes:,}")
        if answer.start:
            if here and (change := here.changed(origin)):
                raise _Unfit(change)
            if here and origin.total is None:
                origin = replace(origin, total=here.total)
        else:
            chunks = _of_kind(chunks, remote.kind)
        total = remote.total(origin)
        if total is not None:
            partial.require_space(total)
        (partial.go_on if answer.start else partial.restart)(origin)
        with tqdm(total=total, initial=partial.size, unit="B", unit_scale=True, desc=name, delay=1) as progress:
            for chunk in chunks:
                partial.append(chunk)
                progress.update(len(chunk))
                if total is not None and partial.size >= total:
                    break  # some servers keep the connection open
    if total is not None and partial.size < total:
        raise _Passing(_cannot(url, f"the connection broke after {partial.size:,} of {total:,} bytes"))


def _of_kind(chunks: Iterator[bytes], kind: Kind) -> Iterator[bytes]:
    """The same chunks, after a look at the first bytes: nothing that is here makes room for a web page."""
    first = b""
    while len(first) < HEAD_BYTES and (chunk := next(chunks, b"")):
        first += chunk
    if is_web_page(first):
        raise _Failed(_WEB_PAGE)
    if not is_kind(first, kind):
        raise _Failed(f"it is no {'zip or tar' if kind == 'archive' else kind} archive, it begins with {first[:16]!r}")
    return chain([first], chunks)


_WEB_PAGE = (
    "the server sends a web page instead of the file, as servers do that want a login or a confirmation, or whose quota for"
    " the file is used up; open the address in a browser to see which, download the file there, and name its path instead"
)


class _Answer(NamedTuple):
    start: int
    """Place in the file of the first byte of `chunks`."""
    origin: Origin
    chunks: Iterator[bytes]


def _open(path: Path) -> _Answer:
    return _Answer(0, Origin(str(path), total=path.stat().st_size if path.is_file() else None), _read(path))


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise _Failed("no such file") from error
    except OSError as error:
        raise _Failed(f"cannot be read ({error.strerror})") from error


@contextmanager
def _ask(url: str, start: int, validator: str | None, timeout_seconds: float) -> Iterator[_Answer]:
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
            yield _Answer(start, Origin(url, validator, total), iter(()))
            return
        if isinstance(response, urllib.error.HTTPError):
            raise _refusal(url, response, start)
        if response.headers.get_content_type() == "text/html":
            raise _Failed(_WEB_PAGE)
        if response.status != 206:
            first, total = 0, response.length
        elif first != start:
            sent = response.headers.get("Content-Range")
            raise (_Unfit if start else _Failed)(f"asked for bytes from {start:,} on, the server sends {sent!r}")
        origin = Origin(url, _validator(response.headers), total)
        yield _Answer(first, origin, _chunks(url, response, timeout_seconds))


def _refusal(url: str, response: urllib.error.HTTPError, start: int) -> _Failed:
    reason = _cannot(url, f"the server answers {response.code} {response.reason}")
    if response.code == 416 and start:
        return _Unfit(reason)
    if response.code in _BUSY or response.code >= 500:
        return _Passing(reason, _retry_after(response.headers.get("Retry-After")))
    return _Failed(reason)


def _chunks(url: str, response: http.client.HTTPResponse, timeout_seconds: float) -> Iterator[bytes]:
    while True:
        with _explained(url, timeout_seconds):
            chunk = response.read1(CHUNK_BYTES)  # what has come: of a longer wait, a cut would lose all
        if not chunk:
            return
        yield chunk


@contextmanager
def _explained(url: str, timeout_seconds: float) -> Iterator[None]:
    """All that goes wrong in here is the network's or the server's doing."""
    try:
        yield
    except (http.client.InvalidURL, ValueError) as error:  # how urllib refuses an address
        raise _Failed(_cannot(url, f"{error}; correct the address")) from error
    except (OSError, http.client.HTTPException) as error:  # OSError: URLError, time-outs, broken connections
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        silent = isinstance(cause, TimeoutError)
        reason = f"no answer in {timeout_seconds:g} s" if silent else str(cause) or type(cause).__name__
        raise _Passing(_cannot(url, reason)) from error


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


def _cannot(url: str, reason: str) -> str:
    """In one line: a server's words may hold line ends, and commands to a terminal."""
    plain = "".join(letter if letter.isprintable() or letter.isspace() else "?" for letter in reason)
    return f"cannot be downloaded{way(url)} ({' '.join(plain.split())})"
