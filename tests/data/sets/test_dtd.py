"""DTD against an archive in the owners' layout, with what lies beside its pictures."""

import subprocess
from pathlib import Path

import pytest

from pennet.data.sets.dtd import DTD, key_of
from pennet.errors import UserError
from tests.data.sets.stand_ins import JPEG, write_tar, write_zip

CLASSES = ["banded", "polka-dotted", "waffled", *(f"class{n:02d}" for n in range(44))]
FILES = {f"dtd/images/{name}/{name}_{2 * n:04d}.jpg": JPEG for name in CLASSES for n in range(1, 121)}
BESIDE = {
    "dtd/images/waffled/.directory": b"[Dolphin]",
    "dtd/imdb/imdb.mat": b"MATLAB",
    "dtd/labels/train1.txt": b"banded/banded_0002.jpg\n",
    "dtd/labels/labels_joint_anno.txt": b"banded/banded_0002.jpg banded\n",
}


def test_pictures_are_read_from_a_tar_whatever_its_name_says(tmp_path: Path) -> None:
    items = list(DTD.read([write_tar(tmp_path / "dtd-r1.0.1.tar.gz", FILES | BESIDE)]).items())
    assert {item.key for item in items} == {name.removeprefix("dtd/") for name in FILES}
    assert len(items) == 5640 == DTD.num_images
    assert {item.content for item in items} == {JPEG}


def test_a_tar_that_gzip_compressed_is_read(tmp_path: Path) -> None:
    subprocess.run(["gzip", str(write_tar(tmp_path / "dtd.tar", FILES | BESIDE))], check=True, timeout=60)
    assert len(DTD.read([tmp_path / "dtd.tar.gz"]).places) == 5640


def test_a_class_that_is_not_whole_is_named(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES.items() if not name.endswith("polka-dotted_0240.jpg")}
    message = r"5,639 pictures of 47 classes, must be 5,640 of 47; other than 120 in polka-dotted \(119\)"
    with pytest.raises(UserError, match=message):
        DTD.read([write_zip(tmp_path / "dtd.zip", files)])


def test_a_missing_class_is_counted(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES.items() if "banded" not in name}
    with pytest.raises(UserError, match="5,520 pictures of 46 classes, must be 5,640 of 47; give"):
        DTD.read([write_zip(tmp_path / "dtd.zip", files)])


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file such as dtd/images/banded/banded_0002\.jpg, but base/cmp_b0001\.jpg"):
        DTD.read([write_zip(tmp_path / "facade.zip", {"base/cmp_b0001.jpg": JPEG})])


def test_lines_of_the_lists_are_keys() -> None:
    assert key_of("dtd/banded_0108.jpg") == "images/banded/banded_0108.jpg"
    assert key_of("dtd/polka-dotted_0001.jpg") == "images/polka-dotted/polka-dotted_0001.jpg"
