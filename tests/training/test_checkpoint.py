import errno
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from pennet.errors import UserError
from pennet.training import checkpoint
from pennet.training.checkpoint import checkpoint_paths, load_checkpoint, save_checkpoint

IDENTITY = {"train.steps": "10", "recipe.base_width": "8"}


def test_checkpoint_round_trip_keeps_step_and_state(tmp_path: Path) -> None:
    state = {"weights": torch.arange(3.0), "history": [{"step": 1, "loss": 0.5}]}
    path = save_checkpoint(tmp_path, 7, IDENTITY, state)
    step, loaded = load_checkpoint(path, IDENTITY)
    assert step == 7
    assert torch.equal(loaded["weights"], state["weights"])
    assert loaded["history"] == state["history"]


def test_checkpoint_keeps_the_last_two(tmp_path: Path) -> None:
    for step in (5, 10, 15, 100):
        save_checkpoint(tmp_path, step, IDENTITY, {})
    assert [p.name for p in checkpoint_paths(tmp_path)] == ["step-00000015.pt", "step-00000100.pt"]


def test_checkpoint_of_another_configuration_is_refused_and_names_what_differs(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 5, IDENTITY, {})
    with pytest.raises(UserError, match=r"train\.steps: 10 there, 20 here"):
        load_checkpoint(path, {**IDENTITY, "train.steps": "20"})
    newer = save_checkpoint(tmp_path, 10, IDENTITY, {})
    with pytest.raises(
        UserError, match=r"base_width: 8 there, absent here\. .*remove .*00010\.pt and .*00005\.pt to start anew"
    ):
        load_checkpoint(newer, {"train.steps": "10"})


@pytest.mark.parametrize("share", [0.0, 0.005, 0.05, 0.2, 0.3, 0.5, 0.9, 0.99])
def test_truncated_checkpoint_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = save_checkpoint(tmp_path, 5, IDENTITY, {"weights": torch.zeros(50_000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"step-00000005\.pt (is empty|cannot be read).*; remove it to start anew"):
        load_checkpoint(path, IDENTITY)


@pytest.mark.parametrize(("content", "what"), [(b"", "is empty"), (b"short", "cannot be read, it is damaged")])
def test_bad_newest_checkpoint_names_the_older_one(tmp_path: Path, content: bytes, what: str) -> None:
    older, newest = (save_checkpoint(tmp_path, step, IDENTITY, {"step": step}) for step in (5, 10))
    newest.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"step-00000010\.pt {what}.*remove it to go on from the older .*step-00000005\.pt$"
    ):
        load_checkpoint(newest, IDENTITY)
    newest.unlink()
    assert load_checkpoint(older, IDENTITY)[0] == 5


def test_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = save_checkpoint(tmp_path, 5, IDENTITY, {"weights": torch.ones(4)})

    def no_space(content: object, file: BinaryIO) -> None:
        file.write(b"half a checkpo")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", no_space)
    with pytest.raises(OSError, match=r"step-00000010\.pt.*No space left.*step-00000005\.pt"):
        save_checkpoint(tmp_path, 10, IDENTITY, {})
    assert [p.name for p in tmp_path.iterdir()] == [old.name]
    assert torch.equal(load_checkpoint(old, IDENTITY)[1]["weights"], torch.ones(4))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_really_full_device_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_save = torch.save
    monkeypatch.setattr(checkpoint.torch, "save", lambda content, path: real_save(content, "/dev/full"))
    with pytest.raises(OSError, match="cannot save checkpoint"):
        save_checkpoint(tmp_path, 10, IDENTITY, {"weights": torch.zeros(1_000_000)})
    assert list(tmp_path.iterdir()) == []
