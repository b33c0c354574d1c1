"""`compose.yaml`: valid by the Compose specification's rules, with commands, options and variables that exist.

Where Docker is installed its own check runs too.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipelines.params import read_yaml
from pipelines.stack import database
from pipelines.stack.settings import Settings
from pipelines.stack.up import Stack
from tests.project import ROOT

COMPOSE: dict[str, Any] = read_yaml(ROOT / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TEXT = (ROOT / "compose.yaml").read_text()

# https://github.com/compose-spec/compose-spec/blob/main/05-services.md: the attributes that this file uses; another one is
# looked up there before it is added.
SERVICE_KEYS = {
    "image", "build", "restart", "init", "user", "entrypoint", "command", "working_dir", "environment", "volumes", "configs",
    "ports", "depends_on", "healthcheck", "shm_size", "stop_grace_period", "deploy",
}  # fmt: skip
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"(\d+(us|ms|s|m|h))+")


def test_only_attributes_of_the_specification() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} <= {"name", "services", "volumes", "configs"}
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", COMPOSE["name"])
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)
        assert set(service) <= SERVICE_KEYS, name
        assert "image" in service or "build" in service
        assert service.get("restart", "no") in {"no", "always", "on-failure", "unless-stopped"}
        assert all(isinstance(value, str) for value in service.get("environment", {}).values()), name
        for key in ("command", "entrypoint"):
            assert all(isinstance(word, str) for word in service.get(key, []))
        if "stop_grace_period" in service:
            assert DURATION.fullmatch(service["stop_grace_period"])
    assert re.fullmatch(r"\d+(b|k|kb|m|mb|g|gb)", SERVICES["worker"]["shm_size"])
    (device,) = SERVICES["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_health_checks_are_complete() -> None:
    for name, service in SERVICES.items():
        if check := service.get("healthcheck"):
            assert set(check) <= HEALTHCHECK_KEYS, name
            assert check["test"][0] in {"CMD", "CMD-SHELL"}
            assert all(DURATION.fullmatch(check[key]) for key in ("interval", "timeout"))
            assert check["retries"] > 0
            if check["test"][1:3] == ["python", "-c"]:
                compile(check["test"][3], name, "exec")


def test_whatever_is_named_exists_and_nothing_waits_for_itself() -> None:
    used_volumes, used_configs = set(), set()
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, name
            assert set(how) == {"condition"} and how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], needed
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[needed].get("restart", "no") == "no", needed
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if not source.startswith("."):
                used_volumes.add(source)
        used_configs |= {config["source"] for config in service.get("configs", [])}
    assert used_volumes == set(COMPOSE["volumes"])
    assert used_configs == set(COMPOSE["configs"])
    started: set[str] = set()
    while ready := {name for name, s in SERVICES.items() if name not in started and set(s.get("depends_on", {})) <= started}:
        started |= ready
    assert started == set(SERVICES)


def test_hosts_in_addresses_are_services() -> None:
    values = [value for service in SERVICES.values() for value in service.get("environment", {}).values()]
    values += [word for service in SERVICES.values() for word in service.get("command", [])]
    hosts = {host for value in values for host in re.findall(r"(?:http://|@)([a-z][\w-]*):\d+", value)}
    assert {"postgres", "artifacts", "mlflow", "prefect"} <= hosts
    assert hosts <= set(SERVICES)


def test_ports_are_on_loopback_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 2
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{(PREFECT|MLFLOW)_PORT:-\d+\}:\d+", port)


def test_secrets_are_variables_that_have_to_be_set() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET", key):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), f"{name}: {key}"
            if "://" in value and "@" in value:
                assert re.search(r"//pennet:\$\{POSTGRES_PASSWORD:\?[^}]+\}@", value), f"{name}: {key}"
    variables = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT))
    assert variables == {
        "POSTGRES_PASSWORD", "ARTIFACTS_PASSWORD", "PREFECT_PORT", "MLFLOW_PORT", "GPU_SLOTS", "STACK_UID", "STACK_GID"
    }  # fmt: skip
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT, check=False, timeout=60)
    assert ignored.returncode == 0
    documented = (ROOT / "docs/operations.md").read_text()
    assert all(variable in documented for variable in variables)


@cache
def options(*command: str) -> set[str]:
    """The long options that a command's help names."""
    line = [sys.executable, "-m", *command, "--help"]
    result = subprocess.run(line, capture_output=True, text=True, timeout=240, check=True)
    return set(re.findall(r"--[a-z][a-z-]+", result.stdout))


def words(service: str) -> list[str]:
    return [str(word) for word in SERVICES[service]["command"]]


def named(command: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in command if word.startswith("--")}


def test_commands_take_the_options_they_are_given() -> None:
    assert words("mlflow")[:2] == ["mlflow", "server"]
    assert named(words("mlflow")) <= options("mlflow", "server")
    assert words("prefect")[:3] == ["prefect", "server", "start"]
    assert named(words("prefect")) <= options("prefect", "server", "start")
    script = re.split(r"\s*&&\s*", words("worker")[-1])
    assert [shlex.split(line)[-1] for line in script] == ["deploy", "worker"]
    assert "deploy" in help_of_the_stack() and "worker" in help_of_the_stack()


@cache
def help_of_the_stack() -> str:
    line = [sys.executable, "-m", "pipelines.stack", "--help"]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=240, check=True).stdout


def test_the_servers_are_configured_as_those_of_make_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same variables, and the same options but for addresses."""
    monkeypatch.chdir(ROOT)
    for variable in ("MLFLOW_TRACKING_URI", "PREFECT_HOME"):
        monkeypatch.delenv(variable, raising=False)
    url = "postgresql://pennet:x@postgres:5432/pennet"
    parts = Stack(Settings(tmp_path, 4200, 5000, None, url)).parts
    for name in ("mlflow", "prefect"):
        here = SERVICES[name]["environment"]
        for variable, value in parts[name].variables.items():
            if variable == "PREFECT_HOME":
                continue
            assert re.sub(r"\$\{POSTGRES_PASSWORD:[^}]+\}", "x", here[variable]) == value
        assert named(parts[name].command) <= named(words(name))
    assert set(parts["worker"].variables) <= set(SERVICES["worker"]["environment"])
    schemas = COMPOSE["configs"]["schemas"]["content"]
    assert all(f"CREATE SCHEMA {schema};" in schemas for schema in (database.MLFLOW_SCHEMA, database.PREFECT_SCHEMA))


def test_settings_of_prefect_exist() -> None:
    """Prefect takes a variable that it does not know for none."""
    from prefect.settings.legacy import _get_settings_fields
    from prefect.settings.models.root import Settings as PrefectSettings

    known = set(_get_settings_fields(PrefectSettings))
    used = {key for service in SERVICES.values() for key in service.get("environment", {}) if key.startswith("PREFECT_")}
    assert used
    assert used <= known


def test_the_image_is_built_of_files_that_are_there() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    instructions = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert instructions[0] == "FROM"
    assert set(instructions) <= {"FROM", "RUN", "WORKDIR", "COPY", "ENV"}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in lines:
        if line.startswith("COPY"):
            *sources, _ = line.split()[1:]
            assert set(sources) <= kept
            assert all((ROOT / source).exists() for source in sources)


def test_docker_finds_it_valid() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("docker compose is not installed: its own check of compose.yaml is left out")
    variables = {"POSTGRES_PASSWORD": "x", "ARTIFACTS_PASSWORD": "x" * 8}
    command = [docker, "compose", "config", "--quiet"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
