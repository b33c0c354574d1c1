"""The only reader of `params.yaml`, and the command line that every stage shares."""

from __future__ import annotations

import argparse
import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

from pennet.config import Config, ConfigError, config_from_mapping
from pennet.errors import TransientError, UserError

PARAMS_PATH = Path("params.yaml")
STORE_VARIABLE = "MLFLOW_TRACKING_URI"
"""Environment variable: the MLflow store to use instead of `tracking.uri`, as MLflow's own programs do."""
_STORE = os.environ.get(STORE_VARIABLE, "").strip()  # as this process was started: MLflow sets it, too, once it is in use
REASON_VARIABLE = "PENNET_REASON_FILE"
"""Environment variable: the file in which a stage leaves why it failed, for the flow (DVC passes on no exit status)."""
FINAL, TRANSIENT = "final", "transient"
"""First line of that file: whether another try can help. The message follows."""


def read_yaml(path: Path) -> Any:
    """Reads YAML 1.2, as DVC does (PyYAML would read `1e-4` as a string).

    Raises:
        ConfigError: no such file, or not YAML.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise ConfigError([f"no such file in {Path.cwd()}; run from the repository's root"], str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"not YAML: {error}"], str(path)) from error


def parse_yaml(text: str, source: str) -> Any:
    """As `read_yaml`, of a text that a message calls `source`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ConfigError([f"not YAML: {error}"], source) from error


def edited_yaml(text: str, values: Mapping[str, Any]) -> str:
    """A YAML text with other values; comments and layout stay where the keys stay."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True  # type: ignore[assignment]
    yaml.width = 125  # type: ignore[assignment]
    document = yaml.load(text)
    _edit(document, values)
    edited = StringIO()
    yaml.dump(document, edited)
    return edited.getvalue()


def _edit(document: Any, values: Mapping[str, Any]) -> None:
    """Makes a mapping that knows its comments equal to a plain one."""
    for key in [key for key in document if key not in values]:
        del document[key]
    for key, value in values.items():
        known = document.get(key)
        # One that merges others (`<<`) would follow their changes: it is written out.
        if isinstance(value, Mapping) and isinstance(known, Mapping) and not getattr(known, "merge", None):
            _edit(known, value)
        elif known != value or isinstance(value, Mapping):
            document[key] = _with_layout(value)


def _with_layout(value: Any) -> Any:
    """Plain values as `params.yaml` lays them out: a line a key, lists in brackets, no anchors."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import SingleQuotedScalarString

    if isinstance(value, Mapping):
        return CommentedMap({key: _with_layout(inner) for key, inner in value.items()})
    if isinstance(value, list):
        # Addresses in quotes: DVC's reader takes no bare colon in brackets.
        quoted = (SingleQuotedScalarString(item) if isinstance(item, str) and ":" in item else item for item in value)
        items = CommentedSeq(quoted)
        items.fa.set_flow_style()
        return items
    return value


def write_yaml(path: Path, value: Any) -> None:
    """Writes plain mappings, lists and scalars so that `read_yaml` gets them back."""
    from ruamel.yaml import YAML

    from pennet.atomic import replacing

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with replacing(path) as temporary:
        yaml.dump(value, temporary)


def load_params(path: Path = PARAMS_PATH) -> Config:
    """Reads and checks `params.yaml`; `MLFLOW_TRACKING_URI` of the environment takes the place of `tracking.uri`.

    Raises:
        ConfigError: every problem of the file, each by its path.
    """
    values = read_yaml(path)
    if isinstance(values, dict) and isinstance(values.get("tracking"), dict) and "uri" in values["tracking"]:
        values["tracking"]["uri"] = store_uri(values["tracking"]["uri"])
    return config_from_mapping(Config, values, str(path))


def store_uri(configured: str) -> str:
    """The MLflow store: what the environment says, else what is configured."""
    return _STORE or configured


def stage_sections(run: Callable[..., None]) -> list[str]:
    """The parameters of a stage's `run` after its positional (matrix) arguments: sections of `params.yaml`."""
    return [p.name for p in inspect.signature(run).parameters.values() if p.kind is p.KEYWORD_ONLY]


def stage_main(run: Callable[..., None]) -> None:
    """Runs a stage: `python -m pipelines.STAGE DATASET [METHOD [SEED]]`.

    `run`'s positional arguments come from the command line, its keyword-only ones are sections of `params.yaml` with what
    differs for the data set (`source` is its entry of `sources`, `recipe` the entry of `recipes` with the method's name).
    What a user can mend ends in one message and exit status 1; SIGTERM is an exception like any other, so that what is open
    is closed, and ends in exit status 143.
    """
    parameters = inspect.signature(run).parameters.values()
    parser = argparse.ArgumentParser(description=inspect.getdoc(run))
    for parameter in parameters:
        if parameter.kind is not parameter.KEYWORD_ONLY:
            optional = {} if parameter.default is parameter.empty else {"nargs": "?", "default": parameter.default}
            parser.add_argument(parameter.name, type=int if parameter.name == "seed" else str, **optional)
    arguments = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, _terminate)
    stage = " ".join([Path(inspect.getfile(run)).stem, *(str(value) for value in arguments.values() if value is not None)])
    try:
        config = load_params().of(arguments["dataset"])
        entries = {"recipe": ("recipes", "method"), "source": ("sources", "dataset")}
        sections = {
            name: _entry(config, *entries[name], arguments) if name in entries else getattr(config, name)
            for name in stage_sections(run)
        }
        run(**arguments, **sections)
    except (UserError, OSError) as error:
        message = f"{stage}: {error}"
        _leave_reason(TRANSIENT if _is_transient(error) else FINAL, message)
        sys.exit(message)
    except Exception as error:  # a bug, which another try meets again; Python prints its traceback
        _leave_reason(FINAL, f"{stage}: {error!r}, which nobody foresaw; its traceback is in the log above")
        raise


def _leave_reason(kind: str, message: str) -> None:
    if reason_file := os.environ.get(REASON_VARIABLE):
        Path(reason_file).write_text(f"{kind}\n{message}")


def _terminate(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)  # a second one must not interrupt the orderly end
    sys.exit(128 + signum)


def _is_transient(error: Exception) -> bool:
    """Whether another try can help: a network or a disk that failed, but no file that is missing, no 404."""
    if isinstance(error, UserError):
        return isinstance(error, TransientError)
    lasting = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
    return isinstance(error, OSError) and not isinstance(error, lasting)


def _entry(config: Config, section: str, argument: str, arguments: Mapping[str, Any]) -> Any:
    entries, name = getattr(config, section), arguments[argument]
    if name not in entries:
        raise UserError(f"{section}: has no entry {name!r}; known are {', '.join(entries)}")
    return entries[name]
