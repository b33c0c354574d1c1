"""What DVC says of its stages: which need which, and which are out of date. Nothing else in the project knows the DAG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from pennet.errors import UserError
from pipelines.workspace import LOCK_REMEDY

if TYPE_CHECKING:
    from dvc.repo import Repo


def stages_to_run() -> list[str]:
    """The stages that DVC finds changed, and all that depend on them, in an order that respects the DAG."""
    with _repo() as repo:
        needs, changed = _needs(repo), set(repo.status())
    affected: list[str] = []
    for stage in TopologicalSorter(needs).static_order():
        if stage in changed or needs[stage] & set(affected):
            affected.append(stage)
    return affected


def stage_graph() -> dict[str, set[str]]:
    """Every stage -> the stages it needs."""
    with _repo() as repo:
        return _needs(repo)


def _needs(repo: Repo) -> dict[str, set[str]]:
    graph = repo.index.graph
    return {stage.addressing: {needed.addressing for needed in graph.successors(stage)} for stage in graph}


@contextmanager
def _repo() -> Iterator[Repo]:
    """DVC's view of this folder.

    Raises:
        UserError: DVC cannot read it, or another DVC command holds its lock; in DVC's words.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with Repo() as repo:
            yield repo
    except (DvcException, SCMError) as error:
        remedy = f"; {LOCK_REMEDY}" if "dvc.lock" in str(error) else ""
        raise UserError(f"dvc: {error}{remedy}") from error
