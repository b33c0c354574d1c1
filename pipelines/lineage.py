"""Where a registered model comes from, and the commands that make it again.

`python -m pipelines.lineage models:/inpainting-terrain@champion`, or `make lineage MODEL=...`.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.errors import UserError
from pipelines import layout
from pipelines.params import PARAMS_PATH, load_params, read_yaml
from pipelines.provenance import ENVIRONMENT_FILE, PATCH_FILE, UNKNOWN

if TYPE_CHECKING:
    from pipelines.tracking.lineage import Lineage

FOLDER = "lineage"
"""Where the commands put what the run keeps."""
MADE_BY = ("download", "prepare", "train")
"""Stages that a model is made by."""


def describe(lineage: Lineage) -> str:
    """All that decides the weights and what was measured with them, a line each."""
    tags, identity, source = lineage.run.data.tags, dict(lineage.identity), lineage.source
    dirty = {"true": f"with changes of the code: {PATCH_FILE}", "false": "without changes of the code"}
    machine = {name: value for name, value in tags.items() if name.startswith("machine.")}
    decided = {key: value for key, value in sorted(identity.items()) if not key.startswith(("code.", "data."))}
    packages = _lines(lineage.folder / ENVIRONMENT_FILE)
    shown = ("torch==", "numpy==", "pillow==", "safetensors==")
    sections = {
        "version": [f"{lineage.uri}, run {lineage.run.info.run_id} of experiment {lineage.run.info.experiment_id}"],
        "weights": [f"sha256 {_weights(lineage)}"],
        "code": [
            f"commit {source.get('commit', UNKNOWN)}, {dirty.get(source.get('dirty', ''), 'unknown whether changed')}",
            f"repository {source.get('repository', UNKNOWN)}",
            f"{sum(key.startswith('code.') for key in identity)} files run by the training, with digests: identity.json",
        ],
        "command": [source.get("command", UNKNOWN)],
        "data": [f"{key} {value}" for key, value in identity.items() if key.startswith("data.")]
        + [f"{key} {value}" for key, value in lineage.run.data.params.items() if key in ("data.test", "masks.test")],
        "outs": [f"{name.removeprefix('dvc.out.')} md5 {md5}" for name, md5 in sorted(tags.items()) if "dvc.out." in name],
        "stages": _stages(lineage),
        "parameters": [f"{key}: {value}" for key, value in decided.items()],
        "device": [f"{name} {value}" for name, value in sorted(machine.items())] or ["unknown: not trained where recorded"],
        "packages": [
            f"Python {source.get('python', UNKNOWN)} on {source.get('platform', UNKNOWN)}",
            *[line for line in packages if line.startswith(shown)],
            f"and {len(packages)} in all: {ENVIRONMENT_FILE}",
        ],
        "report": [f"report/report.json of the run's artifacts, benchmark {tags.get('pennet.benchmark', UNKNOWN)}"],
    }
    return "\n".join(f"{name}\n" + "".join(f"  {line}\n" for line in lines) for name, lines in sections.items())


def commands(lineage: Lineage) -> str:
    """A shell script that makes the weights again in a new clone, and compares them.

    The same bits need the same kind of device and the same version of torch (docs/record.md).

    Raises:
        UserError: nobody knows what made them.
    """
    source, identity = lineage.source, lineage.identity
    if source.get("commit", UNKNOWN) == UNKNOWN:
        raise UserError(
            f"{lineage.uri} cannot be made again from its record: it was not trained in the folder that recorded it, whose"
            " code, data or parameters would train another one, or git did not say which commit that is"
        )
    weights = layout.model_dir(identity["dataset"], identity["method"], int(identity["seed"])) / "generator.safetensors"
    stage = lineage.run.data.tags["dvc.stage"]
    lines = [
        f"{shlex.quote(sys.executable)} -m pipelines.lineage {shlex.quote(lineage.uri)} --to {FOLDER}",
        f"lineage=$PWD/{FOLDER}",
        f"git clone {shlex.quote(source['repository'])} rebuilt",
        f"cd {shlex.quote(str(Path('rebuilt') / source.get('folder', '')))}",
        f"git checkout --quiet {source['commit']}",
        *([f'git apply --whitespace=nowarn "$lineage/{PATCH_FILE}"'] if (lineage.folder / PATCH_FILE).exists() else []),
        f'cp "$lineage/{PARAMS_PATH}" {PARAMS_PATH}',
        'cp "$lineage/dvc.lock" dvc.lock' if (lineage.folder / "dvc.lock").exists() else "",
        f'cp "$lineage/{ENVIRONMENT_FILE}" constraints.txt',
        "make setup",
        f"PATH=$PWD/.venv/bin:$PATH dvc repro {stage}",
        f"echo {shlex.quote(f'{_weights(lineage)}  {weights}')} | sha256sum --check",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _weights(lineage: Lineage) -> str:
    return str(lineage.version.tags.get("pennet.weights", UNKNOWN))


def _stages(lineage: Lineage) -> list[str]:
    """The stages of `dvc.lock` that lead to the model: command and what DVC keeps of its outs."""
    path = lineage.folder / "dvc.lock"
    stages = (read_yaml(path) or {}).get("stages", {}) if path.exists() else {}
    dataset, own = lineage.identity["dataset"], lineage.run.data.tags["dvc.stage"]
    made_by = [stage for stage in stages if stage == own or stage in {f"{kind}@{dataset}" for kind in MADE_BY}]
    lines = []
    for stage in made_by:
        outs = [f"{out['path']} md5 {out.get('md5')}" for out in stages[stage]["outs"]]
        lines.append(f"{stages[stage]['cmd']} -> {', '.join(outs)}")
    return lines or ["not in dvc.lock when it was recorded"]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def main() -> None:
    from pipelines.tracking.lineage import read_lineage
    from pipelines.tracking.store import first_line, store_errors

    parser = argparse.ArgumentParser(description="Where a registered model comes from, and the commands that make it again.")
    parser.add_argument("model", nargs="?", help="models:/NAME@ALIAS or models:/NAME/NUMBER; else the first champion")
    parser.add_argument("--to", type=Path, help="copy what the run keeps there, and print nothing else")
    arguments = parser.parse_args()
    try:
        config = load_params()
        model = arguments.model or f"models:/{config.tracking.registered_model}-{config.datasets[0]}@champion"
        lineage = read_lineage(model, config.tracking)
        if arguments.to:
            shutil.copytree(lineage.folder, arguments.to, dirs_exist_ok=True)
            print(f"{lineage.uri}: {arguments.to}")
            return
        print(describe(lineage))
        print(f"make it again\n\n{commands(lineage)}")
    except UserError as error:
        sys.exit(f"lineage: {error}")
    except store_errors() as error:
        sys.exit(f"lineage: {config.tracking.uri}: {first_line(error)}")


if __name__ == "__main__":
    main()
