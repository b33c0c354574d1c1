"""From a registered version back to what made it: a tiny model is made again in a new clone, to the same weights."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from pipelines import layout
from pipelines.identity import digest, read_identity
from pipelines.provenance import write_origin
from pipelines.tracking.lineage import LINEAGE_TAG, log_lineage, read_lineage
from pipelines.tracking.record import record
from pipelines.tracking.versions import WEIGHTS_TAG
from tests.project import ROOT, change_params, environment, make_project, run
from tests.tracking.stores import IDENTITY, TRIAL, store, the_run

TINY = {
    "methods": {"learned": ["gntipt"], "classical": []},
    "prepare": {"image_size_px": 48},
    "train": {"steps": 4, "batch_size": 4, "log_every_steps": 1, "sample_every_steps": 4, "checkpoint_every_steps": 4},
    "recipes": {"gntipt": {"base_width": 8, "discriminator_width": 4}},
    "runtime": {"num_threads": 1},
}
LONG = 1500
"""Seconds: a bound for a machine that does much else."""
WEIGHTS = "models/terrain/gntipt/seed-2019/generator.safetensors"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "origin"
    for name, text in {"pennet/a.py": "a = 1\n", "params.yaml": "a: 1\n", "dvc.yaml": "", "docs/a.md": "a\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder.parent, "init", "--quiet", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    monkeypatch.chdir(folder)
    return folder


def test_an_origin_brings_a_clone_to_the_very_code_and_parameters(repository: Path, tmp_path: Path) -> None:
    (repository / "pennet/a.py").write_text("a = 2  # é\n")
    (repository / "pennet/new.py").write_bytes(b"b = 3\n")
    (repository / "pennet/weights.bin").write_bytes(bytes(range(256)))
    (repository / "params.yaml").write_text("a: 2\n")
    (repository / "docs/a.md").write_text("no code\n")
    status = git(repository, "status", "--porcelain")
    git(repository, "remote", "add", "origin", "https://me:secret@example.org/pennet.git")
    write_origin(tmp_path / "lineage")
    source = json.loads((tmp_path / "lineage/source.json").read_text())
    assert source["dirty"] == "true"
    assert source["repository"] == "https://example.org/pennet.git"
    assert git(repository, "status", "--porcelain") == status  # nothing is staged

    git(tmp_path, "clone", "--quiet", str(repository), "clone")
    git(tmp_path / "clone", "checkout", "--quiet", source["commit"])
    git(tmp_path / "clone", "apply", str(tmp_path / "lineage/code.patch"))
    for name in ("pennet/a.py", "pennet/new.py", "pennet/weights.bin"):
        assert (tmp_path / "clone" / name).read_bytes() == (repository / name).read_bytes()
    assert (tmp_path / "clone/docs/a.md").read_text() == "a\n"
    assert (tmp_path / "lineage/params.yaml").read_text() == "a: 2\n"


def test_changed_parameters_are_no_changed_code(repository: Path, tmp_path: Path) -> None:
    (repository / "params.yaml").write_text("a: 2\n")
    write_origin(tmp_path / "lineage")
    assert json.loads((tmp_path / "lineage/source.json").read_text())["dirty"] == "false"
    assert not (tmp_path / "lineage/code.patch").exists()


def test_packages_are_pinned_as_pip_takes_them(repository: Path, tmp_path: Path) -> None:
    write_origin(tmp_path / "lineage")
    pins = (tmp_path / "lineage/environment.txt").read_text().splitlines()
    locked = {
        line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith(("torch==", "numpy=="))
    }
    assert locked <= set(pins)
    assert not any(line.startswith("pennet==") for line in pins)


def test_weights_that_came_from_elsewhere_are_not_said_to_be_of_this_code(project: Path) -> None:
    """Those of the fixture have an identity that no code here has."""
    assert record(*TRIAL, store())
    assert the_run().data.tags[LINEAGE_TAG] == "unknown"
    assert the_run().data.tags["pennet.version"] == "models:/inpainting-terrain/1"
    change_params(project, {"tracking": {"uri": store().uri}})
    told = run(project, "python", "-m", "pipelines.lineage", "models:/inpainting-terrain/1")
    assert told.returncode == 1
    assert "lineage: models:/inpainting-terrain/1 cannot be made again from its record" in told.stderr
    for wrong, why in (
        ("models:/inpainting-terrain@nobody", "no such version"),
        ("inpainting", "is not models:/NAME@ALIAS"),
    ):
        with pytest.raises(ValueError, match=why):
            read_lineage(wrong, store())


def test_what_a_training_left_is_what_its_run_keeps(project: Path) -> None:
    write_origin(layout.origin_dir(digest(IDENTITY)))
    (project / "pennet" / "later.py").write_text("")  # after the training: not its code
    assert record(*TRIAL, store())
    tags = the_run().data.tags
    assert (tags[LINEAGE_TAG], tags["git.dirty"]) == ("training", "false")
    client, run_id = mlflow.MlflowClient(), the_run().info.run_id
    kept = {Path(item.path).name for item in client.list_artifacts(run_id, "lineage")}
    assert {"params.yaml", "dvc.yaml", "environment.txt", "source.json", "identity.json"} <= kept
    client.delete_tag(run_id, LINEAGE_TAG)  # as of a record before there was any
    assert record(*TRIAL, store())


def register_without_scores(weights: Path) -> None:
    """What `record` does to the run of a training, without masks, pictures and reports, which take longer than it."""
    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd()}/mlflow.db")
    client, name = mlflow.MlflowClient(), "inpainting-terrain"
    (found,) = mlflow.search_runs(experiment_names=["pennet-studio-terrain"], output_format="list")
    client.create_registered_model(name)
    version = client.create_model_version(name, str(weights.parent), found.info.run_id).version
    client.set_model_version_tag(name, version, WEIGHTS_TAG, hashlib.sha256(weights.read_bytes()).hexdigest())
    client.set_registered_model_alias(name, "latest-gntipt", version)
    identity = read_identity(weights.with_name("identity.json"))
    assert identity is not None
    with mlflow.start_run(found.info.run_id):
        log_lineage("terrain", "gntipt", 2019, identity, (name, str(version)))


@pytest.mark.slow
def test_a_model_is_made_again_from_its_record_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "my project", TINY)
    changed = project / "pennet/models/discriminators.py"
    changed.write_text(changed.read_text().replace(", 0.2)", ", 0.25)"))
    assert git(project, "status", "--porcelain").strip() == "M pennet/models/discriminators.py"
    change_params(project, {"train": {"steps": 3}})
    made = run(project, "python", "-m", "dvc", "repro", "train@terrain-gntipt-2019", timeout=LONG)
    assert made.returncode == 0, made.stderr
    monkeypatch.chdir(project)
    register_without_scores(project / WEIGHTS)
    changed.write_text("# gone\n")  # what is here now says nothing

    told = run(project, "python", "-m", "pipelines.lineage", "models:/inpainting-terrain@latest-gntipt")
    assert told.returncode == 0, told.stderr
    description, _, script = told.stdout.partition("make it again\n\n")
    commit = git(project, "rev-parse", "HEAD").strip()
    for line in (f"commit {commit}, with changes of the code: code.patch", "train.steps: 3", "data.train "):
        assert line in description
    assert "python -m pipelines.train terrain gntipt 2019 -> models/terrain/gntipt/seed-2019 md5 " in description

    assert script.count("make setup\n") == 1  # it would install the packages that are installed
    script = script.replace("make setup\n", f"ln -s '{sys.prefix}' .venv\n")
    variables = environment(project)
    rebuilt = subprocess.run(
        ["bash", "-e", "-c", script], cwd=project, env=variables, capture_output=True, text=True, timeout=LONG, check=False
    )
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    assert f"{WEIGHTS}: OK" in rebuilt.stdout
    assert (project / "rebuilt" / WEIGHTS).read_bytes() == (project / WEIGHTS).read_bytes()
