"""Many stages, several at once: each as soon as those that it needs are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from graphlib import TopologicalSorter
from typing import TypeVar

from pipelines.running.waiting import ended

T = TypeVar("T")


def run_all(
    stages: Sequence[str], needs: Mapping[str, set[str]], jobs: int, start: Callable[[str], Future[T]]
) -> list[Future[T]]:
    """Starts every stage in an order that respects the DAG, at most `jobs` at once.

    After a failure no other stage starts; those that run come to their end. Whatever else ends this function (a cancel,
    Ctrl-C) tells the threads of the running stages that the run is over.

    Args:
        stages: what is to be done.
        needs: stage -> the stages it needs, of all there are.
        jobs: stages at once.
        start: starts one stage in a thread.

    Returns:
        What was started, all of it done; a failure is in it.
    """
    wanted, place = set(stages), {stage: index for index, stage in enumerate(stages)}
    sorter = TopologicalSorter({stage: _within(stage, needs, wanted) for stage in stages})
    sorter.prepare()
    ready, running, started = list[str](), dict[Future[T], str](), list[Future[T]]()
    failed = False
    try:
        while sorter.is_active():
            ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
            while ready and len(running) < jobs and not failed:
                future = start(stage := ready.pop(0))
                started.append(future)
                running[future] = stage
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                if has_failed(future):
                    failed = True
                else:
                    sorter.done(stage)
    except BaseException:
        ended.set()
        raise
    return started


def _within(stage: str, needs: Mapping[str, set[str]], wanted: set[str]) -> set[str]:
    """The wanted stages that a stage needs, those through stages that are not wanted among them."""
    found, seen, left = set[str](), set[str](), [*needs[stage]]
    while left:
        if (needed := left.pop()) in seen:
            continue
        seen.add(needed)
        if needed in wanted:
            found.add(needed)
        else:
            left += needs[needed]
    return found


def has_failed(future: Future[T]) -> bool:
    """Whether what ran raised, or returned a state of Prefect that is none of success."""
    return future.exception() is not None or not getattr(future.result(), "is_completed", lambda: True)()
