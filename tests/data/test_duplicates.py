import csv
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pennet.data.preparing.duplicates import NO_FINGERPRINT, SAME_PICTURE_BITS, fingerprint, look_alikes, resembling

Picture = NDArray[np.uint8]
TERRAIN = Path(__file__).parents[2] / "data/embedded/terrain-256.zip"


@pytest.fixture(scope="module")
def terrain() -> tuple[list[Picture], NDArray[np.str_], NDArray[np.uint64]]:
    """Pictures, groups, fingerprints."""
    with zipfile.ZipFile(TERRAIN) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("manifest.csv"))))
        pictures = [np.array(Image.open(archive.open(row["file"])).convert("RGB")) for row in rows]
    return pictures, np.array([row["group"] for row in rows]), _fingerprints(pictures)


def _fingerprints(pictures: list[Picture]) -> NDArray[np.uint64]:
    return np.array([fingerprint(picture) for picture in pictures], np.uint64)


def _as_jpeg(picture: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def _resized(picture: Picture, width: int, height: int) -> Picture:
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def _brighter(picture: Picture, by: int) -> Picture:
    return np.clip(picture.astype(int) + by, 0, 255).astype(np.uint8)


def _photo(seed: int, side: int = 96) -> Picture:
    """Smooth random blobs of every size."""
    generator = np.random.default_rng(seed)
    layers = [generator.normal(0, 1, (n, n, 3)) for n in (3, 6, 12, 24)]
    sums = sum(
        np.array(
            [np.array(Image.fromarray(c.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)) for c in x.T]
        )
        for x in layers
    )
    return np.clip(128 + 25 * np.asarray(sums), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def _literal_fingerprint(picture: Picture) -> int:
    """The definition, with SciPy's transform: signs of the waves 1 to 8 of the brightness in 32x32 cells."""
    from scipy.fft import dctn

    grey = picture @ np.array([0.299, 0.587, 0.114])
    rows, columns = picture.shape[0] // 32, picture.shape[1] // 32
    cells = grey.reshape(32, rows, 32, columns).mean(axis=(1, 3))
    waves = dctn(cells, norm="ortho")[1:9, 1:9]
    return int("".join("1" if wave > 0 else "0" for wave in waves.ravel()), 2)


def test_fingerprints_are_the_signs_of_a_cosine_transform() -> None:
    for seed in range(20):
        picture = _photo(seed)
        assert (fingerprint(picture) ^ _literal_fingerprint(picture)).bit_count() <= 1  # one that is nearly 0


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    """Known numbers of pictures that are made of integers alone."""
    y, x = np.mgrid[0:50, 0:70]
    picture = np.stack([(x * x + 3 * y * y + 7 * x * y) % 256, (x * 5 + y * y) % 256, (x * y) % 256], axis=-1)
    assert fingerprint(picture.astype(np.uint8)) == 0x1015363435246564


@pytest.mark.parametrize(
    "copy",
    [
        pytest.param(lambda p: p.copy(), id="the same pixels"),
        pytest.param(lambda p: _as_jpeg(p, 75), id="JPEG of quality 75"),
        pytest.param(lambda p: _as_jpeg(p, 50), id="JPEG of quality 50"),
        pytest.param(lambda p: _resized(p, 128, 128), id="half the size"),
        pytest.param(lambda p: _resized(p, 160, 120), id="smaller and squeezed"),
        pytest.param(lambda p: _resized(p, 512, 400), id="larger and squeezed"),
        pytest.param(lambda p: _brighter(p, 10), id="brighter"),
        pytest.param(lambda p: (p * 0.9).astype(np.uint8), id="less contrast"),
    ],
)
def test_copies_of_a_texture_are_look_alikes_of_it(
    terrain: tuple[list[Picture], NDArray[np.str_], NDArray[np.uint64]], copy: Callable[[Picture], Picture]
) -> None:
    pictures, _, originals = terrain
    known = originals != NO_FINGERPRINT
    assert known.sum() >= 0.98 * len(pictures)
    copies = _fingerprints([copy(picture) for picture, has_one in zip(pictures, known, strict=True) if has_one])
    assert np.bitwise_count(originals[known] ^ copies).max() <= SAME_PICTURE_BITS


def test_textures_of_different_groups_are_far_from_look_alikes(
    terrain: tuple[list[Picture], NDArray[np.str_], NDArray[np.uint64]],
) -> None:
    _, groups, fingerprints = terrain
    pairs = look_alikes(fingerprints, 2 * SAME_PICTURE_BITS)
    assert len(pairs) > 0
    np.testing.assert_array_equal(groups[pairs[:, 0]], groups[pairs[:, 1]])


def test_faces_of_different_people_are_far_from_look_alikes() -> None:
    """100 aligned faces, which have much in common: scikit-image's part of Labeled Faces in the Wild."""
    from skimage import data

    faces = np.round(255 * data.lfw_subset()[:100]).astype(np.uint8)
    fingerprints = _fingerprints([face[..., None].repeat(3, axis=-1) for face in faces])
    assert len(look_alikes(fingerprints, 2 * SAME_PICTURE_BITS)) == 0


def test_facades_of_different_houses_are_far_from_look_alikes() -> None:
    """Walls with a grid of windows: other numbers of storeys and windows, other light on each pane."""
    fingerprints = _fingerprints([_facade(seed) for seed in range(150)])
    assert (fingerprints != NO_FINGERPRINT).all()
    assert len(look_alikes(fingerprints)) == 0


def _facade(seed: int) -> Picture:
    generator = np.random.default_rng(seed)
    storeys, windows = generator.integers(3, 8, 2)
    wall = np.full((240, 200, 3), generator.integers(120, 220), np.float64)
    for row in range(storeys):
        for column in range(windows):
            top, left = 240 * row // storeys + 10, 200 * column // windows + 6
            wall[top : top + 140 // storeys, left : left + 120 // windows] = generator.uniform(10, 110)
    wall += generator.normal(0, 6, wall.shape)
    return wall.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_flat_pictures_have_no_fingerprint_and_look_like_none(grey: int) -> None:
    flat = np.full((60, 40, 3), grey, np.uint8)
    gradient = np.linspace(0, 255, 64).astype(np.uint8)[:, None, None].repeat(64, 1).repeat(3, 2)
    noise = np.random.default_rng(0).integers(grey // 2, grey // 2 + 2, (256, 256, 3)).astype(np.uint8)
    fingerprints = _fingerprints([flat, flat, _as_jpeg(flat, 50), gradient, gradient, noise])
    assert (fingerprints == NO_FINGERPRINT).all()
    assert look_alikes(fingerprints, 16).shape == (0, 2)
    assert not resembling(fingerprints, fingerprints).any()


def test_tiny_and_long_pictures_have_fingerprints() -> None:
    generator = np.random.default_rng(0)
    for height, width in [(8, 8), (9, 700), (31, 33)]:
        assert fingerprint(generator.integers(0, 256, (height, width, 3)).astype(np.uint8)) != NO_FINGERPRINT
    assert fingerprint(np.full((1, 1, 3), 9, np.uint8)) == NO_FINGERPRINT


def _clustered(count: int, seed: int) -> NDArray[np.uint64]:
    """Fingerprints around a few, 0 to 20 bits away from them; all different."""
    generator = np.random.default_rng(seed)
    centres = generator.integers(1, 2**64, count // 10, np.uint64)
    fingerprints = generator.choice(centres, count)
    for row, flips in enumerate(generator.integers(0, 21, count)):
        for bit in generator.choice(64, flips, replace=False):
            fingerprints[row] ^= np.uint64(1 << int(bit))
    return generator.permutation(np.unique(fingerprints))


def _all_pairs(fingerprints: NDArray[np.uint64], max_bits: int) -> NDArray[np.intp]:
    distances = np.bitwise_count(fingerprints[:, None] ^ fingerprints)
    usable = fingerprints != NO_FINGERPRINT
    return np.argwhere(np.triu((distances <= max_bits) & usable & usable[:, None], 1))


@pytest.mark.parametrize("max_bits", [0, 1, 2, 4, 7, 10])
def test_look_alikes_are_all_pairs(max_bits: int) -> None:
    fingerprints = _clustered(700, seed=max_bits)
    expected = _all_pairs(fingerprints, max_bits)
    assert max_bits == 0 or len(expected) > 0
    np.testing.assert_array_equal(look_alikes(fingerprints, max_bits), expected)


def test_look_alikes_with_equal_fingerprints_lead_to_every_pair() -> None:
    """Each later picture is paired with the first of its fingerprint; through the first ones every pair is found."""
    generator = np.random.default_rng(5)
    fingerprints = generator.choice(np.append(_clustered(60, seed=1), NO_FINGERPRINT).astype(np.uint64), 300)
    pairs = look_alikes(fingerprints, 6)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert (np.bitwise_count(fingerprints[pairs[:, 0]] ^ fingerprints[pairs[:, 1]]) <= 6).all()
    first = {value: np.flatnonzero(fingerprints == value)[0] for value in fingerprints}
    near = {tuple(pair) for pair in pairs.tolist()}
    for i, j in _all_pairs(fingerprints, 6).tolist():
        a, b = sorted((first[fingerprints[i]], first[fingerprints[j]]))
        assert a == b or (a, b) in near
        for picture, its_first in ((i, first[fingerprints[i]]), (j, first[fingerprints[j]])):
            assert picture == its_first or (its_first, picture) in near


@pytest.mark.parametrize("max_bits", [0, 3, 6])
def test_resembling_is_any_reference_within_the_distance(max_bits: int) -> None:
    generator = np.random.default_rng(max_bits)
    fingerprints = generator.choice(np.append(_clustered(200, seed=2), NO_FINGERPRINT).astype(np.uint64), 900)
    ours, tests = fingerprints[:700], fingerprints[700:]
    usable = (ours != NO_FINGERPRINT)[:, None] & (tests != NO_FINGERPRINT)
    expected = ((np.bitwise_count(ours[:, None] ^ tests) <= max_bits) & usable).any(axis=1)
    assert 0 < expected.sum() < len(ours)
    np.testing.assert_array_equal(resembling(ours, tests, max_bits), expected)


def test_a_training_picture_with_the_pixels_of_a_test_picture_resembles_it() -> None:
    """As CelebA-HQ has one: numbers 3329 and 3330 are the same pixels, on the two sides of the paper's split."""
    train, test = [_photo(seed) for seed in range(20)], [_photo(seed) for seed in range(100, 110)]
    train[7] = test[3].copy()
    np.testing.assert_array_equal(np.flatnonzero(resembling(_fingerprints(train), _fingerprints(test))), [7])
    np.testing.assert_array_equal(look_alikes(_fingerprints(train + test)), [[7, 23]])


def test_a_picture_that_is_repeated_thousands_of_times_has_as_many_pairs_and_no_more() -> None:
    fingerprints = np.random.default_rng(0).integers(1, 2**64, 50_000, np.uint64)
    fingerprints[10_000:40_000] = fingerprints[5]
    tracemalloc.start()
    pairs = look_alikes(fingerprints)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(pairs, np.stack([np.full(30_000, 5), np.arange(10_000, 40_000)], axis=1))
    assert peak < 30 * 2**20  # every pair with every other would be 7 GB
    assert resembling(fingerprints, fingerprints[5:6]).sum() == 30_001


@pytest.mark.parametrize("count", [0, 1])
def test_few_pictures_have_no_look_alikes(count: int) -> None:
    fingerprints = np.full(count, 77, np.uint64)
    assert look_alikes(fingerprints).shape == (0, 2)
    assert resembling(fingerprints, np.empty(0, np.uint64)).shape == (count,)


@pytest.mark.parametrize("max_bits", [-1, 17, 64])
def test_distances_that_tell_nothing_are_refused(max_bits: int) -> None:
    with pytest.raises(ValueError, match="max_bits must be from 0 to 16"):
        look_alikes(np.array([1, 2], np.uint64), max_bits)
