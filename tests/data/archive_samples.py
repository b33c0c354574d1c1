"""Archives for tests: right ones of many tools, evil ones, broken ones; and both ways to read them."""

import bz2
import gzip
import io
import lzma
import random
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pennet.data.sources import archives
from pennet.data.sources.archives import Member, members, stream
from pennet.errors import UserError

RANDOM = random.Random(0)
DEEP = f"{'d' * 90}/{'e' * 90}"
FILES = {
    "a/b/two.png": RANDOM.randbytes(512),  # a whole block of tar's
    "a/empty.txt": b"",
    "a/one.jpg": RANDOM.randbytes(1000),
    "a-b/three.JPG": RANDOM.randbytes(70_000),
    "b a/vier ü.jpg": RANDOM.randbytes(513),
    f"{DEEP}/deep.jpg": b"deep",
}
"""In the order of a folder."""
MADE_BY = {
    "gnu.tar": "tar --format=gnu -cf {out} .",
    "gnu-names.tar": "tar --format=gnu -cf {out} *",
    "ustar.tar": "tar --format=ustar -cf {out} .",
    "pax.tar": "tar --format=pax -cf {out} .",
    "records.tar": "tar --blocking-factor=1 -cf {out} .",
    "set.tar.gz": "tar -czf {out} .",
    "set.tgz": "tar -c . | gzip -1 > {out}",
    "two-parts.tar.gz": "tar -cf t.tmp * && (head -c 5000 t.tmp | gzip; tail -c +5001 t.tmp | gzip) > {out}; rm t.tmp",
    "set.tar.bz2": "tar -c . | bzip2 > {out}",
    "set.tar.xz": "tar -c . | xz > {out}",
    "set.tar.zst": "tar -c . | zstd -q > {out}",
    "parallel.tar.zst": "tar -c . | pzstd -q > {out}",
    "long-window.tar.zst": "tar -c . | zstd -q --long=27 > {out}",
    "zip.zip": "zip -qr {out} .",
    "stored.zip": "zip -qr0 {out} *",
    "streamed.zip": "zip -qr - . | cat > {out}",
    "zip64.zip": "zip -qr -fz {out} .",
    "python.zip": f"{shlex.quote(sys.executable)} -m zipfile -c {{out}} *",
    "tar-that-says-gz.tar.gz": "tar -cf {out} .",
    "gz-that-says-tar.tar": "tar -c . | gzip > {out}",
    "zip-that-says-tar.tar": "zip -qr - . > {out}",
    "no-suffix": "tar -c . | xz > {out}",
}
OTHERS = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
BLOCK = 512


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def shell(command: str, folder: Path, out: Path) -> Path:
    """Runs a command in a folder; skips the test where one of its tools is missing."""
    for tool in re.findall(r"\b(tar|gzip|bzip2|xz|zstd|pzstd|zip)\b ", command):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    subprocess.run(command.format(out=shlex.quote(str(out))), shell=True, cwd=folder, check=True, timeout=60)
    return out


def tar(path: Path, *files: tuple[tarfile.TarInfo | str, bytes], **options: int) -> Path:
    """Members as they are told, however evil."""
    with tarfile.open(path, "w", **options) as target:
        for header, content in files:
            header = tarfile.TarInfo(header) if isinstance(header, str) else header
            header.size = header.size or len(content)
            target.addfile(header, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header, b""


def zipped(path: Path, *files: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, content in files:
            target.writestr(name, content, method)
    return path


def raw_tar(path: Path, *blocks: bytes) -> Path:
    path.write_bytes(b"".join(blocks) + bytes(2 * BLOCK))
    return path


def block(name: str, kind: bytes, size: int, content: bytes = b"") -> bytes:
    """A header and what follows it, whatever its size says."""
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, size
    return header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % BLOCK)


def refused(path: Path, message: str, wanted: Callable[[str], bool] = archives.everything) -> UserError:
    """Both ways of reading end in the same message that names the archive."""
    with pytest.raises(UserError, match=message) as caught:
        for _ in stream(path, wanted):
            pass
    assert str(caught.value).startswith(f"{path}")
    with pytest.raises(UserError, match=message):
        list(members(path, wanted))
    return caught.value


def given(path: Path) -> tuple[dict[str, bytes], UserError | None]:
    """What comes until the end or an error."""
    found: dict[str, bytes] = {}
    try:
        for member, content in stream(path):
            assert member == Member(member.name, len(content)) and member.name not in found
            found[member.name] = content
    except UserError as error:
        return found, error
    return found, None
