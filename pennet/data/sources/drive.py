"""Files that lie on Google Drive: a link to share shows a page, and what is needed is the file behind it."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from pennet.errors import UserError

_FILE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
"""Past the page that warns that a large file is not searched for viruses."""
_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")


def file_address(file_id: str) -> str:
    """The address of the file with an id of Drive."""
    return _FILE.format(file_id)


def file_id(url: str) -> str:
    """The id of the file that a link of Drive leads to; empty for an address that is not Drive's.

    Raises:
        UserError: a link of Drive to something else, such as a folder, or no address at all; names it.
    """
    try:
        address = urlsplit(url)
    except ValueError as error:
        raise UserError(f"{url}: is no address ({error}); correct it") from error
    if address.hostname not in _HOSTS:
        return ""
    in_path = re.match(r"/file/(?:u/\d+/)?d/([\w-]+)", address.path)
    found = in_path[1] if in_path else parse_qs(address.query).get("id", [""])[0]
    if not re.fullmatch(r"[\w-]+", found):
        raise UserError(f"{url}: is no link to a file of Google Drive; share the archive itself, and give its link")
    return found
