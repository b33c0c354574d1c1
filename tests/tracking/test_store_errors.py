"""What people read when the disk is full, or the store cannot be written: one line, which says so."""

import errno
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import torch

from pennet.training.checkpoint import load_checkpoint, save_checkpoint
from pipelines.tracking.live import live_run
from pipelines.tracking.record import close_dead, record
from pipelines.tracking.store import check_sqlite, first_line
from tests.project import ROOT, change_params, run
from tests.tracking.stores import IDENTITY, TRIAL, store

STATE = {"weights": torch.zeros(1_000_000)}


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small tmpfs: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_files(num_bytes: int) -> Iterator[None]:
    """The kernel refuses to write more to a file: it fails as on a full disk, and nobody needs the right to mount one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_is_told_in_the_words_of_the_system(tmp_path: Path) -> None:
    good = save_checkpoint(tmp_path, 1, {}, {"weights": torch.zeros(10)})
    said = r"step-00000002\.pt: File too large; the last good one is .*step-00000001\.pt; free"
    with pytest.raises(OSError, match=said), small_files(100_000):
        save_checkpoint(tmp_path, 2, {}, STATE)
    assert list(tmp_path.iterdir()) == [good]
    load_checkpoint(good, {})


def test_a_checkpoint_on_a_full_disk_says_that_there_is_no_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        with pytest.raises(OSError, match=r"\.pt: No space left on device; there is none before it; free some disk space"):
            save_checkpoint(disk, 1, {}, STATE)
        assert list(disk.iterdir()) == []


def fill(disk: Path, spare_pages: int = 0) -> None:
    with (disk / "filling").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        file.truncate(file.tell() // 4096 * 4096 - 4096 * spare_pages)


LIVE = """
import sys
from pathlib import Path
from pennet.config import TrackingConfig
from pipelines.tracking import live
from tests.tracking.test_store_errors import fill

live.describe_experiment = lambda *_: None  # it reads prepared data
with live.live_run("terrain", "pennet", 1, {"a": "b"}, TrackingConfig("sqlite:///mlflow.db", "test", "inpainting")) as run:
    fill(Path.cwd())
    run.metrics(1, {"train/generator": 0.5})
    sys.exit("train: cannot save checkpoint")
"""


def test_a_disk_that_fills_up_in_a_training_costs_lines_and_no_tracebacks(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        root = Path(__file__).parents[2]
        result = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{LIVE}"],
            cwd=disk,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 1, result.stderr
    assert "MLflow does not take the live curves now (database or disk is full; free some disk space)" in result.stderr
    assert "Traceback" not in result.stderr
    assert "autoflush" not in result.stderr
    assert result.stderr.endswith("train: cannot save checkpoint\n")


RECORD = """
import sys
from pathlib import Path
import mlflow
from pipelines import record
from tests.tracking.test_store_errors import fill

disk, moment = Path(sys.argv[1]), sys.argv[2]
def full(name, spare_pages):
    whole = getattr(mlflow, name)
    def log(*args, **kwargs):
        fill(disk, spare_pages)
        return whole(*args, **kwargs)
    setattr(mlflow, name, log)
if moment == "pictures":
    full("log_image", 2)  # for a folder and the picture, not for its thumbnail
if moment == "metrics":
    full("log_metrics", 0)
record.main()
"""


def test_a_disk_that_fills_up_in_a_record_is_one_line_and_nothing_is_missing_after_it(project: Path, tmp_path: Path) -> None:
    def recorded(moment: str) -> subprocess.CompletedProcess[str]:
        return run(project, "python", "-c", RECORD, str(disk), moment, PYTHONPATH=f"{project}:{ROOT}")

    with small_disk(tmp_path / "disk", "8m") as disk:
        one = {"learned": ["pennet"], "classical": []}
        change_params(project, {"methods": one, "tracking": {"uri": f"sqlite:///{disk}/mlflow.db"}})
        why = r"(database or disk is full|.*No space left on device.*)"
        for moment in ("metrics", "pictures"):
            said = recorded(moment)
            (line,) = [line for line in said.stderr.splitlines() if " INFO " not in line]
            assert re.fullmatch(rf"record: cannot record in sqlite:.*: {why}; free some disk space and run it again", line)
            (disk / "filling").unlink()
        assert recorded("").returncode == 0
        sizes = {path.name: path.stat().st_size for path in disk.rglob("images/*")}
        whole = {name.removesuffix("+compressed.webp") for name, size in sizes.items() if name.endswith(".webp") and size}
        keys = {name.split("+")[0] for name in whole if sizes[f"{name}.png"]}
        assert keys == {"test_sheet", "composite_0000"}


def test_the_reason_is_the_databases_own() -> None:
    """As SQLAlchemy says it, and as a server hands it on."""
    wrapped = (
        "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block)\n"
        "(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: INSERT INTO tags]"
    )
    for error in (RuntimeError(wrapped), RuntimeError(f"INTERNAL_ERROR: {wrapped}")):
        assert first_line(error).startswith("attempt to write a readonly database; make it and its folder writable")
    assert first_line(RuntimeError("(psycopg2.errors.DiskFull) could not extend file\nHINT: more")) == (
        "(psycopg2.errors.DiskFull) could not extend file"
    )
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"


def test_a_folder_that_cannot_be_written_is_found_before_mlflow_tries(tmp_path: Path) -> None:
    """SQLite locks the file, and fails only at its journal, which lies beside it."""
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.create_experiment("first")
    (tmp_path / "mlflow.db-journal").mkdir()
    with pytest.raises(OSError, match=r"mlflow\.db: (unable to open database file|disk I/O error)"):
        check_sqlite(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_read_only_store_is_one_line_with_its_path_and_the_remedy(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "32m") as disk:
        uri = f"sqlite:///{disk}/mlflow.db"
        mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
        mlflow.create_experiment("first")
        shutil.copy(tmp_path / "mlflow.db", disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(
            ValueError, match="attempt to write a readonly database; make it and its folder writable"
        ) as error:
            record(*TRIAL, store(uri))
        assert f"{disk}/mlflow.db: attempt" in str(error.value)
        with live_run(*TRIAL, IDENTITY, store(uri)):
            pass
    assert f"warning: cannot write to the MLflow store {uri} ({disk}/mlflow.db: attempt to write" in capsys.readouterr().err


def test_a_store_that_was_cut_short_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    mlflow.create_experiment("first")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="malformed; move it away: a new record is made from the last results"):
        close_dead("terrain", store(f"sqlite:///{path}"))
