"""Data sets of the hub, with a stand-in for the hub's client: what it was asked for, and what is made of its files."""

import hashlib
import json
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from pennet.data.sets import hub
from pennet.data.sets.hub import HUB, download
from pennet.data.sets.splits import assign
from pennet.errors import TransientError, UserError
from tests.data.sets.stand_ins import JPEG, jpeg, write_folder

REVISION = "0123456789abcdef0123456789abcdef01234567"
FakeHub = Callable[..., list[str]]


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """Serves a folder as a repository; returns the list of the files that are asked for."""

    def serve(folder: Path, sha256: str | None = None, error: Exception | None = None) -> list[str]:
        asked: list[str] = []

        class HfApi:
            def dataset_info(self, repository: str, revision: str, files_metadata: bool) -> types.SimpleNamespace:
                assert revision == REVISION and files_metadata
                if error:
                    raise error
                files = sorted(path for path in folder.rglob("*") if path.is_file())
                sums = {path: sha256 or hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
                siblings = [
                    types.SimpleNamespace(
                        rfilename=path.relative_to(folder).as_posix(),
                        lfs=types.SimpleNamespace(sha256=sums[path]) if path.suffix == ".parquet" else None,
                    )
                    for path in files
                ]
                return types.SimpleNamespace(siblings=siblings)

        def hf_hub_download(repository: str, name: str, *, repo_type: str, revision: str, local_dir: Path) -> str:
            assert (repo_type, revision) == ("dataset", REVISION)
            asked.append(name)
            (local_dir / name).parent.mkdir(parents=True, exist_ok=True)
            return str(shutil.copy(folder / name, local_dir / name))

        module = types.ModuleType("huggingface_hub")
        module.HfApi, module.hf_hub_download = HfApi, hf_hub_download  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "huggingface_hub", module)
        monkeypatch.setattr(hub, "require", lambda extra, *modules: None)
        return asked

    return serve


def write_parquet(path: Path, levels: range, column: str = "image", bare: bool = False) -> None:
    rows = [jpeg(level) if bare else {"bytes": jpeg(level), "path": None} for level in levels]
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({column: rows, "label": list(levels)})
    parquet.write_table(table, path, row_group_size=3)


def test_parquet_becomes_pictures_named_by_file_and_row(tmp_path: Path, fake_hub: FakeHub) -> None:
    write_parquet(tmp_path / "repo/data/train-00000-of-00002.parquet", range(100))
    write_parquet(tmp_path / "repo/data/train-00001-of-00002.parquet", range(100, 110))
    write_parquet(tmp_path / "repo/data/validation-00000-of-00001.parquet", range(110, 115))
    (tmp_path / "repo/README.md").write_text("# card")
    asked = fake_hub(tmp_path / "repo")
    download("someone/pictures", REVISION, tmp_path / "here")
    assert len(asked) == 3 and all(name.endswith(".parquet") for name in asked)
    source = HUB.read([tmp_path / "here"])
    items = list(source.items())
    assert [item.content for item in items] == [jpeg(level) for level in range(115)]
    assert items[101].key == "data/train-00001-of-00002.parquet/0000001"
    assert [item.split for item in items] == ["train"] * 110 + ["val"] * 5
    split = assign(HUB, source, None, seed=1, test_ratio=0.1, val_ratio=0.1)
    assert split.origin == "its own (someone/pictures), which is not the paper's, its validation images as test"
    assert split.counts()["test"] == 5


def test_a_copy_with_another_split_of_the_papers_size_is_named_as_such(tmp_path: Path, fake_hub: FakeHub) -> None:
    write_parquet(tmp_path / "repo/train-0.parquet", range(3), column="face", bare=True)
    write_parquet(tmp_path / "repo/test-0.parquet", range(3), column="face", bare=True)
    fake_hub(tmp_path / "repo")
    download("mattymchen/celeba-hq", REVISION, tmp_path / "here")
    source = HUB.read([tmp_path / "here"])
    assert source.own_split == "StarGAN-v2's 28,000/2,000 (mattymchen/celeba-hq), which is not the paper's"
    assert {item.content for item in source.items()} == {jpeg(level) for level in range(3)}


def test_files_that_are_named_after_no_split_have_none(tmp_path: Path, fake_hub: FakeHub) -> None:
    write_parquet(tmp_path / "repo/all.parquet", range(4))
    fake_hub(tmp_path / "repo")
    download("someone/pictures", REVISION, tmp_path / "here")
    source = HUB.read([tmp_path / "here"])
    assert source.own_split == ""
    assert {item.split for item in source.items()} == {None}


def test_pictures_are_taken_where_there_is_no_parquet(tmp_path: Path, fake_hub: FakeHub) -> None:
    files = {"train/a [1].jpg": jpeg(1), "test/b.png": jpeg(2), "metadata.csv": b"x"}
    asked = fake_hub(write_folder(tmp_path / "repo", files))
    download("someone/pictures", REVISION, tmp_path / "here")
    write_folder(tmp_path / "here", {"later.jpg": JPEG, ".cache/huggingface/x.jpg": JPEG})
    assert sorted(asked) == ["test/b.png", "train/a [1].jpg"]
    items = {item.key: (item.split, item.content) for item in HUB.read([tmp_path / "here"]).items()}
    assert items == {"train/a [1].jpg": ("train", jpeg(1)), "test/b.png": ("test", jpeg(2))}


@pytest.mark.parametrize("revision", ["main", "v1.0", "", REVISION[:12], REVISION.upper()])
def test_a_revision_that_may_move_is_refused(tmp_path: Path, revision: str) -> None:
    with pytest.raises(UserError, match=f"someone/pictures: revision '{revision}' is not pinned; give a commit"):
        download("someone/pictures", revision, tmp_path / "here")


def test_a_copy_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Chris1/celebA-HQ: its 270,000 rows are the same faces at all resolutions"):
        download("Chris1/celebA-HQ", REVISION, tmp_path / "here")


def test_a_file_with_another_checksum_is_removed(tmp_path: Path, fake_hub: FakeHub) -> None:
    write_parquet(tmp_path / "repo/all.parquet", range(4))
    fake_hub(tmp_path / "repo", sha256="0" * 64)
    with pytest.raises(TransientError, match=r"all\.parquet: its sha256 is not the hub's; download it again"):
        download("someone/pictures", REVISION, tmp_path / "here")
    assert not (tmp_path / "here/all.parquet").exists()
    with pytest.raises(UserError, match=r"no folder with hub\.json"):
        HUB.read([tmp_path / "here"])


def test_what_was_downloaded_is_on_record(tmp_path: Path, fake_hub: FakeHub) -> None:
    write_parquet(tmp_path / "repo/all.parquet", range(4))
    fake_hub(tmp_path / "repo")
    download("someone/pictures", REVISION, tmp_path / "here")
    sha256 = hashlib.sha256((tmp_path / "repo/all.parquet").read_bytes()).hexdigest()
    assert json.loads((tmp_path / "here/hub.json").read_text()) == {
        "repository": "someone/pictures",
        "revision": REVISION,
        "sha256": {"all.parquet": sha256},
    }


class HubError(Exception):
    def __init__(self, status: int):
        super().__init__(f"status {status}")
        self.response = types.SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (HubError(404), UserError, r"the hub answers 404\); correct its name or revision"),
        (HubError(403), UserError, r"the hub answers 403\); .*log in and ask for access"),
        (HubError(503), TransientError, r"cannot be downloaded \(status 503\); try again"),
        (ConnectionError("unreachable"), TransientError, r"cannot be downloaded \(unreachable\); try again"),
        (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),
    ],
)
def test_the_hubs_failures_are_sentences_and_bugs_stay_bugs(
    tmp_path: Path, fake_hub: FakeHub, error: Exception, kind: type[Exception], message: str
) -> None:
    (tmp_path / "repo").mkdir()
    fake_hub(tmp_path / "repo", error=error)
    with pytest.raises(kind, match=message) as caught:
        download("someone/pictures", REVISION, tmp_path / "here")
    assert type(caught.value) is kind


def test_a_repository_without_pictures_is_named_with_what_it_holds(tmp_path: Path, fake_hub: FakeHub) -> None:
    fake_hub(write_folder(tmp_path / "repo", {"data.csv": b"x"}))
    with pytest.raises(UserError, match=r"holds neither parquet nor pictures, but data\.csv; choose another"):
        download("someone/pictures", REVISION, tmp_path / "here")


def test_columns_of_pictures_that_cannot_be_told_apart_are_named(tmp_path: Path, fake_hub: FakeHub) -> None:
    path = tmp_path / "repo/all.parquet"
    path.parent.mkdir()
    parquet.write_table(pa.table({"photo": [JPEG], "labels": [JPEG], "n": [1]}), path)
    fake_hub(tmp_path / "repo")
    download("someone/pictures", REVISION, tmp_path / "here")
    with pytest.raises(UserError, match=r"all\.parquet: which column holds the pictures \(photo, labels\)\?"):
        HUB.read([tmp_path / "here"])


def test_the_image_column_is_preferred_to_labels(tmp_path: Path, fake_hub: FakeHub) -> None:
    path = tmp_path / "repo/all.parquet"
    path.parent.mkdir()
    parquet.write_table(pa.table({"label_image": [{"bytes": b"labels"}], "image": [{"bytes": JPEG}]}), path)
    fake_hub(tmp_path / "repo")
    download("someone/pictures", REVISION, tmp_path / "here")
    assert [item.content for item in HUB.read([tmp_path / "here"]).items()] == [JPEG]
