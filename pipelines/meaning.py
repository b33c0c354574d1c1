"""What code means: which of the project's files a module runs, and a digest of each that no comment changes.

A training's identity is made of these, and `tests/architecture` holds `dvc.yaml` to them.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

CARRIERS = (
    "pennet/__init__.py",  # the door for people: no stage goes through it
    "pennet/alone.py",  # keeps a second process out
    "pennet/atomic.py",  # writes bytes, makes none
    "pennet/config/",  # carries values; the values themselves are parameters
    "pennet/cost.py",  # counts and times
    "pennet/data/commands/",  # what people type
    "pennet/data/sets/__init__.py",  # a list: what it names counts, see `tests/architecture`
    "pennet/data/sets/card.py",  # tells of them
    "pennet/data/sources/asking.py",  # brings bytes that a checksum names
    "pennet/data/sources/download.py",  # likewise
    "pennet/data/sources/obtain.py",  # likewise
    "pennet/data/sources/partial.py",  # likewise
    "pennet/data/sources/proxies.py",  # likewise
    "pennet/errors.py",
    "pennet/extras.py",
    "pennet/masks/__init__.py",  # a list: what it names counts, see `identity`
    "pennet/methods.py",  # likewise
    "pipelines/identity.py",
    "pipelines/launch.py",  # starts the processes that train
    "pipelines/layout.py",
    "pipelines/meaning.py",
    "pipelines/observer.py",  # shows a training, and must not change it
    "pipelines/params.py",
    "pipelines/tracking/",  # records results, makes none
)
"""Files and folders that move, show or record what others make: no result depends on them, so no identity holds them."""


def reachable(roots: Iterable[str]) -> set[str]:
    """The files that modules run: their own and all project files that these import, at any depth, inside functions too.

    Imports for type checkers only are left out, and so are carriers and `__init__.py` files without code.

    Args:
        roots: files, relative to the project's root: `pipelines/train.py`.
    """
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        path = waiting.pop()
        if path in found or path.startswith(CARRIERS):
            continue
        found.add(path)
        waiting += _imported_files(path)
    return {path for path in found if not path.endswith("__init__.py") or any(_statements(path))}


def file_of(reference: str) -> str:
    """The file of a module, or of a name in one: `pennet.models.pennet:PENNet` -> `pennet/models/pennet.py`."""
    return reference.partition(":")[0].replace(".", "/") + ".py"


@functools.cache
def meaning(path: str) -> str:
    """Digest of a file's syntax tree, without comments, docstrings and formatting.

    Args:
        path: relative to the project's root.

    Raises:
        FileNotFoundError: no such file.
        SyntaxError: not Python.
    """
    return hashlib.sha256(json.dumps(_essence(_tree(path))).encode()).hexdigest()[:12]


@functools.cache
def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _essence(node: Any) -> Any:
    """A syntax tree as plain lists: no positions, no empty fields (Python's versions differ in them), no docstrings."""
    if isinstance(node, list):
        return [_essence(item) for item in node if not (_is_docstring(item) or _is_for_type_checkers(item))]
    if isinstance(node, ast.AST):
        fields = ((name, _essence(value)) for name, value in ast.iter_fields(node))
        return [type(node).__name__, *([name, value] for name, value in fields if value not in (None, []))]
    return node if isinstance(node, str | int | float | bool | None) else repr(node)


def _is_docstring(node: Any) -> bool:
    """A string that stands alone does nothing, under a `def` or under a field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_for_type_checkers(node: Any) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _statements(path: str) -> Iterator[ast.stmt]:
    return (node for node in _tree(path).body if not _is_docstring(node))


@functools.cache
def _imported_files(path: str) -> list[str]:
    names: list[str] = []
    for node in _run_time_nodes(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [file for name in names for file in _files_of(name)]


def _run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if not _is_for_type_checkers(child):
            yield child
            yield from _run_time_nodes(child)


def _files_of(name: str) -> list[str]:
    """`pennet.images` -> its file and the `__init__.py` of the packages above it."""
    parts = name.split(".")
    if parts[0] not in ("pennet", "pipelines"):
        return []
    candidates = [Path(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
    candidates.append(Path(*parts).with_suffix(".py"))
    return [path.as_posix() for path in candidates if (ROOT / path).is_file()]
