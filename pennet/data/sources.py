"""Where data sets come from: an archive on disk or behind a URL, whose bytes are checked on the way."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from pennet.atomic import replacing
from pennet.errors import UserError

TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 20


def fetch(archive: str, sha256: str, destination: Path) -> None:
    """Copies or downloads an archive; it appears at `destination` only if it is whole and has the right checksum.

    Args:
        archive: a path, or an http(s) URL.
        sha256: hexadecimal checksum of the file.
        destination: where it goes.

    Raises:
        UserError: no such file, an HTTP error, a broken connection, or another checksum; nothing is left behind.
    """
    with replacing(destination) as temporary:
        digest = hashlib.sha256()
        try:
            with _open(archive) as source, temporary.open("wb") as target:
                length = getattr(source, "length", None)
                with tqdm(total=length, unit="B", unit_scale=True, desc=Path(archive).name) as progress:
                    while chunk := source.read(CHUNK_BYTES):
                        digest.update(chunk)
                        target.write(chunk)
                        progress.update(len(chunk))
        except FileNotFoundError as error:
            raise UserError(f"archive {archive}: no such file; correct sources in params.yaml") from error
        except urllib.error.HTTPError as error:
            raise UserError(f"archive {archive}: the server answers {error.code} {error.reason}") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise UserError(f"archive {archive}: cannot be downloaded ({error}); try again later") from error
        if digest.hexdigest() != sha256:
            raise UserError(
                f"archive {archive}: sha256 is {digest.hexdigest()}, expected {sha256};"
                " it is truncated or another version: fetch it again or correct sources in params.yaml"
            )


def _open(archive: str) -> BinaryIO:
    if archive.startswith(("http://", "https://")):
        return urllib.request.urlopen(archive, timeout=TIMEOUT_SECONDS)  # type: ignore[no-any-return]
    return Path(archive).open("rb")
