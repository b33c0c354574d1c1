"""`python -m pipelines.sources`: what of one's own has changed since the stages took it in."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennet.config import Config, config_from_mapping
from pennet.mask_sets.files import digest
from pennet.mask_sets.store import Entry, write_masks
from pipelines import download, layout
from pipelines.params import read_yaml
from pipelines.sources import changed
from tests.configs import small_source
from tests.data.sets.stand_ins import write_folder, write_zip
from tests.project import ROOT

FILES = {"a.jpg": b"one", "b.jpg": b"two"}
LONG_AGO = 1e9


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(**masks: object) -> Config:
    values = read_yaml(ROOT / "params.yaml")
    values["masks"] |= masks
    return config_from_mapping(Config, values)


def test_a_folder_that_has_changed_is_named_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos", FILES)
    assert changed(config()) == []  # before stage download
    download.run("terrain", source=small_source(str(photos), data_set="folder"))
    assert changed(config()) == []
    (photos / "c.jpg").write_bytes(b"three")
    remedy = "has changed since terrain was made of it; dvc repro --force download@terrain"
    assert changed(config()) == [f"{photos}: {remedy}"]
    (photos / "linked").symlink_to(tmp_path)
    assert changed(config()) == [
        f"{photos / 'linked'}: is a linked folder, which is not entered; put the folder itself there or remove it"
    ]
    photos.rename(tmp_path / "away")
    assert changed(config()) == []
    layout.receipt_path("terrain").write_text("")
    (line,) = changed(config())
    assert "is no receipt of a download" in line


def test_an_archive_is_read_if_it_is_newer_than_what_was_made_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "photos.zip", FILES)
    os.utime(archive, (LONG_AGO, LONG_AGO))
    download.run("terrain", source=small_source(str(archive), data_set="folder"))
    content = archive.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert changed(config()) == []
    os.utime(layout.receipt_path("terrain"), (LONG_AGO, LONG_AGO))
    archive.write_bytes(content)  # a copy of the same
    assert changed(config()) == []
    archive.write_bytes(content[:-1] + b"x")
    assert len(changed(config())) == 1
    archive.write_bytes(content + b"x")
    os.utime(archive, (LONG_AGO, LONG_AGO))
    assert len(changed(config())) == 1


@pytest.mark.parametrize("zipped", [False, True])
def test_other_masks_are_named_with_the_checksum_to_declare(tmp_path: Path, zipped: bool) -> None:
    def write(number: int) -> Path:
        mask = np.zeros((16, 16), np.uint8)
        mask[:number] = 255
        Image.fromarray(mask).save(tmp_path / "m.png")
        files = {"m.png": (tmp_path / "m.png").read_bytes()}
        return write_zip(tmp_path / "masks.zip", files) if zipped else write_folder(tmp_path / "masks", files)

    path = write(4)
    entry = {"archive": str(path), "hole": "white", "under": "", "sha256": digest(path)}
    own = config(protocols=["mine"], files={"mine": entry})
    assert changed(own) == []  # before stage masks
    made = layout.masks_dir("terrain")
    write_masks(made, [Entry("a", "mine", np.eye(16, dtype=np.uint8), 0)])
    os.utime(made, (LONG_AGO, LONG_AGO))
    assert changed(own) == []
    write(8)
    (line,) = changed(own)
    assert line.startswith("masks.files.mine: ") and line.endswith(f"to take them in, sha256: {digest(path)}")
    assert changed(config(files={"mine": entry})) == []  # no protocol has them
