"""What several test folders share: one small project in which `make demo` has run."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

# A shell's background jobs ignore Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before torch is imported: small tensors gain nothing from more threads, and lose much where another process computes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Trainings of the demo take two, whatever is said here: beside other tests, threads that wait must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

from tests.project import environment, make_project, run

# A person's git may sign each commit, and a hook of git's that runs the tests names the repository that it is of.
for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
    os.environ.pop(name, None)
given = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
os.environ |= {
    "GIT_CONFIG_COUNT": str(given + 1),
    f"GIT_CONFIG_KEY_{given}": "commit.gpgsign",
    f"GIT_CONFIG_VALUE_{given}": "false",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The order of `put_long_files_first` stands: pytest-xdist would take the files with most tests first."""
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.scheduling import ByFile

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist
        from tests.scheduling import put_long_files_first

        put_long_files_first(items)


@pytest.fixture(autouse=True)
def same_chance() -> None:
    """A test that draws numbers draws the same ones, whatever ran before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of the project after `make demo`, with its output in `demo.log`; leave it as you found it."""
    folder = make_project(tmp_path_factory.mktemp("demo"))
    (folder / ".venv").symlink_to(sys.prefix)
    result = make(folder, "demo", timeout=900)
    assert result.returncode == 0, result.stdout[-3000:]
    (folder / "demo.log").write_text(result.stdout)
    return folder


@pytest.fixture(scope="session")
def experiment(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with its results committed, and one experiment after them, with its output in `experiment.log`."""
    copy = tmp_path_factory.mktemp("experiment") / "copy"
    shutil.copytree(demo, copy, symlinks=True)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(copy)]
    subprocess.run([*git, "add", "dvc.lock", "reports", ".dvc"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Results"], check=True)
    changes = ["-S", "train.steps=5", "-S", "evaluate.lpips_nets=[alex]"]  # both methods change, and all columns are there
    result = run(copy, ".venv/bin/dvc", "exp", "run", *changes, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    (copy / "experiment.log").write_text(result.stdout + result.stderr)
    return copy


def make(folder: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs make in a copy, its virtual environment taken as installed."""
    return subprocess.run(
        ["make", "-o", ".venv/.installed", *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def copies_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """PEN-Net leaves the light of its copies as it is: a copied pixel is then its source, bit for bit."""
    monkeypatch.setattr(
        "pennet.models.pennet.without_seam",
        lambda picture, copied: picture._replace(values=copied.values.where(picture.hole, picture.values)),
    )
