"""A small project of its own for every trial, copied from this checkout as git would clone it: real stages, seconds each."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from faults.processes import run
from pennet.data.sources.manifest import MANIFEST
from pennet.errors import UserError
from pipelines.params import read_yaml, write_yaml
from pipelines.repository import git

ROOT = Path(__file__).parents[1]
RESULTS = (":!dvc.lock", ":!reports", ":!docs", ":!tests")
"""Of the checkout, what no stage reads."""
ARCHIVE = ROOT / "data/embedded/terrain-256.zip"
PICTURES = {"train": 36, "test": 6}
STORE = "store"
"""Folder of the MLflow store in every project, so that it can lie on a disk of its own."""
TRIAL = "train@terrain-pennet-2019"
SMALL: dict[str, Any] = {
    "methods": {"learned": ["pennet"], "classical": []},
    "prepare": {"image_size_px": 48, "max_look_alike_bits": 0},
    "train": {"steps": 16, "batch_size": 4, "log_every_steps": 1, "sample_every_steps": 8, "checkpoint_every_steps": 4},
    "recipes": {"pennet": {"base_width": 8, "dilations": [1, 2], "discriminator_width": 4, "learning_rate": 0.02}},
    "evaluate": {"bootstrap_resamples": 20, "kid_subsets": 2, "kid_subset_size": 4, "is_splits": 1, "lpips_nets": []},
    "promotion": {"better": ["l1_hole"], "guards": {"lpips_alex": None}},
    "runtime": {"num_threads": 1},
    "tracking": {"uri": f"sqlite:///{STORE}/mlflow.db"},
}
FLOW = """\
stages:
  download:
    foreach: [toy]
    do:
      cmd: echo data > data.txt
      outs: [data.txt]
  train:
    foreach: [toy-net]
    do:
      cmd: python -m pipelines.train terrain pennet 2019
      deps: [data.txt]
      outs:
        - models/terrain/pennet/seed-2019:
            persist: true
  compare:
    foreach: [toy]
    do:
      cmd: cp models/terrain/pennet/seed-2019/generator.safetensors table.bin
      deps: [models/terrain/pennet/seed-2019]
      outs: [table.bin]
"""
"""Three stages, one of them a real training: what is left of the flow's time is Prefect's and DVC's."""


def small_archive() -> bytes:
    """Some of the pictures that come with the project, as an archive of their own."""
    with zipfile.ZipFile(ARCHIVE) as source:
        rows = list(csv.DictReader(io.TextIOWrapper(source.open(MANIFEST), encoding="utf-8")))
        left = dict(PICTURES)
        chosen = []
        for row in rows:
            if left[row["split"]]:
                left[row["split"]] -= 1
                chosen.append(row)
        table = io.StringIO()
        writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(chosen)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(zipfile.ZipInfo(MANIFEST), table.getvalue())
            for row in chosen:
                archive.writestr(zipfile.ZipInfo(row["file"]), source.read(row["file"]))
    return content.getvalue()


def make_base(folder: Path, url: str, sha256: str) -> Path:
    """The project before its first stage; its pictures come from `url`.

    Raises:
        UserError: this checkout is in no git repository.
    """
    listed = git("-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ".", *RESULTS)
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source == ARCHIVE or not source.exists():  # known to git, and removed here
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    (folder / STORE).mkdir()
    change(folder, SMALL | {"sources": {"terrain": {"data_set": "packed", "archives": [url], "sha256": [sha256]}}})
    commands = (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=faults", "-c", "user.email=faults@localhost", "commit", "--quiet", "-m", "A small copy"],
    )
    for arguments in commands:
        subprocess.run(["git", *arguments], cwd=folder, check=True, timeout=60)
    (folder / ".git/info/exclude").write_text(f"/{STORE}/\n")
    return folder


def change(folder: Path, changes: Mapping[str, Any]) -> None:
    """Changes values of a project's parameters; None takes a key away."""
    path = folder / "params.yaml"
    write_yaml(path, _merged(read_yaml(path), changes))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, value in changes.items():
        inner = key in merged and isinstance(value, Mapping)
        merged[key] = _merged(merged[key], value) if inner else value
    return {key: value for key, value in merged.items() if value is not None}


def copy(template: Path, folder: Path) -> Path:
    """A copy with the same times, into a folder that may be there already (a mounted disk)."""
    return Path(shutil.copytree(template, folder, symlinks=True, dirs_exist_ok=True))


class Templates:
    """Projects at the stages from which experiments start, each made when it is first asked for."""

    def __init__(self, folder: Path, url: str, sha256: str) -> None:
        self._folder, self._url, self._sha256 = folder, url, sha256

    def base(self) -> Path:
        """Nothing has run."""
        folder = self._folder / "base"
        return folder if folder.exists() else make_base(folder, self._url, self._sha256)

    def downloaded(self) -> Path:
        return self._after("downloaded", self.base, "download@terrain")

    def prepared(self) -> Path:
        """Data and masks are there; nothing is trained, and the MLflow store holds its tables alone."""
        folder = self._folder / "prepared"
        if not folder.exists():
            self._after("prepared", self.downloaded, "masks@terrain")
            self._run(folder, "mlflow", "db", "upgrade", SMALL["tracking"]["uri"])
        return folder

    def complete(self) -> Path:
        """All that `dvc repro` makes, and no MLflow store."""
        folder = self._folder / "complete"
        if not folder.exists():
            self._after("complete", self.prepared)
            shutil.rmtree(folder / STORE)
            (folder / STORE).mkdir()
        return folder

    def prepared_with_cache(self) -> Path:
        """As `prepared`, and DVC remembers what follows the training: it restores that if the weights are the same."""
        folder = self._folder / "prepared-with-cache"
        if not folder.exists():
            copy(self.complete() / ".dvc/cache", copy(self.prepared(), folder) / ".dvc/cache")
        return folder

    def flow(self) -> Path:
        """As `prepared`, with a DAG of three short stages."""
        folder = self._folder / "flow"
        if not folder.exists():
            copy(self.prepared(), folder)
            (folder / "dvc.yaml").write_text(FLOW)
            (folder / "dvc.lock").unlink()
            change(folder, {"methods": {"learned": [], "classical": []}})
        return folder

    def _after(self, name: str, before: Callable[[], Path], *stages: str) -> Path:
        folder = self._folder / name
        if not folder.exists():
            copy(before(), folder)
            self._run(folder, "dvc", "repro", *stages)
        return folder

    def _run(self, folder: Path, *words: str) -> None:
        log = self._folder / f"{folder.name}.log"
        if status := run(folder, (sys.executable, "-m", *words), log):
            raise UserError(f"{' '.join(words)} ended with exit status {status}: {log}")
