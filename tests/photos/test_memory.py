"""A photo of 12 megapixels takes little memory."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

READ_AND_WRITE = """
import sys
from pathlib import Path
from pennet.photos.reading import read_photo
from pennet.photos.writing import write_photo
photo = read_photo(Path(sys.argv[1]))
filled = photo.pixels.copy()
filled[1000:1500, 1000:1500] = 128
write_photo(Path(sys.argv[2]), photo, filled)
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 2**10)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory as Linux counts it")
def test_a_jpeg_of_12_megapixels(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    slope = Image.radial_gradient("L").resize((4000, 3000))
    turned = Image.Exif()
    turned[0x112] = 6
    Image.merge("RGB", (slope, slope.rotate(180), slope)).save(path, quality=90, exif=turned)
    arguments = [sys.executable, "-c", READ_AND_WRITE, str(path), str(tmp_path / "filled.jpg")]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 300  # measured: 187 MiB
    with Image.open(tmp_path / "filled.jpg") as image:
        assert image.size == (4000, 3000)
