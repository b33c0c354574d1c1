"""Photos as people have them: with a profile, notes of the camera, 16 bits."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

SIDE = 96
HOLE = np.zeros((SIDE, SIDE), np.uint8)
HOLE[30:50, 40:70] = 1
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def texture(seed: int = 0) -> np.ndarray:
    """(96, 96, 3) uint8: coarse blocks, which survive JPEG."""
    coarse = np.random.default_rng(seed).integers(40, 216, (12, 12, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)


def save_jpeg(path: Path, seed: int = 0) -> None:
    """On its side, as phones take them: what is seen is `texture`."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera & Sons"
    stored = np.rot90(texture(seed))  # orientation 6 turns it back
    Image.fromarray(stored).save(path, quality=93, subsampling=0, exif=exif, icc_profile=ICC, dpi=(300, 300))


def save_deep_png(path: Path, seed: int = 0) -> np.ndarray:
    """(96, 96, 3) uint16, RGB, as written."""
    import cv2

    deep = texture(seed).astype(np.uint16) * 256 + np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint16)
    assert cv2.imwrite(str(path), deep[..., ::-1])
    return deep


def save_mask(path: Path, mask: np.ndarray = HOLE, **options: object) -> None:
    Image.fromarray(255 * mask).save(path, **options)
