"""One process at a time: whoever comes second is told who is at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone(path: Path, refused: Callable[[str], Exception]) -> Iterator[None]:
    """Holds a lock file with this process's number. The kernel frees the lock with its holder, so none is ever stale.

    Windows and file systems without `flock` have no such lock: there, whoever starts two processes must wait.

    Args:
        path: of the lock file, which is removed in the end; its folder must be there.
        refused: what to raise where a process of this number holds it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read()
            file.close()
            raise refused(holder) from error
        except OSError:  # no flock here
            pass
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break
        file.close()  # its holder has just removed it
    with file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
