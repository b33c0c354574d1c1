"""What is told of the photos of a command, and how it ends: with fills that need no model."""

import io
import json
import sys
from pathlib import Path

import pytest

from pennet.commands.filling import Outcome
from pennet.commands.jobs import Job
from pennet.commands.running import run
from pennet.errors import UserError
from pennet.inpainter import Plan, Window

PLAN = Plan("auto", (Window(1, 2, 30, 40, 2), Window(5, 6, 70, 80, 1)), 1_234_000_000, ())
JOBS = [Job(Path(f"{name}.jpg"), Path("m.png"), Path(f"{name}_filled.jpg")) for name in "abc"]
KEYS = {
    *("image", "mask", "output", "width", "height", "hole_ratio", "strategy", "windows", "memory_bytes", "seconds"),
    *("words", "error"),
}


def filled(job: Job, progress: object, *, seconds: float | None = 1.5, words: tuple[str, ...] = ()) -> Outcome:
    return Outcome(job, 400, 300, 0.031, PLAN, seconds, words)


def all_but(*names: str, error: Exception):
    def fill(job: Job, progress: object) -> Outcome:
        if job.photo.stem in names:
            raise error
        return filled(job, progress)

    return fill


def test_a_line_for_every_result_and_words_beside_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(JOBS[:1], lambda job, progress: filled(job, progress, words=("was grey", "had no profile"))) == 0
    said = capsys.readouterr()
    assert said.out == "a_filled.jpg: filled in 1.5 s\n"
    assert said.err == "a.jpg: was grey\na.jpg: had no profile\n"


def test_one_that_fails_does_not_stop_the_others_and_is_listed_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [*JOBS, Job(Path("d.jpg"), None, Path("d_filled.jpg"), error="d_filled.jpg: exists")]
    assert run(jobs, all_but("b", error=UserError("b.jpg: broken"))) == 1
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == ["a_filled.jpg", "c_filled.jpg"]
    listed = ["pennet: 2 of 4 photos were not filled:", "  - b.jpg: broken", "  - d.jpg: d_filled.jpg: exists"]
    assert said.err.splitlines() == listed


def test_a_full_disk_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(JOBS, all_but("b", error=OSError(28, "No space left on device", "b_filled.jpg"))) == 1
    assert "  - b.jpg: b_filled.jpg: No space left on device" in capsys.readouterr().err


def test_an_output_that_takes_no_more_is_told_with_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(UserError, match=r"^standard output: No space left on device; 1 of 3 photos were filled before it$"):
        run(JOBS, filled)


def test_what_nobody_foresaw_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(JOBS, all_but("b", error=ZeroDivisionError()))


def test_one_object_a_photo_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(JOBS, all_but("b", error=UserError("b.jpg: broken")), as_json=True) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(one) for one in found] == [KEYS] * 3
    assert [one["error"] for one in found] == [None, "b.jpg: broken", None]
    assert found[0]["windows"][0] == {"top": 1, "left": 2, "height": 30, "width": 40, "factor": 2}
    assert (found[0]["output"], found[0]["hole_ratio"], found[0]["seconds"]) == ("a_filled.jpg", 0.031, 1.5)
    assert (found[1]["width"], found[1]["windows"], found[1]["seconds"]) == (None, None, None)


def test_a_name_that_is_no_utf_8_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    name = Path("caf\udce9.jpg")
    assert run([Job(name, None, name)], filled, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["image"] == r"caf\xe9.jpg"


def test_a_dry_run_says_what_would_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(JOBS[:1], lambda job, progress: filled(job, progress, seconds=None)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a.jpg -> a_filled.jpg (nothing is written)",
        "  400 x 300 px, a hole of 3.1 %; strategy auto, about 1.2 GB of memory",
        "  window 1: 40 x 30 px at left 2, top 1, seen at 1/2 of its size",
        "  window 2: 80 x 70 px at left 6, top 5, seen at its own size",
    ]


def test_ctrl_c_says_how_many_were_filled(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(JOBS, all_but("c", error=KeyboardInterrupt())) == 130  # type: ignore[arg-type]
    assert capsys.readouterr().err == "pennet: interrupted at c.jpg: 2 of 3 photos were filled before it\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("num_jobs", [1, 3])
def test_the_bar_is_on_a_terminal_alone(num_jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(job: Job, progress) -> Outcome:
        progress(1, 2)
        progress(2, 2)
        return filled(job, progress)

    for screen, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", screen)
        assert run(JOBS[:num_jobs], fill) == 0
        assert (" left" in screen.getvalue()) == shown
        assert ("images/s" in screen.getvalue()) == (shown and num_jobs > 1)
