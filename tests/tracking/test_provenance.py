"""Which commit a run comes from, and whether the code is still the commit's."""

import subprocess
from pathlib import Path

import pytest

from pipelines.provenance import provenance


def test_dirty_is_what_can_change_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin"
    for name in ("pennet/a.py", "params.yaml", "dvc.lock", "reports/table.md", "README.md", "docs/a.md"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text("first")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=origin, check=True)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(tmp_path / "clone")], check=True)
    monkeypatch.chdir(tmp_path / "clone")

    def dirty() -> str:
        return provenance()["git.dirty"]

    Path("dvc.lock").unlink()
    Path("reports/table.md").write_text("second")
    Path("README.md").write_text("second")
    Path("notes.txt").write_text("untracked, no module")
    assert dirty() == "false"
    Path("pennet/new.py").write_text("untracked module")
    assert dirty() == "true"
    Path("pennet/new.py").unlink()
    Path("params.yaml").write_text("second")
    assert dirty() == "false"  # they are in the record
    Path("pennet/a.py").write_text("second")
    assert dirty() == "true"


def test_where_git_refuses_the_commit_is_unknown_and_the_remedy_is_said_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its own test of this
    for _ in range(2):
        assert provenance() == {"git.commit": "unknown", "git.dirty": "unknown"}
    warning = capsys.readouterr().err
    assert warning.count("warning: ") == 1
    assert "git config --global --add safe.directory" in warning
