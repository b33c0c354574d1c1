"""The messages that docs/runbook.md quotes are those that the code raises, and its parameters are there."""

import errno
import os
import re
import sqlite3
from pathlib import Path

import pytest
import torch

from pennet.data.sources import partial
from pennet.errors import UserError
from pennet.training.checkpoint import load_checkpoint, save_checkpoint
from pipelines import gpu, workspace
from pipelines.params import read_yaml
from pipelines.tracking.store import check_sqlite
from tests.project import ROOT

RUNBOOK = (ROOT / "docs/runbook.md").read_text()
QUOTES = "".join(re.findall(r"^```text\n(.*?)^```$", RUNBOOK, re.DOTALL | re.MULTILINE)).splitlines()
IDENTITY = {"train.batch_size": "4"}
FOLDER = Path("checkpoints/IDENTITY")


@pytest.fixture(autouse=True)
def _in_an_empty_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / ".prefect"))
    monkeypatch.setattr(workspace, "_check_git", lambda: None)


def is_quoted(message: str) -> bool:
    return any(message in quote for quote in QUOTES)


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD\nschema: '2.0'\n"])
def test_a_damaged_lock_file(text: str) -> None:
    workspace.DVC_LOCK.write_text(text)
    with pytest.raises(UserError) as caught:
        workspace.check_workspace()
    assert is_quoted(f"workspace: {caught.value}")


def test_an_emptied_rwlock(capsys: pytest.CaptureFixture[str]) -> None:
    workspace.RWLOCK.parent.mkdir(parents=True)
    workspace.RWLOCK.write_text("")
    workspace.check_workspace()
    assert is_quoted(capsys.readouterr().err.strip())


def saved() -> list[Path]:
    return [save_checkpoint(FOLDER, step, IDENTITY, {"ema": torch.zeros(3)}) for step in (2, 4)]


def test_a_checkpoint_of_another_configuration() -> None:
    with pytest.raises(UserError) as caught:
        load_checkpoint(saved()[1], {"train.batch_size": "8"})
    assert is_quoted(str(caught.value).replace("4 there, 8 here", "8 there, 4 here"))


def test_an_emptied_checkpoint() -> None:
    path = saved()[1]
    path.write_bytes(b"")
    with pytest.raises(UserError) as caught:
        load_checkpoint(path, IDENTITY)
    assert is_quoted(str(caught.value))


def test_a_damaged_checkpoint() -> None:
    path = saved()[1]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError) as caught:
        load_checkpoint(path, IDENTITY)
    for part in re.split(r"\(.*\)", str(caught.value)):  # what torch says of it depends on where it is cut
        assert is_quoted(part)


def test_a_full_disk_in_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(content: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError) as caught:
        save_checkpoint(FOLDER, 4, IDENTITY, {})
    first, last = str(caught.value).split(": ", 1)[0], str(caught.value).split("; ", 1)[1]
    assert is_quoted(f"train terrain pennet 2019: {first}: ")
    assert is_quoted(last)


def test_a_full_disk_in_a_download() -> None:
    with pytest.raises(UserError) as caught, partial.kept(Path("data"), "small.zip", "x") as file:
        file.append(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    said = str(caught.value).partition(": ")[2].replace("the 1 bytes", "the 296,800 bytes")
    assert is_quoted(said)


def test_a_damaged_store() -> None:
    Path("mlflow.db").write_text("no database " * 100)
    with pytest.raises(OSError) as caught:
        check_sqlite("sqlite:///mlflow.db")
    assert is_quoted(str(caught.value))


def test_a_locked_store(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0.1))
    with connect("mlflow.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError) as caught:
            check_sqlite("sqlite:///mlflow.db")
    assert is_quoted(str(caught.value))


def test_dvcs_lock() -> None:
    from dvc.lock import FAILED_TO_LOCK_MESSAGE

    assert all(is_quoted(part) for part in re.split(r"\s*[<\[].*[>\]]\s*", FAILED_TO_LOCK_MESSAGE) if len(part) > 3)


def test_a_gpu_that_is_held(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Ended:
        def wait(self, seconds: float) -> bool:
            raise TimeoutError

    monkeypatch.setattr(gpu, "ended", Ended())
    monkeypatch.setattr(gpu, "_try_lock", lambda device: None)
    with pytest.raises(TimeoutError), gpu.own_gpu("cuda", ["GPU-aa"]):
        raise AssertionError
    assert is_quoted(capsys.readouterr().out.strip())


def test_every_parameter_is_one() -> None:
    params = read_yaml(ROOT / "params.yaml")
    named = set(re.findall(rf"`((?:{'|'.join(params)})\.[a-z_.]+)", RUNBOOK))
    assert len(named) > 8
    for name in named:
        value = params
        for key in name.split("."):
            assert key in value, name
            value = value[key]


def test_a_gpu_that_is_full() -> None:
    from pipelines.launch import reporting

    (line,) = [quote for quote in QUOTES if "CUDA out of memory" in quote]
    words = line.removeprefix("train terrain pennet 2019: ")
    pytorchs = words.partition("; ")[0] + ". If reserved but unallocated memory is large try setting ..."
    with pytest.raises(UserError) as told, reporting():
        raise torch.OutOfMemoryError(pytorchs)
    assert str(told.value) == words
