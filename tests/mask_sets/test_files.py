"""Masks from archives laid out as NVIDIA's and QD-IMD's are, made here; resizing against Pillow's."""

import hashlib
import io
import logging
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennet.errors import UserError
from pennet.mask_sets.files import digest, mask_files
from pennet.masks import numbered_mask
from pennet.masks.bins import HOLE_BINS
from tests.project import ROOT

SIDE = 40


def blocks(per_bin: int, seed: int = 0) -> list[np.ndarray]:
    """Masks of `SIDE` px, 1 = hole, in blocks of rising hole ratio, as NVIDIA's testing masks are."""
    rng, masks = np.random.default_rng(seed), []
    for hole_bin in HOLE_BINS:
        for _ in range(per_bin):
            width = round(SIDE * rng.uniform(hole_bin.low + 0.03, hole_bin.high - 0.02))
            masks.append(np.roll(np.arange(SIDE) < width, rng.integers(SIDE))[None].repeat(SIDE, axis=0).astype(np.uint8))
    return masks


def png(mask: np.ndarray, hole: str, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(255 * (mask if hole == "white" else 1 - mask)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def nvidia_testing(path: Path, masks: list[np.ndarray]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/mask/._x.png", b"no picture")
        for number in reversed(range(len(masks))):
            archive.writestr(f"mask/testing_mask_dataset/{number:05}.png", png(masks[number], "white"))
    return path


def nvidia_training(path: Path, masks: list[np.ndarray]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, mask in enumerate(masks):
            archive.writestr(f"irregular_mask/disocclusion_img_mask/{number:05}.png", png(mask, "black"))
    return path


def qd_imd(path: Path, train: list[np.ndarray], test: list[np.ndarray]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for part, masks in {"train": train, "test": test}.items():
            for number, mask in enumerate(masks):
                content = png(mask, "black", "1")
                member = tarfile.TarInfo(f"qd_imd/{part}/{number:05}_{part}.png")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def folder(path: Path, masks: list[np.ndarray]) -> Path:
    (path / "sub").mkdir(parents=True)
    for number, mask in enumerate(masks):
        (path / "sub" / f"{number:05}.png").write_bytes(png(mask, "black"))
    (path / "readme.txt").write_text("black is the hole")
    return path


def same(masks: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return sorted(mask.tobytes() for mask in masks) == sorted(mask.tobytes() for mask in others)


@pytest.mark.parametrize(
    ("make", "hole"),
    [(nvidia_testing, "white"), (nvidia_training, "black"), (folder, "black")],
    ids=["testing", "training", "folder"],
)
def test_every_mask_is_read_with_its_polarity(tmp_path: Path, make, hole: str) -> None:
    masks = blocks(3)
    files = mask_files(make(tmp_path / "masks.zip", masks), hole, SIDE, seed=1)
    assert len(files) == 18
    assert list(files.names) == sorted(files.names)
    np.testing.assert_array_equal(files.hole_ratio, [mask.mean() for mask in masks])
    assert same([files.numbered(index) for index in range(18)], masks)
    assert files.numbered(0).dtype == np.uint8


def test_the_set_under_a_folder_is_taken_alone(tmp_path: Path) -> None:
    train, test = blocks(2), blocks(1, seed=9)
    archive = qd_imd(tmp_path / "qd_imd.tar.gz", train, test)
    files = mask_files(archive, "black", SIDE, seed=1, under="qd_imd/test")
    assert same([files.numbered(index) for index in range(len(files))], test)
    assert len(mask_files(archive, "black", SIDE, seed=1)) == 18
    with pytest.raises(UserError, match=r"qd_imd.tar.gz: holds no mask under 'qd_imd/te'"):
        mask_files(archive, "black", SIDE, seed=1, under="qd_imd/te")


@pytest.mark.parametrize(
    ("make", "wrong", "right"), [(nvidia_testing, "black", "white"), (nvidia_training, "white", "black")]
)
def test_a_wrong_polarity_is_refused_by_its_mean(tmp_path: Path, make, wrong: str, right: str) -> None:
    masks = blocks(4)
    mean = 1 - np.mean(masks)
    assert 0.65 < mean < 0.75
    said = rf"masks.zip: hole: {wrong} makes holes of {mean:.0%} .* more than 60%; .* declare hole: {right}"
    with pytest.raises(UserError, match=said):
        mask_files(make(tmp_path / "masks.zip", masks), wrong, SIDE, seed=1)


def test_the_largest_block_alone_is_believed(tmp_path: Path) -> None:
    """Holes of 50 to 60 %, where the mean alone, held against a half, would refuse what is right."""
    largest = blocks(4)[-4:]
    assert np.mean(largest) > 0.5
    assert len(mask_files(nvidia_testing(tmp_path / "masks.zip", largest), "white", SIDE, seed=1)) == 4


def test_bins_take_turns_and_each_mask_comes_once(tmp_path: Path) -> None:
    masks = blocks(5)[:-3]  # two of the largest bin
    archive = nvidia_testing(tmp_path / "masks.zip", masks)
    files = mask_files(archive, "white", SIDE, seed=1)
    ratios = np.array([files.numbered(index).mean() for index in range(27)])
    bins = [next(n for n, hole_bin in enumerate(HOLE_BINS) if hole_bin.holds(ratio)) for ratio in ratios]
    assert bins == [0, 1, 2, 3, 4, 5] * 2 + [0, 1, 2, 3, 4] * 3
    assert sorted(files.order) == list(range(27))
    assert np.array_equal(files.numbered(27 + 4), files.numbered(4))
    assert np.array_equal(files.order, mask_files(archive, "white", SIDE, seed=1).order)
    assert not np.array_equal(files.order, mask_files(archive, "white", SIDE, seed=2).order)


def test_masks_outside_the_bins_come_last(tmp_path: Path) -> None:
    large = np.ones((SIDE, SIDE), np.uint8)
    large[0] = 0
    files = mask_files(nvidia_testing(tmp_path / "masks.zip", [large, *blocks(1)]), "white", SIDE, seed=3)
    assert [files.numbered(index).mean() > 0.6 for index in range(7)] == [False] * 6 + [True]


@pytest.mark.parametrize("size_px", [16, 64])
def test_masks_are_resized_as_pillow_does_by_nearest(tmp_path: Path, size_px: int) -> None:
    mask = (np.random.default_rng(0).random((45, 70)) < 0.4).astype(np.uint8)
    files = mask_files(nvidia_training(tmp_path / "masks.zip", [mask]), "black", size_px, seed=0)
    expected = Image.fromarray(mask).resize((size_px, size_px), Image.Resampling.NEAREST)
    assert np.array_equal(files.numbered(3), np.array(expected))
    assert files.packed.nbytes == size_px * size_px // 8


def test_masks_without_a_hole_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    empty = np.zeros((SIDE, SIDE), np.uint8)
    with caplog.at_level(logging.WARNING):
        files = mask_files(nvidia_training(tmp_path / "masks.zip", [empty, *blocks(1)]), "black", SIDE, seed=0)
    assert len(files) == 6
    assert "1 masks have no hole or nothing known" in caplog.text
    assert "disocclusion_img_mask/00000.png" in caplog.text
    with pytest.raises(UserError, match="no mask of 40 px has a hole and a known pixel"):
        mask_files(nvidia_training(tmp_path / "masks.zip", [empty]), "black", SIDE, seed=0)


@pytest.mark.parametrize("kind", ["lama_thin", "irregular", "objects"])
@pytest.mark.parametrize("quality", [10, 30, 75])
def test_masks_with_soft_edges_are_masks(tmp_path: Path, kind: str, quality: int) -> None:
    """Saved as JPEG, of half the size, and of a quarter of it and enlarged."""
    (tmp_path / "masks").mkdir()
    for number in range(8):
        for side in (64, 256, 512):
            mask = Image.fromarray(255 * numbered_mask(kind, 7, number, height=side, width=side)).resize((256, 256))
            mask.save(tmp_path / f"masks/{side}-{number}.jpg", quality=quality)
    assert len(mask_files(tmp_path / "masks", "white", 256, seed=0)) == 24


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_a_photo_among_masks_is_refused_by_name_and_share(tmp_path: Path, mode: str) -> None:
    with zipfile.ZipFile(ROOT / "data/embedded/terrain-256.zip") as archive:
        name = next(name for name in archive.namelist() if name.startswith("images/"))
        photo = Image.open(io.BytesIO(archive.read(name)))
    grey = np.array(photo.convert("L"))
    photo = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else photo.convert(mode)
    given = folder(tmp_path / "masks", blocks(1))
    photo.save(given / "a.png")
    share = ((grey >= 32) & (grey <= 223)).mean()
    assert share > 0.2
    refused = rf"masks: a\.png: {share:.0%} of its pixels are neither black nor white, more than 20%: that is a photo"
    with pytest.raises(UserError, match=refused):
        mask_files(given, "black", SIDE, seed=0)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    given = folder(tmp_path / "masks", blocks(1))
    first = digest(given)
    (given / "readme.txt").write_text("other")
    assert digest(given) == first == digest(given, "sub")
    (given / "sub/00000.png").rename(given / "sub/a.png")
    renamed = digest(given)
    (given / "sub/a.png").write_bytes(png(blocks(1)[3], "black"))
    assert len({first, renamed, digest(given)}) == 3
    archive = nvidia_testing(tmp_path / "masks.zip", blocks(1))
    assert digest(archive) == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_what_is_no_mask_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        archive.writestr("a/b.png", b"nonsense")
    with pytest.raises(UserError, match=r"masks.zip: a/b.png: cannot be read as a mask"):
        mask_files(tmp_path / "masks.zip", "white", SIDE, seed=0)
    with zipfile.ZipFile(tmp_path / "masks.zip", "a") as archive:
        for number in range(21):
            archive.writestr(f"{number}.png", b"")
    with pytest.raises(UserError, match=r"(?s)masks.zip: 22 pictures are no masks:\n  - a/b.png: .* - 0.png: .*and 2 more$"):
        mask_files(tmp_path / "masks.zip", "white", SIDE, seed=0)
    with pytest.raises(UserError, match=r"nothing.zip: no such file or folder"):
        mask_files(tmp_path / "nothing.zip", "white", SIDE, seed=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: holds no mask; give mask pictures \(.avif"):
        mask_files(tmp_path / "empty", "white", SIDE, seed=0)
