"""What DVC pushes from one clone, another pulls, and has nothing left to do: over a folder and over S3."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import environment, make_project

CHANGES = {
    "methods": {"learned": [], "classical": ["mean"]},
    "prepare": {"image_size_px": 32},
    "evaluate": {"bootstrap_resamples": 50, "extractors": [], "lpips_nets": []},
}
KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}


def run(folder: Path, *command: str) -> str:
    result = subprocess.run(
        command, cwd=folder, env=environment(folder, **KEYS), capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


def git(folder: Path, *arguments: str) -> str:
    return run(folder, "git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("remotes") / "project", CHANGES)
    run(folder, "dvc", "repro")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Results")
    return folder


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The arguments of `dvc remote` that name an empty store."""
    if request.param == "folder":
        yield [["add", "--default", "store", str(tmp_path / "store")]]
        return
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="pennet")
        yield [["add", "--default", "store", "s3://pennet/data"], ["modify", "store", "endpointurl", endpoint]]
    finally:
        server.stop()


@pytest.mark.slow
def test_a_clone_that_pulls_has_nothing_to_do(project: Path, remote: list[list[str]], tmp_path: Path) -> None:
    git(project, "checkout", "--quiet", "-B", "pushed", "HEAD")
    for arguments in remote:
        run(project, "dvc", "remote", *arguments, "--force") if arguments[0] == "add" else run(
            project, "dvc", "remote", *arguments
        )
    git(project, "commit", "--quiet", "-am", "A remote")
    assert "pushed" in run(project, "dvc", "push")

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", "pushed", str(project), str(clone))
    run(clone, "dvc", "pull")
    assert "Running stage" not in run(clone, "dvc", "repro")
    assert git(clone, "status", "--porcelain") == ""
    for name in ("data/prepared/terrain/index.parquet", "data/prepared/terrain/shard-00000.tar"):
        assert (clone / name).read_bytes() == (project / name).read_bytes()
