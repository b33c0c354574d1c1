from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from pennet.errors import UserError
from pennet.training import checkpoint
from pennet.training.checkpoint import checkpoint_paths, load_checkpoint
from pennet.training.dataset import Batch
from pennet.training.loop import TrainingStopped, restore_random_state, train
from tests.configs import small_train

CPU = torch.device("cpu")


class CountingRecipe:
    """One weight that moves by 1 each step; its loss, or the weight itself, stops being a number at a chosen step."""

    def __init__(self, nan_at_step: int = 0, nan_weight_at_step: int = 0):
        self.generator = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.generator.weight)
        self.step, self.nan_at_step, self.nan_weight_at_step = 0, nan_at_step, nan_weight_at_step

    def update(self, batch: Batch) -> dict[str, float]:
        self.step += 1
        if self.step == self.nan_at_step:
            raise FloatingPointError("the generator loss is nan")
        with torch.no_grad():
            self.generator.weight += float("nan") if self.step == self.nan_weight_at_step else 1
        return {"generator": float(self.step)}

    batches_per_step = 1
    training_mask = None

    def parts(self):
        return {"generator": self.generator, "counter": self}

    def state_dict(self):
        return {"step": self.step}

    def load_state_dict(self, state) -> None:
        self.step = state["step"]


class Notes:
    def __init__(self) -> None:
        self.metric_steps: list[int] = []
        self.sample_steps: list[int] = []
        self.sampled_in_training_mode: list[bool] = []

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self.metric_steps.append(step)

    def samples(self, step: int, generator: nn.Module) -> None:
        self.sample_steps.append(step)
        self.sampled_in_training_mode.append(generator.training)


def batches_from(step: int) -> Iterator[Batch]:
    return (Batch(torch.zeros(1), torch.zeros(1)) for _ in range(step, 6))


def run(folder: Path, recipe: CountingRecipe, notes: Notes | None = None, **changes):
    return train(recipe, batches_from, small_train(**changes), {"a": "1"}, folder, CPU, notes or Notes())


def test_train_logs_samples_and_keeps_two_checkpoints(tmp_path: Path) -> None:
    notes = Notes()
    result = run(tmp_path, CountingRecipe(), notes, log_every_steps=4, sample_every_steps=3)
    assert notes.metric_steps == [4, 6]
    assert notes.sample_steps == [3, 6]
    assert notes.sampled_in_training_mode == [False, False]
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["step-00000004.pt", "step-00000006.pt"]
    assert [row["step"] for row in result.history] == [4, 6]


def test_average_without_decay_is_the_last_weights(tmp_path: Path) -> None:
    assert run(tmp_path, CountingRecipe(), ema_decay=0.0).generator.weight.item() == 6


def test_average_follows_its_recurrence(tmp_path: Path) -> None:
    average = 0.0
    for step in range(1, 7):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * step
    assert run(tmp_path, CountingRecipe(), ema_decay=0.5).generator.weight.item() == pytest.approx(average, rel=1e-5)


def test_nan_stops_with_the_step_and_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingStopped, match=r"step 5: the generator loss is nan; last good checkpoint: .*step-00000004\.pt"
    ):
        run(tmp_path, CountingRecipe(nan_at_step=5))


def test_a_spoilt_weight_is_never_saved(tmp_path: Path) -> None:
    """The losses are fine: what is not a number is found before the checkpoint is written."""
    with pytest.raises(
        TrainingStopped, match=r"step 4: weights of generator, ema are NaN or infinite; last good checkpoint: .*00002\.pt"
    ):
        run(tmp_path, CountingRecipe(nan_weight_at_step=3))
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["step-00000002.pt"]


def test_a_checkpoint_that_cannot_be_read_stops_the_training(tmp_path: Path) -> None:
    run(tmp_path, CountingRecipe())
    (tmp_path / "step-00000006.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"step-00000006\.pt is empty; remove it to go on from the older .*00004\.pt"):
        run(tmp_path, CountingRecipe())


def test_random_state_of_other_devices_is_no_part_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training on the CPU of a machine with GPUs neither wakes them nor minds how many there are."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: pytest.fail("looked at the GPUs"))
    run(tmp_path, CountingRecipe())
    state = load_checkpoint(checkpoint_paths(tmp_path)[-1], {"a": "1"})[1]["random"]
    assert list(state) == ["cpu"]
    with pytest.raises(UserError, match=r"x\.pt was made on a CPU and holds no random state of a GPU, so cuda:1 cannot"):
        restore_random_state(state, torch.device("cuda:1"), Path("x.pt"))


def test_nan_before_any_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match=r"step 1: .*none was written yet"):
        run(tmp_path, CountingRecipe(nan_at_step=1))


def test_finished_training_started_again_only_hands_out_its_weights(tmp_path: Path) -> None:
    first = run(tmp_path, CountingRecipe(), ema_decay=0.0)
    again = run(tmp_path, CountingRecipe(nan_at_step=1), ema_decay=0.0)
    assert again.resumed_from_step == 6
    assert (again.seconds, again.peak_memory_mib) == (first.seconds, first.peak_memory_mib)
    assert again.generator.weight.item() == 6


def test_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    run(tmp_path, CountingRecipe())
    with pytest.raises(ValueError, match="a: 1 there, 2 here"):
        train(CountingRecipe(), batches_from, small_train(), {"a": "2"}, tmp_path, CPU, Notes())


def test_a_full_disk_stops_the_run_and_keeps_the_older_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = torch.save

    def full_disk(content, file) -> None:
        if content["step"] == 4:
            file.write(b"half a file")
            raise OSError(28, "No space left on device")
        save(content, file)

    monkeypatch.setattr(checkpoint.torch, "save", full_disk)
    with pytest.raises(OSError, match=r"cannot save checkpoint .*No space left.*last good one is .*step-00000002\.pt"):
        run(tmp_path, CountingRecipe())
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002.pt"]
