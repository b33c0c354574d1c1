"""Everything that was with a photo is with it again, but for small copies of the old picture."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from pennet.photos.photo import opaque_in
from pennet.photos.reading import read_photo
from pennet.photos.writing import write_photo
from tests.photos.samples import chunk, chunks, encoded, exif, png, segments, unpacked_png, with_segments

RNG = np.random.default_rng(0)
SAMPLES = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
THUMBNAIL = encoded(SAMPLES[:8, :8], "JPEG")
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:title>Sea</dc:title>%s</x:xmpmeta>'
XMP_THUMBNAIL = b"<xmp:Thumbnails><rdf:Alt><xmpGImg:image>AAAA</xmpGImg:image></rdf:Alt></xmp:Thumbnails>"
OLD = "small copies of the old picture"


def through(content: bytes, name: str, tmp_path: Path, target_name: str = "") -> tuple[bytes, str]:
    """The file written for a file, with a hole filled, and all words."""
    source, target = tmp_path / name, tmp_path / (target_name or f"filled{Path(name).suffix}")
    source.write_bytes(content)
    photo = read_photo(source)
    filled = photo.pixels.copy()
    filled[2:6, 2:6] = 99
    words = write_photo(target, photo, filled)
    return target.read_bytes(), " ".join((*photo.words, *words))


def photoshop(*resources: tuple[int, bytes]) -> bytes:
    return b"".join(
        b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(content)) + content + bytes(len(content) % 2)
        for number, content in resources
    )


def test_all_segments_of_a_jpeg(tmp_path: Path) -> None:
    jfif = b"JFIF\0\1\2\1\0\x48\0\x49\0\0"
    kept = [
        (0xE1, b"Exif\0\0" + exif()),
        (0xE1, XMP_HEAD + XMP % b""),
        (0xE2, b"ICC_PROFILE\0\1\2" + PROFILE[:100]),
        (0xE2, b"ICC_PROFILE\0\2\2" + PROFILE[100:]),
        (0xED, b"Photoshop 3.0\0" + photoshop((1028, b"caption"))),
        (0xEC, b"Ducky\0\1"),
        (0xFE, b"a comment"),
        (0xFE, b"another comment"),
    ]
    plain = encoded(SAMPLES, "JPEG", quality=88)
    own = segments(plain)[0]
    plain = plain[:2] + plain[2 + 4 + len(own[1]) :]
    written, words = through(with_segments(plain, (0xE0, jfif), *kept), "photo.jpg", tmp_path)
    found = [each for each in segments(written) if each[0] >= 0xE0]
    assert found[0] == (0xE0, jfif)
    assert b"".join(content[14:] for kind, content in found if kind == 0xE2) == PROFILE
    rest = [each for each in kept if each[0] != 0xE2]
    assert sorted(each for each in found[1:] if each[0] != 0xE2) == sorted(rest)
    assert words == ""


@pytest.mark.parametrize("order", ["<", ">"])
def test_thumbnails_in_a_jpeg(order: str, tmp_path: Path) -> None:
    block = exif(6, THUMBNAIL, order, note=b"preview" + THUMBNAIL + b"end")
    content = with_segments(
        encoded(SAMPLES, "JPEG"),
        (0xE1, b"Exif\0\0" + block),
        (0xE1, XMP_HEAD + XMP % XMP_THUMBNAIL),
        (0xED, b"Photoshop 3.0\0" + photoshop((1028, b"caption"), (1036, THUMBNAIL), (1005, b"dpi!"))),
        (0xE0, b"JFXX\0\x10" + THUMBNAIL),
    )
    written, words = through(content, "photo.jpg", tmp_path)
    assert words.count(OLD) == 1
    assert THUMBNAIL[2:60] not in written and b"xmpGImg" not in written
    found = segments(written)
    (block_written,) = [content[6:] for _, content in found if content.startswith(b"Exif")]
    assert len(block_written) == len(block)
    assert b"MAKER\0\0\1preview\0" in block_written and b"\0end" in block_written
    with Image.open(io.BytesIO(written)) as image:
        assert image.getexif()[0x112] == 6
        assert dict(image.getexif().get_ifd(1)) == {}
        assert b"<dc:title>Sea</dc:title></x:xmpmeta>" in image.info["xmp"]
    assert (0xED, b"Photoshop 3.0\0" + photoshop((1028, b"caption"), (1005, b"dpi!"))) in found


def test_pictures_beside_the_photo_are_left_out(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(SAMPLES).save(out, "MPO", save_all=True, append_images=[Image.fromarray(SAMPLES[::-1])])
    written, words = through(out.getvalue(), "phone.jpg", tmp_path)
    assert "further pictures in it" in words
    assert written.count(b"\xff\xd8\xff") == 1
    with_film = with_segments(
        encoded(SAMPLES, "JPEG"), (0xE1, XMP_HEAD + XMP % b"<GCamera:MotionPhoto>1</GCamera:MotionPhoto>")
    )
    written, words = through(with_film + b"\0\0\0\x18ftypmp42 film", "motion.jpg", tmp_path)
    assert "short film" in words and b"ftyp" not in written
    written, words = through(with_segments(encoded(SAMPLES, "JPEG"), (0xEB, b"JP c2pa")), "signed.jpg", tmp_path)
    assert "content credentials" in words and b"c2pa" not in written


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg", "avif"])
def test_orientation(orientation: int, suffix: str, tmp_path: Path) -> None:
    """The hole is filled where it is seen, and the stored picture lies as it lay."""
    block = exif(orientation)
    upright = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8))[..., None].repeat(
        3, axis=2
    )
    upright[..., 1] = 50
    # the inverse of each orientation, by Pillow's names
    back = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE"}
    back[8] = "ROTATE_270"
    image = Image.fromarray(upright)
    stored = np.array(image.transpose(Image.Transpose[back[orientation]]) if orientation > 1 else image)
    if suffix == "png":
        content = png(stored, chunk(b"eXIf", block))
    elif suffix == "tif":
        out = io.BytesIO()
        tifffile.imwrite(out, stored, photometric="rgb", metadata=None, extratags=[(274, 3, 1, orientation, False)])
        content = out.getvalue()
    else:
        how = {
            "webp": {"lossless": True},
            "jpg": {"quality": 95, "subsampling": 0},
            "avif": {"quality": 95, "subsampling": "4:4:4"},
        }[suffix]
        short = Image.Exif()
        short[0x112] = orientation
        format = {"jpg": "JPEG"}.get(suffix, suffix)
        content = encoded(stored, format, exif=short.tobytes() if suffix == "avif" else b"Exif\0\0" + block, **how)
    source, target = tmp_path / f"photo.{suffix}", tmp_path / f"filled.{suffix}"
    source.write_bytes(content)
    photo = read_photo(source)
    lossy = 8 if suffix in ("jpg", "avif") else 0
    assert np.abs(photo.pixels.astype(int) - upright).max() <= lossy
    filled = photo.pixels.copy()
    filled[0:16, 0:16] = (250, 0, 0)
    write_photo(target, photo, filled)
    with Image.open(target) as image:
        assert image.getexif().get(0x112, 1) == orientation
        if suffix not in ("tif", "avif"):  # which Pillow turns
            assert np.abs(np.array(image.convert("RGB")).shape[0] - stored.shape[0]) == 0
    again = read_photo(target)
    seen = np.array([250, 0, 0])
    assert np.abs(again.pixels[4:12, 4:12].astype(int) - seen).max() <= (40 if lossy else 0)
    assert np.abs(again.pixels[16:].astype(int) - upright[16:]).max() <= lossy + 2 * (lossy > 0)

    other = tmp_path / ("other.png" if suffix != "png" else "other.webp")
    write_photo(other, photo, filled)
    with Image.open(other) as image:  # many viewers do not turn these
        assert image.getexif().get(0x112, 1) == 1
        assert np.array_equal(np.array(image), filled)


def test_malformed_exif_is_carried_and_its_orientation_followed(tmp_path: Path) -> None:
    """Orientation 6 beside a rational of (-1, 0) and a resolution in bytes stopped whole folders."""
    block = exif(6)
    written, words = through(with_segments(encoded(SAMPLES, "JPEG"), (0xE1, b"Exif\0\0" + block)), "photo.jpg", tmp_path)
    assert (0xE1, b"Exif\0\0" + block) in segments(written) and words == ""
    assert read_photo(tmp_path / "photo.jpg").pixels.shape == (40, 24, 3)


@pytest.mark.parametrize("block", [b"II*\0\xff\xff\xff\xff", b"nothing of the kind", b"MM\0*\0\0\0\x08\xff\xff", b"II"])
def test_broken_exif_is_left_out_with_a_word(block: bytes, tmp_path: Path) -> None:
    jpeg = with_segments(encoded(SAMPLES, "JPEG"), (0xE1, b"Exif\0\0" + block))
    for content, name in ((jpeg, "photo.jpg"), (png(SAMPLES, chunk(b"eXIf", block)), "photo.png")):
        written, words = through(content, name, tmp_path)
        assert "EXIF is broken" in words
        assert block not in written


def test_all_chunks_of_a_png(tmp_path: Path) -> None:
    kept = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", bytes(range(32))),
        (b"iCCP", b"Adobe RGB\0\0" + zlib.compress(PROFILE)),
        (b"sBIT", b"\5\6\5"),
        (b"bKGD", bytes(6)),
        (b"pHYs", struct.pack(">IIB", 3780, 3780, 1)),
        (b"tEXt", b"Author\0me"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"long " * 100)),
        (b"iTXt", b"Title\0\0\0\0\0See"),
        (b"eXIf", exif(1)),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP % b""),
        (b"prIv", b"of somebody's, safe to copy by its last letter"),
    ]
    old = [(b"iDOT", b"offsets of the old pixels"), (b"tIME", bytes(7))]
    written, words = through(png(SAMPLES, *(chunk(*each) for each in [*kept, *old])), "photo.png", tmp_path)
    found = [each for each in chunks(written) if each[0] not in (b"IHDR", b"IDAT", b"IEND")]
    assert sorted(found) == sorted(kept)
    same = unpacked_png(written) == SAMPLES  # whatever the profile says of them
    assert same[6:].all() and same[:, 6:].all() and not same[2:6, 2:6].all()
    assert words == ""


def test_long_compressed_texts_are_no_matter(tmp_path: Path) -> None:
    """Pillow refuses such a file; here nobody unpacks what is only carried."""
    bomb = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(5_000_000), 1))
    content = png(SAMPLES, chunk(*bomb))
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):
        Image.open(io.BytesIO(content)).load()
    written, words = through(content, "photo.png", tmp_path)
    assert bomb in list(chunks(written)) and words == ""


def test_exif_that_imagemagick_keeps_in_a_text(tmp_path: Path) -> None:
    block = b"Exif\0\0" + exif(6, THUMBNAIL)
    text = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n")
    written, words = through(png(SAMPLES, chunk(b"zTXt", text)), "photo.png", tmp_path)
    found = dict(chunks(written))
    assert b"zTXt" not in found and THUMBNAIL not in found[b"eXIf"] and OLD in words
    assert read_photo(tmp_path / "photo.png").pixels.shape == (40, 24, 3)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_tags_of_a_tiff(depth: int, order: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    resources = photoshop((1028, b"caption"), (1036, THUMBNAIL))
    extra = [
        (700, 1, len(XMP % b""), XMP % b"", False),
        (34377, 7, len(resources), resources, False),
        (37724, 7, 8, b"layers!!", False),
        (65001, 12, 2, (1.5, -2.5), False),
        (33432, 2, None, "me", False),
    ]
    tifffile.imwrite(
        out,
        SAMPLES.astype(f"u{depth // 8}") << (depth - 8),
        photometric="rgb",
        byteorder=order,
        resolution=(300, 300),
        resolutionunit="INCH",
        description="a sea",
        iccprofile=PROFILE,
        extratags=extra,
        metadata=None,
    )
    written, words = through(out.getvalue(), "photo.tif", tmp_path)
    assert OLD in words
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        tags = file.pages[0].tags
        assert tags[65001].value == (1.5, -2.5) and tags[33432].value == "me" and tags[270].value == "a sea"
        assert bytes(tags[34675].value) == PROFILE and bytes(tags[700].value) == XMP % b""
        assert tags[282].value == (300, 1) and tags[296].value == 2
        assert bytes(tags[34377].value) == photoshop((1028, b"caption")) and 37724 not in tags


def test_exif_of_a_tiff_and_small_copies_in_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    block = Image.Exif()
    block.get_ifd(0x8769)[0x9003] = "2026:11:30 12:00:00"
    block.get_ifd(0x8825)[1] = "N"
    Image.fromarray(SAMPLES).save(path, exif=block.tobytes())
    copy = io.BytesIO()
    with tifffile.TiffWriter(copy) as writer:
        writer.write(SAMPLES, photometric="rgb", metadata=None)
        writer.write(SAMPLES[:8, :8], photometric="rgb", subfiletype=1, metadata=None)
    through(path.read_bytes(), "photo.tif", tmp_path)
    with Image.open(tmp_path / "filled.tif") as image:
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2026:11:30 12:00:00"
        assert image.getexif().get_ifd(0x8825)[1] == "N"
    written, words = through(copy.getvalue(), "copies.tif", tmp_path)
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        assert len(file.pages) == 1 and OLD in words


@pytest.mark.parametrize("source", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("target", ["jpg", "png", "tif", "webp", "avif"])
def test_what_formats_have_in_common_goes_with_the_photo(source: str, target: str, tmp_path: Path) -> None:
    block = Image.Exif()
    block[0x010F] = "Maker"
    block[0x112] = 6
    block.get_ifd(0x8769)[0x9003] = "2026:11:30 12:00:00"
    how = {"exif": block.tobytes(), "icc_profile": PROFILE}
    how |= {"lossless": True} if source == "webp" else {"dpi": (300, 300)}
    how |= {"xmp": XMP % b""} if source in ("jpg", "webp") else {}
    content = encoded(SAMPLES, {"jpg": "JPEG", "tif": "TIFF"}.get(source, source), **how)
    through(content, f"photo.{source}", tmp_path, f"other.{target}")
    with Image.open(tmp_path / f"other.{target}") as image:
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get(0x112, 1) == (6 if source == target else 1)
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2026:11:30 12:00:00"
        assert image.info["icc_profile"] == PROFILE
        if "xmp" in how:
            found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or image.tag_v2[700]
            assert (found if isinstance(found, bytes) else found.encode()) == XMP % b""
        if "dpi" in how and target not in ("webp", "avif"):
            assert np.allclose([float(dpi) for dpi in image.info["dpi"]], 300, atol=0.1)


def test_words_for_what_another_format_cannot_hold(tmp_path: Path) -> None:
    content = with_segments(encoded(SAMPLES, "JPEG", icc_profile=PROFILE), (0xFE, b"a comment"))
    _, words = through(content, "photo.jpg", tmp_path, "other.bmp")
    assert "BMP holds no colour profile" in words and "comments and captions of the JPEG" in words
    long = chunk(b"eXIf", exif(1, note=bytes(70_000)))
    _, words = through(png(SAMPLES, long), "photo.png", tmp_path, "other.jpg")
    assert "EXIF is longer than a JPEG holds" in words


def test_a_profile_of_grey_is_not_put_to_rgb(tmp_path: Path) -> None:
    of_grey = bytes(16) + b"GRAY" + bytes(108)
    content = encoded(SAMPLES[..., 0], "JPEG", icc_profile=of_grey)
    for suffix, word in (("jpg", False), ("png", False), ("tif", False), ("webp", True)):
        _, words = through(content, "photo.jpg", tmp_path, f"other.{suffix}")
        with Image.open(tmp_path / f"other.{suffix}") as image:
            assert image.info.get("icc_profile") == (None if word else of_grey)
        assert ("its colour profile is left out" in words) == word


def test_a_painted_hole_is_seen(tmp_path: Path) -> None:
    samples = np.concatenate([SAMPLES, np.zeros((24, 40, 1), np.uint8)], axis=2)
    samples[..., 3] = 200
    samples[2:6, 2:6, 3] = 0
    path, target = tmp_path / "photo.png", tmp_path / "filled.png"
    path.write_bytes(png(samples))
    photo = read_photo(path)
    mask = (photo.alpha == 0).astype(np.uint8)
    write_photo(target, opaque_in(photo, mask), photo.pixels)
    written = unpacked_png(target.read_bytes())
    assert (written[2:6, 2:6, 3] == 255).all() and (written[8:, :, 3] == 200).all()
    assert photo.alpha[3, 3] == 0
