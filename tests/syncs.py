"""Counts what makes the host wait for a GPU: reading a value, or a result whose shape depends on values."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = ("nonzero", "_local_scalar_dense", "masked_select", "unique", "equal")


class Syncs(TorchDispatchMode):
    """`with Syncs() as syncs: ...; syncs.count`. On a CPU `tolist` and `numpy` pass torch's dispatcher by."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._passing_by = mock.patch.multiple(
            torch.Tensor, tolist=self._counted(torch.Tensor.tolist), numpy=self._counted(torch.Tensor.numpy)
        )

    def __enter__(self) -> Syncs:
        self._passing_by.start()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._passing_by.stop()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        self.count += name.startswith(WAITING) or (name.startswith("index") and _is_by_mask(args))
        return function(*args, **(kwargs or {}))

    def _counted(self, plain: Any) -> Any:
        def counted(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return plain(tensor, *args, **kwargs)

        return counted


def _is_by_mask(args: Any) -> bool:
    """`x[mask]`: how many elements come out is known only on the device."""
    indices = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else []
    return any(index is not None and index.dtype == torch.bool for index in indices)
