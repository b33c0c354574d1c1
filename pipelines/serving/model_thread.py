"""One thread that the model runs in: requests wait for it in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pennet.errors import UserError
from pennet.images import Picture
from pennet.picture_pairs import Pair
from pipelines.serving.limits import Refusal

Fill = Callable[[Picture, Any, Any], Picture]
"""(image, mask, sharpness) -> composite."""


class ModelThread:
    """The model's own thread; torch uses the cores inside it.

    Args:
        fill: fills one hole.
        timeout_seconds: for a request's turn and its computation together.
        prepare: run in the thread before anything else: torch's threads and its device are a thread's own.
    """

    def __init__(self, fill: Fill, timeout_seconds: float, prepare: Callable[[], object] = lambda: None) -> None:
        self._fill = fill
        self._timeout_seconds = timeout_seconds
        self._thread = ThreadPoolExecutor(1, "model", prepare)

    async def fill(self, pairs: Sequence[Pair], sharpness: Any) -> list[Picture]:
        """Fills all holes of one request.

        Raises:
            Refusal: it took too long; what is left of it is not computed.
            UserError: what the model refuses.
        """
        request = _Request(self._fill, pairs, sharpness)
        waiting = asyncio.get_running_loop().run_in_executor(self._thread, request)
        try:
            return await asyncio.wait_for(waiting, self._timeout_seconds)
        except TimeoutError as error:  # if its turn has not come, the thread will pass it over
            if request.begun:
                raise Refusal(504, f"not done within {self._timeout_seconds:g} s; send fewer or smaller pictures") from error
            raise Refusal(503, f"its turn did not come within {self._timeout_seconds:g} s; come again") from error
        finally:
            request.wanted = False

    def close(self) -> None:
        self._thread.shutdown()


class _Request:
    def __init__(self, fill: Fill, pairs: Sequence[Pair], sharpness: Any) -> None:
        self._fill, self._pairs, self._sharpness = fill, pairs, sharpness
        self.begun, self.wanted = False, True

    def __call__(self) -> list[Picture]:
        self.begun = True
        filled = []
        for pair in self._pairs:
            if not self.wanted:  # nobody waits for it any more
                break
            try:
                filled.append(self._fill(pair.image, pair.mask, self._sharpness))
            except (MemoryError, RuntimeError, UserError) as error:
                if not _is_out_of_memory(error):
                    raise
                height, width = pair.mask.shape
                raise Refusal(413, f"a picture of {width}x{height} px is too large for this server's memory") from error
        return filled


def _is_out_of_memory(error: Exception) -> bool:
    """torch has a class for it on GPUs alone; what an estimate says beforehand has one of its own."""
    import torch

    from pennet.inpainting.memory import TooLittleMemoryError

    kinds = MemoryError, torch.OutOfMemoryError, TooLittleMemoryError
    return isinstance(error, kinds) or "can't allocate memory" in str(error)
