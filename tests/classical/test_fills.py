import numpy as np
import pytest

from pennet.classical import fill
from pennet.masks import numbered_mask

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
MASK = numbered_mask("centre", 0, 0, 32, 32)
METHODS = ["mean", "telea", "biharmonic", "patchmatch"]


@pytest.mark.parametrize("method", METHODS)
def test_fill_never_sees_the_hole(method: str) -> None:
    changed = np.where(MASK[..., None] > 0, 255 - PICTURE, PICTURE)
    assert np.array_equal(fill(method, PICTURE, MASK), fill(method, changed, MASK))


@pytest.mark.parametrize("method", METHODS)
def test_fill_keeps_the_known_pixels(method: str) -> None:
    assert np.array_equal(fill(method, PICTURE, MASK)[MASK == 0], PICTURE[MASK == 0])


@pytest.mark.parametrize("method", METHODS)
def test_fill_of_a_flat_picture_is_that_picture(method: str) -> None:
    flat = np.full((32, 32, 3), (10, 200, 30), np.uint8)
    difference = np.abs(fill(method, flat, MASK).astype(int) - flat)
    assert difference.max() <= (3 if method == "telea" else 0)  # OpenCV rounds on every step inwards


def test_mean_is_the_rounded_mean_of_the_known_pixels() -> None:
    expected = [round(PICTURE[..., channel][MASK == 0].mean()) for channel in range(3)]
    assert fill("mean", PICTURE, MASK)[16, 16].tolist() == expected


def test_telea_follows_a_gradient_better_than_the_mean() -> None:
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8)[:, None, None], (1, 32, 3))
    errors = {m: np.abs(fill(m, ramp, MASK).astype(int) - ramp)[MASK > 0].mean() for m in ("mean", "telea")}
    assert errors["telea"] < errors["mean"] / 2


@pytest.mark.parametrize("method", METHODS)
def test_fill_without_known_pixels_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="no pixel is known"):
        fill(method, PICTURE, np.ones((32, 32), np.uint8))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (PICTURE[..., 0], MASK, r"expected an image of uint8 \(H, W, 3\), got uint8 \(32, 32\); convert"),
        (PICTURE[..., [0, 1, 2, 0]], MASK, r"expected an image of .* got uint8 \(32, 32, 4\)"),
        (PICTURE / 255, MASK, r"expected an image of .* got float64 \(32, 32, 3\)"),
        (PICTURE, MASK[:16], r"expected a mask of shape \(32, 32\) like the image, got \(16, 32\); crop or resize it"),
        (PICTURE, MASK[..., None], r"expected a mask of shape \(32, 32\) like the image, got \(32, 32, 1\)"),
        (PICTURE[:0], MASK[:0], "has no pixels"),
    ],
)
def test_fill_refuses_shapes_that_do_not_fit(method: str, image: np.ndarray, mask: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{method}: .*{message}"):
        fill(method, image, mask)


@pytest.mark.parametrize("size", [(1, 2), (1, 16), (1, 32), (3, 8), (7, 7), (6, 32), (20, 7), (32, 5)])
def test_patchmatch_leaves_no_black_in_pictures_of_few_patches(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for share in (0.3, 0.6, 0.9):
        bright = rng.integers(100, 256, (*size, 3), dtype=np.uint8)
        mask = (rng.random(size) < share).astype(np.uint8)
        mask[0, 0], mask[-1, -1] = 0, 1
        filled = fill("patchmatch", bright, mask)
        assert filled.shape == bright.shape
        assert filled.max(axis=2).min() >= 90  # no pixel is black; the search may fall a little short of the darkest
        assert np.array_equal(filled[mask == 0], bright[mask == 0])


def test_biharmonic_continues_a_ramp_exactly() -> None:
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8)[:, None, None], (1, 32, 3))
    assert np.array_equal(fill("biharmonic", ramp, MASK), ramp)


def test_patchmatch_continues_a_pattern_and_does_not_depend_on_the_pictures_before() -> None:
    tiles = np.kron(np.indices((16, 16)).sum(axis=0) % 2, np.ones((4, 4)))[..., None] * np.array([200, 120, 40])
    tiles = tiles.astype(np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[26:38, 26:38] = 1
    first = fill("patchmatch", tiles, mask)
    assert np.abs(first.astype(int) - tiles)[mask > 0].mean() < 10
    fill("patchmatch", PICTURE, MASK)
    assert np.array_equal(fill("patchmatch", tiles, mask), first)


def test_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match="unknown classical method 'magic'"):
        fill("magic", PICTURE, MASK)
