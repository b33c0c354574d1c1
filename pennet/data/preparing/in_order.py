"""Work shared out to processes or threads, whose results come in the order of the work, with a bounded amount on its way."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(executor: Executor | None, function: Callable[[T], R], items: Iterable[T], num_ahead: int) -> Iterator[R]:
    """`map` that takes no more than `num_ahead` items before the first of their results is asked for.

    Args:
        executor: who works; None for this thread.
        function: of an item.
        items: are taken when there is room for them, by this thread.
        num_ahead: items on their way, results that wait for their turn included.
    """
    if executor is None:
        yield from map(function, items)
        return
    waiting: deque[Callable[[], R]] = deque()
    for item in items:
        waiting.append(executor.submit(function, item).result)
        if len(waiting) >= num_ahead:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


@contextmanager
def processes(num_workers: int) -> Iterator[Executor | None]:
    """So many worker processes, which end with this one, however that ends; None for 0."""
    if not num_workers:
        yield None
        return
    with ProcessPoolExecutor(num_workers, initializer=_end_with_parent) as executor:
        try:
            yield executor
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
