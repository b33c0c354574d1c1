import errno
from pathlib import Path

import pytest
import torch

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
    with pytest.raises(ValueError, match=r"train\.steps: 10 there, 20 here"):
        load_checkpoint(path, {**IDENTITY, "train.steps": "20"})
    with pytest.raises(ValueError, match=r"recipe\.base_width: 8 there, absent here"):
        load_checkpoint(path, {"train.steps": "10"})


@pytest.mark.parametrize("share", [0.0, 0.005, 0.05, 0.2, 0.3, 0.5, 0.9, 0.99])
def test_truncated_checkpoint_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = save_checkpoint(tmp_path, 5, IDENTITY, {"weights": torch.zeros(50_000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"step-00000005\.pt cannot be read"):
        load_checkpoint(path, IDENTITY)


def test_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = save_checkpoint(tmp_path, 5, IDENTITY, {"weights": torch.ones(4)})

    def no_space(content: object, path: Path) -> None:
        path.write_bytes(b"half a checkpo")
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
