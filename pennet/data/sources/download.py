"""Brings a file here, from paths or URLs: whole and as it is known to be, or not at all.

A large file comes in as many pieces as the network makes of it: each try asks for the missing bytes (`Range`) of the
version that is here (`If-Range`; RFC 9110, sections 13 and 14), and the checksum of the whole has the last word.
A server on this machine is asked directly, whatever proxy the environment names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from time import sleep

from tqdm import tqdm

from pennet.atomic import replacing
from pennet.data.sources.asking import WEB_PAGE, Answer, Failed, Passing, Unfit, ask, cannot
from pennet.data.sources.formats import HEAD_BYTES, is_web_page
from pennet.data.sources.partial import CHUNK_BYTES, Kind, Origin, Partial, Remote, is_kind, kept
from pennet.errors import TransientError, UserError

__all__ = ["Remote", "fetch", "fetch_remote"]

TIMEOUT_SECONDS = 60.0
"""How long a server may be silent."""
ATTEMPTS = 5
"""How often in a row an address is asked without sending `CHUNK_BYTES` that are new."""
LONGEST_WAIT_SECONDS = 300.0
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


def _download(remote: Remote, partial: Partial, name: str, remedy: str, timeout_seconds: float, attempts: int) -> None:
    failures: list[tuple[str, Failed]] = []
    for url in remote.urls:
        try:
            _complete(remote, partial, url, name, timeout_seconds, attempts)
            return
        except Failed as error:
            failures.append((url, error))
    may_pass = any(isinstance(why, Passing) for _, why in failures)
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
                failure = Unfit if partial.resumed else Failed
                partial.restart(Origin(url))
                raise failure(f"{wrong}; it is truncated or another version")
            return
        except Unfit as error:
            if started_over:
                raise
            started_over = True
            logger.warning("%s: %s; starting over", url, error)
            partial.restart(Origin(url))
        except Passing as error:
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
    with ask(url, start, validator, timeout_seconds) if is_url else nullcontext(_open(Path(url))) as answer:
        origin, chunks = answer.origin, answer.chunks
        if remote.size_bytes is not None and origin.total not in (None, remote.size_bytes):
            raise Failed(f"it has {origin.total:,} bytes there, expected {remote.size_bytes:,}")
        if answer.start:
            if here and (change := here.changed(origin)):
                raise Unfit(change)
            if here and origin.total is None:
                origin = replace(origin, total=here.total)
        else:
            chunks = _of_kind(chunks, remote.kind)
        total = remote.total(origin)
        if total is not None:
            _require_space(remote, partial, total)
        (partial.go_on if answer.start else partial.restart)(origin)
        with tqdm(total=total, initial=partial.size, unit="B", unit_scale=True, desc=name, delay=1) as progress:
            for chunk in chunks:
                partial.append(chunk)
                progress.update(len(chunk))
                if total is not None and partial.size >= total:
                    break  # some servers keep the connection open
    if total is not None and partial.size < total:
        raise Passing(cannot(url, f"the connection broke after {partial.size:,} of {total:,} bytes"))


def _require_space(remote: Remote, partial: Partial, total: int) -> None:
    """A length that only this server says may be a lie, which the next address need not share."""
    try:
        partial.require_space(total)
    except UserError as error:
        if remote.size_bytes is not None:
            raise
        raise Failed(f"says that it has {total:,} bytes; {error}") from error


def _of_kind(chunks: Iterator[bytes], kind: Kind) -> Iterator[bytes]:
    """The same chunks, after a look at the first bytes: nothing that is here makes room for a web page."""
    first = b""
    while len(first) < HEAD_BYTES and (chunk := next(chunks, b"")):
        first += chunk
    if is_web_page(first):
        raise Failed(WEB_PAGE)
    if not is_kind(first, kind):
        raise Failed(f"it is no {'zip or tar' if kind == 'archive' else kind} archive, it begins with {first[:16]!r}")
    return chain([first], chunks)


def _open(path: Path) -> Answer:
    return Answer(0, Origin(str(path), total=path.stat().st_size if path.is_file() else None), _read(path))


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise Failed("no such file") from error
    except OSError as error:
        raise Failed(f"cannot be read ({error.strerror})") from error
