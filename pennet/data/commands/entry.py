"""The lines of `params.yaml` that a data set of one's own needs, to paste or put into a file that keeps all its others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pennet.config import NAME_PATTERN
from pennet.data.sources.search import shown
from pennet.errors import UserError

_SOURCE = """\
{name}:
  data_set: {data_set}
  archives: [{archive}]
  sha256: [{sha256}]
  revision: ''
  accept_licence: false
  split: seeded
  seed: 0
  test_ratio: {test_ratio:g}
  val_ratio: {val_ratio:g}
"""
_OVERRIDES = """\
{name}: {{prepare: {{{prepare}}}, masks: {{}}, train: {{}}, recipes: {{}}, evaluate: {{}}}}
"""


@dataclass(frozen=True)
class Entry:
    """A data set of one's own as `params.yaml` has it."""

    name: str
    """What it is called there."""
    data_set: str
    """`packed` or `folder`."""
    archive: str
    """Path of the archive or folder."""
    sha256: str = ""
    """Of the archive; empty if it is not known."""
    test_ratio: float = 0.1
    val_ratio: float = 0.1
    """Shares that a seeded split tests and validates with."""
    image_size_px: int | None = None
    """Side of the prepared squares; None for that of all data sets."""

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME_PATTERN, self.name):
            raise UserError(f"name {self.name!r}: must be small letters, digits and _, a letter first; choose another")
        if not self.archive.isprintable():  # YAML would need escapes, and a terminal shows what is not there
            raise UserError(f"{shown(Path(self.archive))}: has characters in its path that cannot be written; rename it")

    def text(self) -> str:
        """YAML to paste."""
        return (
            f"datasets: [{self.name}]\nsources:\n{_indented(self._source(), 2)}overrides:\n{_indented(self._overrides(), 2)}"
        )

    def added_to(self, path: Path) -> str:
        """The text of a `params.yaml` with this one more at the end of `datasets`, `sources` and `overrides`.

        No other line changes. It goes by lines, for the library reads no YAML: the keys must begin lines, with their entries
        in lines below.

        Raises:
            UserError: the name is there already, or the file is laid out in another way; names the file and the line.
            OSError: the file cannot be read.
        """
        try:
            text = path.read_bytes().decode("utf-8")
            lines, ending = text.splitlines(), "\r\n" if "\r\n" in text else "\n"
            if not _places(lines, "overrides"):
                lines += ["", "overrides:"]
            edits: list[Callable[[list[str]], None]] = [
                lambda to: _append_below(to, "sources", self.name, self._source()),
                lambda to: _append_below(to, "overrides", self.name, self._overrides()),
                lambda to: _append_to_list(to, "datasets", self.name),
            ]
            for edit in edits:  # on a copy, so that a message counts the lines of the file
                edit(list(lines))
            for edit in edits:
                edit(lines)
        except (FileNotFoundError, IsADirectoryError) as error:
            remedy = "name the params.yaml of a project, or leave out --write to see the lines"
            raise UserError(f"{path}: no such file; {remedy}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from error
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        return ending.join([*lines, ""])

    def _source(self) -> str:
        sha256 = _quoted(self.sha256) if self.sha256 else ""  # without quotes digits alone would be a number
        return _SOURCE.format_map(asdict(self) | {"archive": _quoted(self.archive), "sha256": sha256})

    def _overrides(self) -> str:
        prepare = "" if self.image_size_px is None else f"image_size_px: {self.image_size_px}"
        return _OVERRIDES.format(name=self.name, prepare=prepare)


def data_set_name(text: str) -> str:
    """The nearest name that `params.yaml` takes."""
    name = re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")
    return name if name[:1].isalpha() else f"photos_{name}".rstrip("_")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _indented(text: str, spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}\n" for line in text.splitlines())


def _places(lines: list[str], key: str) -> list[int]:
    return [place for place, line in enumerate(lines) if re.match(rf"""(['"]?){key}\1\s*:""", line)]


def _place(lines: list[str], key: str) -> int:
    places = _places(lines, key)
    if len(places) != 1:
        raise UserError(f"`{key}:` begins {len(places)} lines, must begin one; add the lines by hand")
    return places[0]


def _append_below(lines: list[str], key: str, name: str, added: str) -> None:
    """Behind the last entry of a mapping."""
    place = _place(lines, key)
    match = re.fullmatch(rf"({key}\s*:)\s*(\{{\s*\}})?(\s*#.*)?", lines[place])
    if not match:
        raise UserError(f"`{key}` in line {place + 1} is not laid out in lines below it; add the lines by hand")
    lines[place] = f"{match[1]}{match[3] or ''}"
    end = _end(lines, place)
    entries = [line for line in lines[place + 1 : end] if line.strip() and not line.lstrip().startswith("#")]
    indent = len(entries[0]) - len(entries[0].lstrip()) if entries else 2
    if any(re.match(rf"""{" " * indent}['"]?{name}['"]?\s*:""", line) for line in entries):
        raise UserError(f"{key}: has an entry {name!r} already; choose another name, or change that entry by hand")
    lines[end:end] = _indented(added, indent).splitlines()


def _append_to_list(lines: list[str], key: str, name: str) -> None:
    """Behind the last item of a list, in brackets or a line each; an item that is there already stays alone."""
    place = _place(lines, key)
    if match := re.fullmatch(rf"({key}\s*:\s*\[)\s*([^\[\]#]*?)\s*,?\s*(\](?:\s*#.*)?)\s*", lines[place]):
        items = [*filter(None, re.split(r"\s*,\s*", match[2]))]
        items += [] if name in [item.strip("'\"") for item in items] else [name]
        lines[place] = f"{match[1]}{', '.join(items)}{match[3]}"
        return
    end = _end(lines, place)
    items = [line for line in lines[place + 1 : end] if re.match(r"\s*- ", line)]
    if not items:
        raise UserError(f"`{key}` in line {place + 1} is no list in brackets or in lines below it; add the lines by hand")
    if not any(re.match(rf"""\s*- +(['"]?){name}\1\s*(#|$)""", item) for item in items):
        lines.insert(end, f"{items[-1].partition('-')[0]}- {name}")


def _end(lines: list[str], place: int) -> int:
    """The line behind the last one that belongs to a key at the left margin."""
    end = place + 1
    for number in range(place + 1, len(lines)):
        line = lines[number]
        if re.match(r"\s+\S|- ", line):
            end = number + 1
        elif line.strip() and not line.startswith("#"):
            break
    return end
