"""What makes another training, another run and another benchmark, and what does not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pennet.data.pictures.shards import Shards
from pipelines import meaning
from pipelines.identity import (
    benchmark_content,
    classical_identity,
    digest,
    last_other_training,
    read_identity,
    training_identity,
    write_identity,
)
from pipelines.params import load_params
from tests.project import change_params, make_project, run

_MEAN = '    ClassicalMethod("mean"'
ANOTHER_METHOD = _MEAN, f'    ClassicalMethod("flat", fill="pennet.classical.mean:fill_with_mean"),\n{_MEAN}'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with prepared data and masks."""
    folder = make_project(tmp_path_factory.mktemp("identity"))
    result = run(folder, "python", "-m", "dvc", "repro", "masks@terrain")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def identities(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, dict[str, str]]]:
    """All identities of the project as its parameters and its code are when it is called."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(meaning, "ROOT", project)

    def read() -> dict[str, dict[str, str]]:
        forget()
        config = load_params()
        found = {method: training_identity("terrain", method, 2019, config) for method in ("pennet", "gntipt")}
        found |= {method: classical_identity("terrain", method) for method in ("telea", "mean")}
        return found | {"benchmark": benchmark_content("terrain", config)}

    yield read
    forget()


def forget() -> None:
    """Code is read once a process."""
    for cached in (meaning.meaning, meaning._tree, meaning._imported_files):
        cached.cache_clear()


def test_identity_is_readable_and_holds_all_that_decides(identities) -> None:
    before = identities()
    identity = before["pennet"]
    assert identity["train.steps"] == "4"
    assert identity["recipe.num_levels"] == "3"
    assert identity["recipe.training_mask"] == "many_sizes"
    assert identity["prepare.image_size_px"] == "48"
    assert identity["numerics.num_threads"] == "1"
    assert identity["numerics.torch"]
    assert len(identity["data.train"]) == 64
    assert "code.pennet/models/pennet.py" in identity
    assert not any(key.startswith(("evaluate.", "tracking.", "masks.")) for key in identity)
    assert len({digest(found) for found in before.values()}) == len(before)


def test_data_digest_is_of_the_pixels(project: Path, identities) -> None:
    pictures = Shards(project / "data/prepared/terrain", "train")
    expected = hashlib.sha256()
    for picture in pictures:
        expected.update(hashlib.sha256(picture.tobytes()).digest())
    assert identities()["pennet"]["data.train"] == expected.hexdigest()


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"train": {"flip": False}}, {"pennet", "gntipt"}),
        ({"recipes": {"pennet": {"softmax_scale": 9.0}}}, {"pennet"}),
        ({"recipes": {"pennet": {"training_mask": "irregular"}}}, {"pennet"}),
        ({"runtime": {"num_threads": 2}}, {"pennet", "gntipt"}),
        ({"train": {"sample_every_steps": 3, "log_every_steps": 2, "checkpoint_every_steps": 1, "num_samples": 2}}, set()),
        ({"prepare": {"shard_mb": 99}}, set()),
        ({"runtime": {"num_workers": 1}}, set()),
        ({"tracking": {"experiment": "other"}}, set()),
        ({"inpaint": {"batch_size": 5}}, set()),
        ({"evaluate": {"sheet_images": 13}}, set()),
        ({"evaluate": {"bootstrap_resamples": 60}}, set()),
        ({"evaluate": {"seed": 8}}, {"benchmark"}),
        ({"evaluate": {"is_splits": 5}}, {"benchmark"}),
        ({"masks": {"seed": 8}}, set()),  # centre masks are the same for every seed, and only content counts
    ],
)
def test_identity_changes_with_the_parameters_that_decide(project: Path, identities, changes, changed: set[str]) -> None:
    before = identities()
    text = (project / "params.yaml").read_text()
    try:
        change_params(project, changes)
        after = identities()
    finally:
        (project / "params.yaml").write_text(text)
    assert {name for name in before if after[name] != before[name]} == changed


def test_size_of_shards_decides_where_shards_are_shuffled(project: Path, identities) -> None:
    text = (project / "params.yaml").read_text()
    try:
        change_params(project, {"train": {"shuffle_window_shards": 2}})
        before = identities()
        change_params(project, {"prepare": {"shard_mb": 99}})
        after = identities()
    finally:
        (project / "params.yaml").write_text(text)
    assert {name for name in before if after[name] != before[name]} == {"pennet", "gntipt"}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("pennet/models/attention.py", "\nimport torch\n", "\nimport torch  # the library\n", set()),
        ("pennet/models/pennet.py", '"""PEN-Net\'s generator', '"""The generator of PEN-Net', set()),
        ("pennet/pictures.py", "GAP_PX = 4", "GAP_PX = 6", set()),
        ("pennet/metrics/pixel.py", "255", "256", set()),
        ("pipelines/observer.py", '"input"', '"masked"', set()),
        ("pennet/models/pennet.py", "0.2)", "0.25)", {"pennet"}),
        ("pennet/models/two_stage.py", "UNIT_PX = 8", "UNIT_PX = 16", {"gntipt"}),
        ("pennet/training/dataset.py", "< 0.5", "< 0.25", {"pennet", "gntipt"}),
        ("pennet/classical/mean.py", "np.round", "np.floor", {"mean"}),
        ("pennet/methods.py", *ANOTHER_METHOD, set()),
    ],
)  # fmt: skip
def test_identity_changes_with_the_meaning_of_the_code_that_decides(
    project: Path, identities, file: str, old: str, new: str, changed: set[str]
) -> None:
    before = identities()
    text = (project / file).read_text()
    assert old in text
    try:
        (project / file).write_text(text.replace(old, new, 1))
        after = identities()
    finally:
        (project / file).write_text(text)
    assert {name for name in before if after[name] != before[name]} == changed


def test_benchmark_changes_with_the_masks(project: Path, identities) -> None:
    before = identities()
    index = project / "data/masks/terrain/index.csv"
    text = index.read_text()
    try:
        found = [before["benchmark"]]
        for protocols in (["irregular"], ["centre", "irregular"], ["irregular", "centre"]):
            change_params(project, {"masks": {"protocols": protocols}})
            assert run(project, "python", "-m", "pipelines.masks", "terrain").returncode == 0
            found.append(identities()["benchmark"])
            assert found[-1]["masks.protocols"] == ", ".join(protocols)
        assert len({digest(benchmark) for benchmark in found}) == len(found)
    finally:
        change_params(project, {"masks": {"protocols": ["centre"]}})
        assert run(project, "python", "-m", "pipelines.masks", "terrain").returncode == 0
    assert index.read_text() == text


def test_data_that_are_not_prepared_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    config = load_params()
    with pytest.raises(ValueError, match=r"data/prepared/moon/digests.json is missing; run `dvc repro` first"):
        training_identity("moon", "pennet", 1, config)
    with pytest.raises(ValueError, match=r"data/masks/moon/masks.npy is missing"):
        benchmark_content("moon", config)
    assert classical_identity("moon", "telea")["dataset"] == "moon"


def test_a_damaged_identity_is_named(tmp_path: Path) -> None:
    assert read_identity(tmp_path / "identity.json") is None
    (tmp_path / "identity.json").write_text("")
    with pytest.raises(ValueError, match=r"identity.json holds no identity"):
        read_identity(tmp_path / "identity.json")


def test_identity_needs_no_heavy_import(project: Path) -> None:
    code = "import sys, pipelines.identity; print('torch' in sys.modules)"
    assert run(project, "python", "-c", code).stdout.strip() == "False"


def test_the_last_other_training_of_the_same_recipe_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = {"dataset": "a", "method": "b", "seed": "1", "train.steps": "4"}
    assert last_other_training(mine) is None
    for number, other in enumerate([mine, mine | {"seed": "2"}, mine | {"train.steps": "5"}, mine | {"train.steps": "6"}]):
        write_identity(tmp_path / f"checkpoints/{number}/identity.json", other)
        os.utime(tmp_path / f"checkpoints/{number}/identity.json", (number, number))
    assert last_other_training(mine) is None  # none has got as far as a checkpoint
    for number in range(4):
        (tmp_path / f"checkpoints/{number}/step-00000002.pt").touch()
    assert last_other_training(mine) == (Path("checkpoints/3"), mine | {"train.steps": "6"})
