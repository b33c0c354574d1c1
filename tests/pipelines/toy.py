"""A DAG of three stages that take no time, in a project of its own: what the flow does, without what the stages do."""

from __future__ import annotations

from pathlib import Path

from tests.project import make_project

DAG = """
stages:
  download:
    foreach: [toy]
    do:
      cmd: echo data > data.txt
      outs: [data.txt]
  train:
    foreach: [toy-net]
    do:
      cmd: {train}
      deps: [data.txt]
      outs: [weights.txt]
  compare:
    foreach: [toy]
    do:
      cmd: cat weights.txt && cp weights.txt table.txt
      deps: [weights.txt]
      outs: [table.txt]
"""


def write_dag(folder: Path, train: str = "cp data.txt weights.txt") -> None:
    (folder / "dvc.yaml").write_text(DAG.format(train=train))


def make_toy(folder: Path, train: str = "cp data.txt weights.txt") -> Path:
    """The project's own flow over the toy DAG; no method, so that there is nothing to record."""
    make_project(folder, {"methods": {"learned": [], "classical": []}})
    write_dag(folder, train)
    return folder
