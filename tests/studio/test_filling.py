"""What a visitor takes home: the photo as it was, its hole filled and seen."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennet.studio import fill_tab
from pennet.studio.kept_files import kept_folder
from pennet.studio.limits import Limits
from pennet.studio.models import Models
from pennet.studio.uploads import Job


def filled(photo: Path, mask: np.ndarray, suffix: str) -> Image.Image:
    """What is there to download."""
    with kept_folder():
        fill = fill_tab._filling(Models(checkout=photo.parent), "mean", Limits())
        _, button, _ = fill(Job(photo, mask), ["mean"])
        with Image.open(button.value["path"]) as image:
            image.load()
            assert button.value["path"].endswith(suffix)
            return image


def test_what_was_painted_where_a_photo_is_transparent_is_seen(tmp_path: Path) -> None:
    pixels = np.full((32, 32, 4), 200, np.uint8)
    pixels[8:24, 8:24, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    mask = np.zeros((32, 32), np.uint8)
    mask[8:16, 8:24] = 1
    alpha = np.array(filled(tmp_path / "a.png", mask, ".png"))[..., 3]
    assert (alpha[mask > 0] == 255).all()
    assert np.array_equal(alpha[mask == 0], pixels[mask == 0, 3])


@pytest.mark.parametrize(
    ("name", "format", "suffix"), [("a.jpg", "PNG", ".png"), ("a.jpe", "JPEG", ".jpeg"), ("a.JPG", "JPEG", ".JPG")]
)
def test_the_download_is_of_the_photos_own_format_whatever_its_name_says(
    name: str, format: str, suffix: str, tmp_path: Path
) -> None:
    pixels = np.full((32, 32, 4 if format == "PNG" else 3), 100, np.uint8)
    Image.fromarray(pixels).save(tmp_path / name, format=format)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:16, 8:24] = 1
    image = filled(tmp_path / name, mask, suffix)
    assert (image.format, image.mode) == (format, "RGBA" if format == "PNG" else "RGB")
