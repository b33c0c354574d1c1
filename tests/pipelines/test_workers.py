"""Work that is shared out: a cluster of two gives the bytes that this machine gives alone."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pennet.data.pictures.picture_files import save_png
from pennet.data.preparing.prepare import prepare
from pennet.data.sets.folder import FOLDER
from pennet.errors import TransientError, UserError
from pennet.in_order import in_order
from pennet.metrics import blocks, scoring
from pennet.metrics.report import read_reports
from pipelines import evaluate, layout
from pipelines.workers import workers
from tests.data.pictures import SETTINGS, encoded, photo, source_of, split_of
from tests.metrics.samples import noisy, pictures
from tests.pipelines.test_evaluate import CONFIG, RUNTIME, SIDE
from tests.prepared import write_prepared, write_test_masks

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
    def nobody(address: str, **_: object) -> None:
        raise OSError(f"Timed out trying to connect to {address}")

    monkeypatch.setattr("distributed.Client", nobody)
    message = r"runtime.dask: no scheduler answers at 'tcp://127.0.0.1:9' .*; start it, or set it to ''"
    with pytest.raises(TransientError, match=message), workers(replace(RUNTIME, dask="tcp://127.0.0.1:9")):
        pass


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set with what `telea` made of it under two protocols, and names in another order than the alphabet's."""
    monkeypatch.chdir(tmp_path)
    names = ["b", "f", "a", "e", "g", "d", "c"]
    images = pictures(len(names), SIDE, SIDE)
    masks = np.zeros((2, len(names), SIDE, SIDE), np.uint8)
    masks[0, :, 8:24, 8:24] = 1
    masks[1, :, :9, 3:12] = 1
    test = {f"{name}.png": image for name, image in zip(names, images, strict=True)}
    write_prepared(layout.prepared_dir("d"), train={"x.png": 255 - images[0]}, test=test)
    write_test_masks(layout.masks_dir("d"), names, centre=masks[0], corner=masks[1])
    for protocol, sigma, holes in (("centre", 20, masks[0]), ("corner", 40, masks[1])):
        predictions = noisy(images, sigma)
        composites = np.where(holes[..., None] == 1, predictions, images)
        for kind, made in (("prediction", predictions), ("composite", composites)):
            for name, picture in zip(names, made, strict=True):
                save_png(layout.filled_dir("d", "telea", None, protocol) / kind / f"{name}.png", picture)
    return tmp_path


@pytest.mark.slow
def test_a_cluster_of_two_evaluates_to_the_same_bytes(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    def scored(dask: str) -> dict[str, bytes]:
        shutil.rmtree(evaluate.FEATURE_CACHE_DIR, ignore_errors=True)
        config = replace(CONFIG, batch_size=2, lpips_nets=["alex"])
        evaluate.run("d", "telea", evaluate=config, runtime=replace(RUNTIME, dask=dask))
        assert any(evaluate.FEATURE_CACHE_DIR.iterdir())
        return {path.name: path.read_bytes() for path in layout.report_dir("d", "telea", None).iterdir()}

    def not_here(*_: object) -> None:
        raise AssertionError("workers do this")

    alone = scored("")
    report = read_reports(layout.report_dir("d", "telea", None) / "report.json")["corner"]
    assert {report.overall[key].status for key in ("psnr", "lpips_alex", "fid_efflite0")} == {"ok"}
    monkeypatch.setattr(blocks, "BATCHES", 1)  # four blocks, the last one smaller
    monkeypatch.setattr(scoring, "score_images", not_here)
    monkeypatch.setattr(scoring, "extract", not_here)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        runtime = replace(RUNTIME, dask=cluster.scheduler_address, num_threads=3)
        with evaluate._workers(runtime, torch.device("cpu")) as who:
            assert list(in_order(who, lambda _: torch.get_num_threads(), range(4))) == [3] * 4
        assert scored(cluster.scheduler_address) == alone
        Image.new("RGB", (8, 8)).save(layout.filled_dir("d", "telea", None, "centre") / "composite" / "g.png")
        with pytest.raises(UserError, match=r"g\.png: has shape \(8, 8, 3\), .*; run inpaint again"):
            scored(cluster.scheduler_address)
