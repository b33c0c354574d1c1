"""Brings a file here, from a path or a URL: whole and with the right checksum, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from pennet.atomic import replacing
from pennet.errors import TransientError, UserError

TIMEOUT_SECONDS = 60.0
"""How long a server may be silent."""
CHUNK_BYTES = 1 << 20
_BUSY = (408, 425, 429)
"""HTTP's words for `try again`; so are all from 500 on."""


def fetch(source: str, path: Path, sha256: str, remedy: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Copies or downloads a file; it appears at `path` only if it is whole and has the right checksum.

    A server on this machine is asked directly, whatever proxy the environment names.

    Args:
        source: a path, or an http(s) URL.
        path: where it goes; a file that is there is replaced at the end.
        sha256: hexadecimal checksum of the file.
        remedy: what to do where the source does not have it; ends the message.
        timeout_seconds: how long the server may be silent.

    Raises:
        UserError: no such file, one with another checksum, or a server that refuses; names the source.
        TransientError: the server or the way to it failed, which may pass.
        OSError: the file cannot be written here; names `path`.
    """
    is_url = source.startswith(("http://", "https://"))
    digest = hashlib.sha256()
    with replacing(path) as temporary:
        with temporary.open("wb") as target:
            for chunk in _downloaded(source, remedy, timeout_seconds) if is_url else _read(source, remedy):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != sha256:
            found = f"sha256 is {digest.hexdigest()}, expected {sha256}"
            raise UserError(f"{source}: {found}; it is truncated or another version: {remedy}")


def _read(source: str, remedy: str) -> Iterator[bytes]:
    try:
        with Path(source).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"{source}: no such file; {remedy}") from error


def _downloaded(url: str, remedy: str, timeout_seconds: float) -> Iterator[bytes]:
    """What the server sends, with a progress bar. All that goes wrong here is the network's or the server's doing."""
    failed = f"{url}: cannot be downloaded"
    opener = urllib.request.build_opener(_DirectToLoopback())
    received = 0
    try:
        failed += _way(url)
        with opener.open(url, timeout=timeout_seconds) as response:
            expected = response.length
            with tqdm(total=expected, unit="B", unit_scale=True, desc=Path(urlsplit(url).path).name) as progress:
                while chunk := response.read(CHUNK_BYTES):
                    received += len(chunk)
                    progress.update(len(chunk))
                    yield chunk
    except urllib.error.HTTPError as error:
        error.close()
        message = f"{failed}: the server answers {error.code} {error.reason}; {remedy}"
        raise (TransientError if error.code in _BUSY or error.code >= 500 else UserError)(message) from error
    except (OSError, http.client.HTTPException) as error:  # OSError: URLError, time-outs, broken connections
        if isinstance(error, http.client.InvalidURL):
            raise UserError(f"{failed} ({error}); correct the address") from error
        raise TransientError(f"{failed} ({_reason(error, timeout_seconds)}); try again, or {remedy}") from error
    except ValueError as error:  # how urllib refuses an address
        raise UserError(f"{failed} ({error}); correct the address") from error
    if expected is not None and received != expected:
        cut = f"the connection broke after {received:,} of {expected:,} bytes"
        raise TransientError(f"{failed} ({cut}); try again, or {remedy}")


def _reason(error: Exception, timeout_seconds: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return f"no answer in {timeout_seconds:g} s" if isinstance(cause, TimeoutError) else str(cause) or type(cause).__name__


class _DirectToLoopback(urllib.request.ProxyHandler):
    """The environment's proxies for every address but those of this machine."""

    def proxy_open(self, request: urllib.request.Request, proxy: str, type: str) -> object:
        return None if _is_loopback(request.full_url) else super().proxy_open(request, proxy, type)  # type: ignore[misc]


def _way(url: str) -> str:
    """Names the proxy that stands between, without its password."""
    proxy = urllib.request.getproxies().get(url.partition(":")[0])
    if not proxy or _is_loopback(url) or urllib.request.proxy_bypass(urlsplit(url).netloc):
        return ""
    return f" through the proxy {proxy.rpartition('@')[2]}"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
