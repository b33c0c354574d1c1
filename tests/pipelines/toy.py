"""A DAG of three stages that take no time, in a project of its own: what the flow does, without what the stages do."""

from __future__ import annotations

import subprocess
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


METHODS = """
stages:
  download:
    foreach: ${datasets}
    do:
      cmd: echo data > data.txt
      outs: [data.txt]
  train:
    matrix: {dataset: "${datasets}", method: "${methods.learned}", seed: "${seeds}"}
    cmd: sh train.sh ${item.method}
    deps: [data.txt]
    params: [train]
    outs: ["weights-${item.method}.txt"]
  inpaint:
    matrix: {dataset: "${datasets}", method: "${methods.learned}", seed: "${seeds}"}
    cmd: cp weights-${item.method}.txt painted-${item.method}.txt
    deps: ["weights-${item.method}.txt"]
    outs: ["painted-${item.method}.txt"]
  evaluate:
    matrix: {dataset: "${datasets}", method: "${methods.learned}", seed: "${seeds}"}
    cmd: mkdir -p scores && cp painted-${item.method}.txt scores/${item.method}.txt
    deps: ["painted-${item.method}.txt"]
    outs: ["scores/${item.method}.txt"]
  compare:
    foreach: ${datasets}
    do:
      cmd: sh compare.sh ${item}
      deps: [scores]
      outs:
        - "reports/${item}/comparison": {cache: false}
"""
"""Trainings of two methods, by the names that the project's stages have."""

COMPARE = """
mkdir -p reports/$1/comparison
cat scores/*.txt > reports/$1/comparison/comparison.md
python -c "from PIL import Image; Image.new('RGB', (3000, 40), 'red').save('reports/$1/comparison/at_a_glance.png')"
"""

MEETING = """
touch began-$1
for i in $(seq 2400); do test $(ls began-* | wc -l) -ge 2 && break; sleep 0.1; done
test $(ls began-* | wc -l) -ge 2 && echo weights of $1 > weights-$1.txt
"""
"""A training that ends well only while another one runs: it waits for that one's beginning."""

TRAIN = "echo weights of $1 > weights-$1.txt"


def make_methods_toy(folder: Path, train: str = TRAIN) -> Path:
    """The project's flows over trainings of `pennet` and `ca` that take no time; committed."""
    make_project(folder, {"methods": {"learned": ["pennet", "ca"], "classical": []}})
    (folder / "dvc.yaml").write_text(METHODS)
    (folder / "compare.sh").write_text(COMPARE)
    (folder / "train.sh").write_text(train)
    for name, text in STUBS.items():
        (folder / f"pipelines/{name}.py").write_text(text)
    commit(folder)
    return folder


STUBS = {
    "record": "print('recorded')",
    "promote": """
import sys
import subprocess
from pathlib import Path

for dataset in sys.argv[1:]:
    page = Path("reports") / dataset / "promotion" / "decision.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"# {dataset}: the champion stays")
    print(f"{dataset}: the champion stays")
""",
}
"""Modules that need MLflow, replaced by what the flows see of them."""


def commit(folder: Path) -> None:
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder)]
    for arguments in (["add", "."], ["commit", "--quiet", "--allow-empty", "-m", "Changes"]):
        subprocess.run([*git, *arguments], check=True, timeout=60)
