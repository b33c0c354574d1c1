"""Completion in a real bash, the version, and what is imported to show the help."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pennet import cli
from tests.project import ROOT

BASH = shutil.which("bash")
COMPLETE = """
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
COMP_LINE="${{COMP_WORDS[*]}}" COMP_POINT=${{#COMP_LINE}}
found=$(complete -p pennet)
function=${{found#*-F }}
"${{function%% *}}" pennet
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def bash(folder: Path, script: str) -> str:
    """What a bash says that has `pennet` on its path and a home of its own."""
    program = folder / "bin" / "pennet"
    if not program.exists():
        program.parent.mkdir()
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pennet.cli import main; main()"
        program.write_text(f'#!/bin/sh\nexec \'{sys.executable}\' -c "{code}" "$@"\n')
        program.chmod(0o755)
    env = {"HOME": str(folder), "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        [str(BASH), "--norc", "-c", script], env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return result.stdout


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_completes_commands_options_and_methods(tmp_path: Path) -> None:
    script = bash(tmp_path, "pennet --show-completion; true")
    shown = tmp_path / "completion.sh"
    shown.write_text(script)
    for words, expected in (
        ("pennet inp", {"inpaint"}),
        ("pennet inpaint --feat", {"--feather"}),
        ("pennet inpaint --method pat", {"patchmatch"}),
        ("pennet inpaint --strategy re", {"resize"}),
    ):
        assert expected <= set(bash(tmp_path, f"source '{shown}'\n" + COMPLETE.format(words=words)).split()), words


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_completion_is_installed_for_bash(tmp_path: Path) -> None:
    said = bash(tmp_path, "pennet --install-completion; true")
    assert "bash completion installed" in said
    read = "source ~/.bashrc\n" + COMPLETE.format(words="pennet eval")
    assert "evaluate" in bash(tmp_path, read).split()


def test_version_is_the_distributions() -> None:
    from importlib.metadata import version

    command = [sys.executable, "-m", "pennet", "--version"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == f"pennet {version('pennet')}\n"


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    """By what is imported, for time depends on the machine: `import pennet` and `pennet --help` are quick without these."""
    heavy = {"torch", "numpy", "PIL", "scipy", "cv2", "gradio", "onnx", "onnxruntime", "av", "tqdm", "pydantic"}
    code = f"""
import sys, pennet
print(sorted(set(sys.modules) & {heavy | {"typer", "rich"}!r}))
sys.argv = ["pennet", "--help"]
from pennet.cli import main
try:
    main()
finally:
    print(sorted(set(sys.modules) & {heavy!r}))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    first, *shown, last = result.stdout.splitlines()
    assert (first, last) == ("[]", "[]")
    for name in (*cli.COMMANDS, *cli.GROUPS):
        assert any(f" {name} " in line for line in shown), name
