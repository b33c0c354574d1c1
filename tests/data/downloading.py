"""A place to download to, and what is downloaded there."""

import hashlib
import random
from pathlib import Path

import pytest

from pennet.data.sources.download import Remote, fetch_remote
from pennet.errors import TransientError
from tests.data.server import Answer, Server

CONTENT = random.Random(0).randbytes(3_000_000)
OTHER = random.Random(1).randbytes(3_000_000)
CUT = 1_300_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REMEDY = "get it elsewhere"
PAGE = b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>" + b" " * 5000
ARCHIVE = "archive.zip"


class Place:
    """A folder to download to, and one for what is not whole yet."""

    def __init__(self, folder: Path) -> None:
        self.path, self.partial_dir = folder / "raw" / ARCHIVE, folder / "partial"

    def fetch(self, *urls: str, attempts: int = 3, timeout_seconds: float = 20.0, **known: object) -> str:
        remote = Remote(urls, **(known or {"sha256": SHA256}))  # type: ignore[arg-type]
        return fetch_remote(remote, self.path, self.partial_dir, REMEDY, timeout_seconds, attempts)

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in self.partial_dir.glob("*.part")]

    def is_done(self, content: bytes = CONTENT) -> bool:
        return (
            self.path.read_bytes() == content
            and not list(self.partial_dir.iterdir())
            and len(list(self.path.parent.iterdir())) == 1
        )


def ranges(server: Server) -> list[str | None]:
    return [request.range for request in server.requests]


def corrupted(content: bytes) -> bytes:
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


def cut_before(server: Server, place: Place, *answers: Answer, at: int = CUT, **known: object) -> str:
    """A first call that is cut; the answers come after. Returns the address."""
    server.answers[ARCHIVE] = [Answer(cut_after=at), *(answers or [Answer()])]
    url = f"{server.url}/{ARCHIVE}"
    with pytest.raises(TransientError):
        place.fetch(url, attempts=1, **known)
    assert place.kept() == [CONTENT[:at]]
    server.requests.clear()
    server.answers[ARCHIVE] = list(answers or [Answer()])
    return url
