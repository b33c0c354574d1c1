"""Which of the project's files a module runs, read from its imports."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]

CARRIERS = (
    "pennet/atomic.py",  # writes bytes, makes none
    "pennet/errors.py",
    "pennet/config/",  # carries values; the values themselves are in `params:`
    "pipelines/fingerprint.py",
    "pipelines/layout.py",
    "pipelines/live.py",
    "pipelines/params.py",
    "pipelines/registry.py",
    "pipelines/tracking.py",  # records results, changes none
)
"""Files and folders that move values and bytes about without changing them: no stage depends on these."""


def import_closure(module_path: str) -> set[str]:
    """The module's own file and all project files it imports, at any depth, inside functions too.

    Imports for type checkers only are left out, and so are `__init__.py` files without code.
    """
    found: set[str] = set()
    waiting = [module_path]
    while waiting:
        path = waiting.pop()
        if path in found or path.startswith(CARRIERS):
            continue
        found.add(path)
        waiting += _imported_files(ROOT / path)
    return {path for path in found if not path.endswith("__init__.py") or _has_code(ROOT / path)}


def _has_code(path: Path) -> bool:
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body)


def _imported_files(path: Path) -> list[str]:
    names: list[str] = []
    for node in _run_time_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [file for name in names for file in _files_of(name)]


def _run_time_nodes(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        nodes += [child, *_run_time_nodes(child)]
    return nodes


def _files_of(name: str) -> list[str]:
    """`pennet.data.images` -> its file and the `__init__.py` of the packages above it."""
    parts = name.split(".")
    if parts[0] not in ("pennet", "pipelines"):
        return []
    candidates = [Path(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
    candidates.append(Path(*parts).with_suffix(".py"))
    return [path.as_posix() for path in candidates if (ROOT / path).is_file()]
