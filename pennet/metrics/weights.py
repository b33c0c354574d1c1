"""Pretrained weights: from installed packages or a download, used only with the right checksum."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from pennet.data.sources.download import fetch
from pennet.errors import UserError

DOWNLOAD_TIMEOUT_SECONDS = 30


class WeightsUnavailable(UserError):
    """Weights that cannot be had here: why, and how to get them. Reports say so; nothing replaces them."""


def package_file(package: str, relative_path: str, remedy: str) -> Path:
    """The path of a file in an installed package, found without importing the package.

    Raises:
        WeightsUnavailable: the package is not installed, or has no such file; ends with `remedy`.
    """
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise WeightsUnavailable(f"the package {package} is not installed; {remedy}")
    path = Path(folders[0]) / relative_path
    if not path.is_file():
        raise WeightsUnavailable(f"the installed package {package} has no {relative_path}; {remedy}")
    return path


def verify(path: Path, sha256: str, remedy: str) -> Path:
    """Returns `path` if the file's checksum is `sha256`.

    Raises:
        WeightsUnavailable: the file cannot be read, or is another file.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    if found != sha256:
        raise WeightsUnavailable(f"{path} has sha256 {found[:12]}..., expected {sha256[:12]}...; {remedy}")
    return path


def download(url: str, path: Path, sha256: str, remedy: str) -> Path:
    """Fetches `url` to `path`: whole and with the checksum `sha256`, or not at all.

    Raises:
        WeightsUnavailable: no network, no such file on the server or another one, or `path` cannot be written.
    """
    try:
        fetch(url, path, sha256, remedy, DOWNLOAD_TIMEOUT_SECONDS)
    except (UserError, OSError) as error:
        raise WeightsUnavailable(str(error)) from error
    return path
