"""Work shared out to processes or threads, whose results come in the order of the work, with a bounded amount on its way."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Workers:
    """Who works."""

    executor: Executor | None = None
    """None: this thread."""
    number: int = 0
    ready: Callable[[], object] | None = None
    """Called before each item, where that is worked on: it sets there what is set here. None: nothing is."""


ALONE = Workers()


def in_order(workers: Workers, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` that takes only a few items a worker before the first of their results is asked for.

    Args:
        workers: who works.
        function: of an item.
        items: are taken when there is room for them, by this thread.
    """
    executor, num_ahead = workers.executor, 2 * workers.number + 2
    if executor is None:
        yield from map(function, items)
        return
    task = partial(_work, workers.ready, function) if workers.ready else function
    waiting: deque[Callable[[], R]] = deque()
    for item in items:
        waiting.append(executor.submit(task, item).result)
        if len(waiting) >= num_ahead:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def _work(ready: Callable[[], object], function: Callable[[T], R], item: T) -> R:
    ready()
    return function(item)


@contextmanager
def processes(num_workers: int) -> Iterator[Workers]:
    """So many worker processes, which end with this one, however that ends; for 0 this thread alone."""
    if not num_workers:
        yield ALONE
        return
    with ProcessPoolExecutor(num_workers, initializer=_end_with_parent) as executor:
        try:
            yield Workers(executor, num_workers)
        finally:
            executor.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A worker waits for work for ever where its parent was killed, so it waits for the parent's end, too."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
