"""What DVC says of its stages: which need which, and which are out of date. Nothing else in the project knows the DAG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.errors import UserError
from pipelines.workspace import LOCK_REMEDY

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import Stage


class Locked(UserError):
    """Another DVC command holds DVC's lock of the folder."""


def stages_to_run(targets: Iterable[str] | None = None, folder: Path = Path()) -> list[str]:
    """The stages that DVC finds changed, and all that depend on them, in an order that respects the DAG.

    Args:
        targets: only what these need, themselves included; None for all stages.
        folder: with `dvc.yaml`.

    Raises:
        UserError: there is no such stage, or see `stage_graph`.
    """
    with _repo(folder) as repo:
        needs = _needs(repo)
        wanted = set(needs) if targets is None else needed_by(targets, needs)
        stages = {_name(stage.addressing): stage for stage in repo.index.graph}
        changed = {name for name in wanted if _has_changed(stages[name])}
    affected: list[str] = []
    for stage in TopologicalSorter(needs).static_order():
        if stage in changed or needs[stage] & set(affected):
            affected.append(stage)
    return [stage for stage in affected if stage in wanted]


def stage_graph(folder: Path = Path()) -> dict[str, set[str]]:
    """Every stage -> the stages it needs.

    Raises:
        UserError: DVC cannot read it.
        Locked: another DVC command holds its lock.
    """
    with _repo(folder) as repo:
        return _needs(repo)


def needed_by(targets: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    """The targets and all the stages that they need, near and far.

    Raises:
        UserError: there is no such stage.
    """
    found, left = set[str](), list(targets)
    while left:
        stage = left.pop()
        if stage not in needs:
            raise UserError(f"dvc.yaml has no stage {stage}; its stages are {', '.join(needs)}")
        if stage not in found:
            found.add(stage)
            left += needs[stage]
    return found


def stage_name(kind: str, *items: object) -> str:
    """How DVC calls a stage of a `foreach` or a `matrix`: "train", "terrain", "ca", 2019 -> "train@terrain-ca-2019"."""
    return f"{kind}@{'-'.join(str(item) for item in items if item is not None)}"


def _has_changed(stage: Stage) -> bool:
    """Whether DVC finds the stage changed, or another command is at work on its files: `dvc repro` looks again after it."""
    from dvc.lock import LockError

    try:
        return bool(stage.status(check_updates=True))
    except LockError:
        return True


def _needs(repo: Repo) -> dict[str, set[str]]:
    graph = repo.index.graph
    names = {stage: _name(stage.addressing) for stage in graph}
    return {names[stage]: {names[needed] for needed in graph.successors(stage)} for stage in graph}


def _name(addressing: str) -> str:
    """A stage's name as a command in the repository's folder takes it; DVC names the file, too, seen from elsewhere."""
    return addressing.rpartition("dvc.yaml:")[2]


@contextmanager
def _repo(folder: Path) -> Iterator[Repo]:
    """DVC's view of a folder, with its lock: nobody writes `dvc.lock` meanwhile.

    Raises:
        UserError: DVC cannot read it, in DVC's words.
        Locked: another DVC command holds its lock.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo
    from dvc.scm import SCMError

    try:
        with Repo(str(folder)) as repo, lock_repo(repo):
            yield repo
    except LockError as error:
        raise Locked(f"dvc: {error}") from error
    except (DvcException, SCMError) as error:
        remedy = f"; {LOCK_REMEDY}" if "dvc.lock" in str(error) else ""
        raise UserError(f"dvc: {error}{remedy}") from error
