"""Work that is shared out: a cluster of two gives the bytes that this machine gives alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from pennet.data.preparing.in_order import in_order
from pennet.data.preparing.prepare import prepare
from pennet.data.sets.folder import FOLDER
from pennet.errors import TransientError
from pipelines.workers import workers
from tests.data.pictures import SETTINGS, encoded, photo, source_of, split_of
from tests.pipelines.test_evaluate import RUNTIME

FILES = {f"{split}/{n}": encoded(photo(n)) for n, split in enumerate(["train", "val", "test"] * 20)}
BROKEN = {"train/broken": b"no picture"}


def prepared(folder: Path, dask: str) -> dict[str, bytes]:
    files = FILES | BROKEN
    with workers(replace(RUNTIME, dask=dask)) as who:
        settings = SETTINGS | {"workers": who, "partial_dir": folder / "partial", "max_rejected_ratio": 0.1}
        prepare(FOLDER, source_of(files), split_of(files), folder / "out", **settings)
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@pytest.mark.slow
def test_a_cluster_of_two_prepares_the_same_bytes(tmp_path: Path) -> None:
    from distributed import LocalCluster

    alone = prepared(tmp_path / "alone", "")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        assert prepared(tmp_path / "cluster", cluster.scheduler_address) == alone
        with workers(replace(RUNTIME, dask=cluster.scheduler_address)) as who:
            assert who.number == 2
            assert list(in_order(who, len, ["a", "bcd", ""])) == [1, 3, 0]


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client

    def nobody(address: str, **_: object) -> None:
        raise OSError(f"Timed out trying to connect to {address}")

    monkeypatch.setattr(Client, "__new__", lambda cls, *arguments, **more: nobody(*arguments))
    message = r"runtime.dask: no scheduler answers at 'tcp://127.0.0.1:9' .*; start it, or set it to ''"
    with pytest.raises(TransientError, match=message), workers(replace(RUNTIME, dask="tcp://127.0.0.1:9")):
        pass
