"""Who does work that can be shared out: the cores of this machine, or a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pennet.config import RuntimeConfig
from pennet.errors import TransientError

if TYPE_CHECKING:
    from pennet.in_order import Workers


@contextmanager
def workers(runtime: RuntimeConfig) -> Iterator[Workers]:
    """A process for each core that this one may use, or the threads of the cluster that `runtime.dask` names.

    Raises:
        TransientError: no scheduler answers at that address.
    """
    from pennet.in_order import Workers, processes

    if not runtime.dask:
        with processes(len(os.sched_getaffinity(0))) as here:
            yield here
        return
    from pennet.extras import require

    require("scale", "distributed")
    from distributed import Client

    try:
        client = Client(runtime.dask, timeout=30, set_as_default=False)
    except OSError as error:
        raise TransientError(
            f"runtime.dask: no scheduler answers at {runtime.dask!r} ({error}); start it, or set it to ''"
        ) from error
    with client:
        yield Workers(client.get_executor(pure=False), sum(client.nthreads().values()))
