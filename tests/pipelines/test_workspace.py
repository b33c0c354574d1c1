"""A project folder in the states that accidents leave it in: one message each, with the remedy, or mended."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import workspace
from pipelines.workspace import check_workspace
from tests.conftest import make
from tests.pipelines.test_flows import wait_for
from tests.pipelines.toy import make_toy
from tests.project import environment, run
from tests.stack.stack import free_port


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_toy(tmp_path_factory.mktemp("workspace") / "my project")
    assert run(folder, "python", "-m", "dvc", "repro").returncode == 0
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my project"
    shutil.copytree(made, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PREFECT_HOME", str(folder / ".prefect"))
    return folder


def test_a_folder_in_order_passes(project: Path) -> None:
    check_workspace()


@pytest.mark.parametrize("target", ["demo", "repro", "up", "study"])
def test_a_project_without_git_is_told_how_to_make_it_one(project: Path, target: str) -> None:
    shutil.rmtree(project / ".git")
    result = make(project, target, f"PREFECT_PORT={free_port()}", "PROFILE=cpu")
    assert result.returncode == 2
    assert "is no git repository, and DVC works in one only; make it one: git init && git add -A" in result.stdout
    assert "Traceback" not in result.stdout
    assert len(result.stdout.splitlines()) < 6


def test_the_remedy_makes_it_work(project: Path) -> None:
    shutil.rmtree(project / ".git")
    with pytest.raises(ValueError, match="git init") as caught:
        check_workspace()
    remedy = str(caught.value).partition("make it one: ")[2]
    named = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(remedy, shell=True, check=True, env=os.environ | named, stdout=subprocess.DEVNULL)
    check_workspace()
    assert run(project, "python", "-m", "dvc", "status").returncode == 0


def test_an_emptied_rwlock_is_mended_where_no_dvc_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".dvc/tmp/rwlock").write_text("")
    assert "JSON structure is corrupted" in run(project, "python", "-m", "dvc", "status").stderr
    check_workspace()
    assert "warning: removed .dvc/tmp/rwlock" in capsys.readouterr().err
    assert run(project, "python", "-m", "dvc", "status").returncode == 0
    check_workspace()
    assert capsys.readouterr().err == ""


def test_an_emptied_rwlock_is_left_to_a_dvc_that_runs(project: Path) -> None:
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("echo data > data.txt", "sh -c 'echo > began; sleep 600'"))
    command = [sys.executable, "-m", "dvc", "repro", "download@toy"]
    with subprocess.Popen(command, env=environment(project), stdout=subprocess.DEVNULL, start_new_session=True) as dvc:
        try:
            wait_for(lambda: (project / "began").exists() or dvc.poll() is not None)
            assert dvc.poll() is None
            (project / ".dvc/tmp/rwlock").write_text("")
            with pytest.raises(
                ValueError, match=rf"rwlock is damaged while DVC is running \(process {dvc.pid}: .*let it end"
            ):
                check_workspace()
            assert (project / ".dvc/tmp/rwlock").exists()
        finally:
            os.killpg(dvc.pid, 9)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty or no lock file"),
        ("\0" * 100, "is empty or no lock file"),
        ("<<<<<<< HEAD\nschema: '2.0'\n=======\nschema: '2.0'\n>>>>>>> b\n", "merge conflict"),
    ],
)
def test_a_damaged_lock_file_is_named_with_the_command_that_restores_it(project: Path, content: str, problem: str) -> None:
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run([*git, "add", "dvc.lock"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Results"], check=True)
    (project / "dvc.lock").write_text(content)
    with pytest.raises(ValueError, match=rf"dvc\.lock .*{problem}.*`git checkout -- dvc.lock` brings") as caught:
        check_workspace()
    subprocess.run(str(caught.value).split("`")[1], shell=True, check=True)
    check_workspace()


@pytest.mark.parametrize("left", [0, 40])
def test_a_lock_file_that_a_crash_cut_short_is_what_it_was_when_a_run_last_began(
    project: Path, capsys: pytest.CaptureFixture[str], left: int
) -> None:
    check_workspace()
    whole = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(whole[:left])
    check_workspace()
    assert (project / "dvc.lock").read_text() == whole
    assert "warning: dvc.lock was cut short by a crash" in capsys.readouterr().err
    assert run(project, "python", "-m", "dvc", "status").stdout.strip() == "Data and pipelines are up to date."


def test_a_lock_file_that_only_dvc_finds_damaged_has_the_remedy_too(project: Path) -> None:
    from pipelines.dag import stages_to_run

    (project / "dvc.lock").write_text("schema: '2.0'\nstages: [\n")
    check_workspace()
    with pytest.raises(ValueError, match=r"dvc: .*dvc\.lock.*\n?.*`git checkout -- dvc.lock` brings"):
        stages_to_run()


def test_a_place_that_cannot_be_written_is_named_before_anything_starts(project: Path) -> None:
    (project / "file").write_text("")
    result = run(project, "python", "-m", "pipelines.flows", PREFECT_HOME=str(project / "file/.prefect"))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()[-1:]
    assert line.startswith(f"benchmark: {project}/file/.prefect cannot be written (Not a directory); set PREFECT_HOME")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "program", ["dvc", "/usr/bin/dvc", "/my project/.venv/bin/dvc", "/a dvc b/.venv/lib/dvc/__main__.py", "/x/dvc y/bin/dvc"]
)
@pytest.mark.parametrize("arguments", ["repro", "repro --single-item train@toy-net", ""])
def test_what_dvc_notes_of_a_command_is_told_from_its_program(program: str, arguments: str) -> None:
    assert workspace._arguments(f"{program} {arguments}".strip()) == arguments
