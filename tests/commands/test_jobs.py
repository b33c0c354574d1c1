"""Which photo is filled with which mask, and where the result goes."""

import os
from pathlib import Path

import pytest

from pennet.commands.jobs import Jobs, find_jobs
from pennet.errors import UserError
from pennet.photos.reading import read_photo


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def triples(found: Jobs) -> list[tuple[str, str | None, str]]:
    assert [job.error for job in found.jobs if job.error] == []
    return [(job.photo.as_posix(), job.mask and job.mask.as_posix(), job.output.as_posix()) for job in found.jobs]


def test_a_result_lies_beside_its_photo_and_has_its_suffix() -> None:
    touch("a/IMG (1).JPG", "m.png")
    assert triples(find_jobs(["a/IMG (1).JPG"], "m.png")) == [("a/IMG (1).JPG", "m.png", "a/IMG (1)_filled.JPG")]


@pytest.mark.parametrize(
    ("output", "result"),
    [
        ("b.png", "b.png"),
        ("new/b.tif", "new/b.tif"),
        ("new", "new/a_filled.jpg"),
        ("new.v2/", "new.v2/a_filled.jpg"),
        ("there.v1", "there.v1/a_filled.jpg"),
    ],
)
def test_the_output_of_one_photo_is_a_file_or_a_folder(output: str, result: str) -> None:
    touch("a.jpg", "m.png")
    Path("there.v1").mkdir()
    assert triples(find_jobs(["a.jpg"], "m.png", output)) == [("a.jpg", "m.png", result)]


def test_several_results_do_not_fit_into_one_file() -> None:
    touch("a.jpg", "b.jpg", "m.png", "file")
    for output, why in (("all.png", "one file for 2 results; name a folder"), ("file", "is a file; name a folder")):
        with pytest.raises(UserError, match=f"^{output}: {why}"):
            find_jobs(["a.jpg", "b.jpg"], "m.png", output)
    with pytest.raises(UserError, match=r"^file: is a file; name .* such as file\.png$"):
        find_jobs(["a.jpg"], "m.png", "file")


def test_a_folder_keeps_its_subfolders_and_each_photo_gets_its_mask() -> None:
    touch("p/1.jpg", "p/day/1.jpg", "p/day/2.JPG", "m/1.png", "m/day/1_mask.png", "m/2_mask001.png")
    assert triples(find_jobs(["p"], "m", "out")) == [
        ("p/1.jpg", "m/1.png", "out/1_filled.jpg"),
        ("p/day/1.jpg", "m/day/1_mask.png", "out/day/1_filled.jpg"),
        ("p/day/2.JPG", "m/2_mask001.png", "out/day/2_filled.JPG"),
    ]


def test_masks_may_lie_beside_photos_and_results_are_no_photos() -> None:
    touch("p/a.jpg", "p/a_mask.png", "p/b.jpg", "p/b_mask.png", "p/a_filled.jpg")
    found = find_jobs(["p"], "p", overwrite=True)
    assert triples(found) == [("p/a.jpg", "p/a_mask.png", "p/a_filled.jpg"), ("p/b.jpg", "p/b_mask.png", "p/b_filled.jpg")]
    assert found.words == ["left out, because they are results of an earlier time: p/a_filled.jpg"]


@pytest.mark.parametrize("image", ["p/a.jpg", "p/a*.jpg", "link/a.jpg", "{here}/p/a.jpg", "p"])
def test_of_a_folder_with_photos_and_masks_only_masks_are_without_a_photo(here: Path, image: str) -> None:
    touch("p/a.jpg", "p/a_mask.png", "p/b.jpg", "p/b_mask.png", "p/c.jpg", "p/d_mask.png", "p/a_filled.jpg")
    Path("link").symlink_to("p")
    image = image.format(here=here)
    for folder in ("p", "p/", "./p", "link", str(here / "p")):
        found = find_jobs([image], folder, overwrite=True)
        assert errors(found)[0] == ""
        assert found.jobs[0].mask == Path(folder) / "a_mask.png"
        (idle,) = [word for word in found.words if word.startswith("masks without a photo: ")]
        assert "d_mask.png" in idle
        assert ".jpg" not in idle


def test_names_are_shown_in_one_line() -> None:
    odd = "a\n\x1b(2Jb"
    touch(f"p/{odd}.jpg", "p/b.jpg", "p/b_filled.jpg", "file", "m/z\n_mask.png")
    messages = [str(job.error) for job in find_jobs(["p", f"{odd}.png"], "m").jobs]
    messages += find_jobs(["p"], "m", overwrite=True).words
    for images, mask, output in (
        ([odd + "*.jpg"], "m", None),
        (["p"], odd, None),
        (["p"], "m/\n*", None),
        (["p"], "m", f"{odd}.png"),
    ):
        with pytest.raises(UserError) as refused:
            find_jobs(images, mask, output)
        messages.append(str(refused.value))
    assert len(messages) > 8
    assert not any(letter in message for message in messages for letter in "\n\x1b")
    assert "\\n\\x1b(2Jb" in "".join(messages)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_pipes_are_no_photos_and_no_masks() -> None:
    touch("a.jpg", "m.png")
    os.mkfifo("pipe")
    why = "pipe: is a pipe or a device; photos and masks must be files: save it as one, and give that"
    with pytest.raises(UserError, match=f"^{why}$"):
        find_jobs(["a.jpg"], "pipe")
    assert errors(find_jobs(["pipe"], "m.png")) == [why]
    with pytest.raises(UserError, match=f"^{why}$"):
        read_photo(Path("pipe"))


@pytest.mark.parametrize("images", [["p/*.jpg"], ["p/a.jpg", "p/b.jpg"]], ids=["in quotes", "by the shell"])
@pytest.mark.parametrize("mask", ["p/*.png", "[pq]/*.png"])
def test_globs_are_taken_in_quotes_and_as_the_shell_expands_them(images: list[str], mask: str) -> None:
    touch("p/a.jpg", "p/b.jpg", "p/a.png", "p/b_mask.png", "p/._a.jpg")
    assert triples(find_jobs(images, mask)) == [
        ("p/a.jpg", "p/a.png", "p/a_filled.jpg"),
        ("p/b.jpg", "p/b_mask.png", "p/b_filled.jpg"),
    ]


def test_a_glob_may_go_through_all_subfolders() -> None:
    touch("p/x/a.jpg", "p/x/y/b.jpg", "m.png")
    results = [result for _, _, result in triples(find_jobs(["p/**/*.jpg"], "m.png", "out"))]
    assert results == ["out/x/a_filled.jpg", "out/x/y/b_filled.jpg"]


def test_a_name_with_brackets_is_that_file() -> None:
    touch("a[1].jpg", "a1.jpg", "m.png")
    assert triples(find_jobs(["a[1].jpg"], "m.png")) == [("a[1].jpg", "m.png", "a[1]_filled.jpg")]


def test_one_mask_that_lies_among_the_photos_is_none_of_them() -> None:
    touch("p/a.jpg", "p/hole.png")
    assert triples(find_jobs(["p"], "p/hole.png")) == [("p/a.jpg", "p/hole.png", "p/a_filled.jpg")]


def test_alpha_is_no_file() -> None:
    touch("a.png")
    assert triples(find_jobs(["a.png"], "alpha")) == [("a.png", None, "a_filled.png")]


def errors(found: Jobs) -> list[str]:
    return [job.error for job in found.jobs]


def test_a_photo_without_a_mask_does_not_stop_the_others() -> None:
    touch("p/a.jpg", "p/b.jpg", "p/c.jpg", "m/a.png", "m/c.png", "m/c_mask.png", "m/z.png")
    found = find_jobs(["p"], "m")
    assert errors(found) == [
        "",
        "p/b.jpg: no mask b.png or b_mask.png in m",
        "p/c.jpg: m/c.png, m/c_mask.png are all its masks; keep one",
    ]
    assert "masks without a photo" in found.words[-1]
    assert "m/z.png" in found.words[-1]


def test_a_result_never_takes_the_place_of_an_input(tmp_path: Path) -> None:
    touch("a.jpg", "m.png")
    Path("link.png").symlink_to("m.png")
    Path("twin.jpg").hardlink_to("a.jpg")
    for output in ("a.jpg", "m.png", str(tmp_path / "a.jpg"), "link.png", "twin.jpg", "missing/../a.jpg"):
        (error,) = errors(find_jobs(["a.jpg"], "m.png", output, overwrite=True))
        assert error.startswith(f"{output}: is an input, and inputs are never overwritten")


def test_a_result_takes_the_place_of_another_one_only_if_told() -> None:
    touch("a.jpg", "m.png", "a_filled.jpg")
    assert errors(find_jobs(["a.jpg"], "m.png")) == ["a_filled.jpg: exists; --overwrite replaces it"]
    assert errors(find_jobs(["a.jpg"], "m.png", overwrite=True)) == [""]


def test_a_file_holds_no_result() -> None:
    touch("a.jpg", "m.png")
    for output in ("a.jpg/b.jpg", "m.png/new/b.jpg", "a.jpg/"):
        (error,) = errors(find_jobs(["a.jpg"], "m.png", output))
        assert "is a file and holds no others; name another folder" in error


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_not_overwritten(overwrite: bool) -> None:
    touch("a.jpg", "m.png", "a_filled.jpg/b.jpg")
    (error,) = errors(find_jobs(["a.jpg"], "m.png", overwrite=overwrite))
    assert error == "a_filled.jpg: is a folder; name a file in it"


@pytest.mark.parametrize("empty", ["", "-"])
def test_a_name_that_is_empty_is_not_the_folder_that_one_is_in(empty: str) -> None:
    touch("a.jpg", "m.png")
    for images, mask, output in ((empty, "m.png", "b.jpg"), ("a.jpg", empty, "b.jpg"), ("a.jpg", "m.png", empty)):
        with pytest.raises(UserError, match=f"^'{empty}': names no file"):
            find_jobs([images], mask, output)


def test_two_photos_never_have_one_result() -> None:
    touch("x/a.jpg", "y/a.jpg", "m.png")
    error = "out/a_filled.jpg: would be the result of x/a.jpg and of y/a.jpg; fill one by itself"
    assert errors(find_jobs(["x/a.jpg", "y/a.jpg"], "m.png", "out")) == ["", error]


def test_what_is_not_there_is_said() -> None:
    touch("a.jpg", "m.png")
    assert errors(find_jobs(["nix.jpg", "a.jpg"], "m.png"))[0] == "nix.jpg: no such file, folder or glob"
    with pytest.raises(UserError, match=r"^nix.png: no such mask; .* \(a result is named with -o\)"):
        find_jobs(["a.jpg", "m.png"], "nix.png")
    with pytest.raises(UserError, match=r"^q\*.jpg: no file matches"):
        find_jobs(["q*.jpg"], "m.png")
    touch("empty/a.heic")
    with pytest.raises(UserError, match=r"^empty: no photos \(.*a.heic"):
        find_jobs(["empty"], "m.png")
