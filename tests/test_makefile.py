"""The Makefile finds a Python by itself, and says what is missing where there is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")


def make(folder: Path, target: str, *variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-f", str(MAKEFILE), target, *variables]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def program(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o755)
    return path


def test_the_first_python_that_is_new_enough_makes_the_environment(tmp_path: Path) -> None:
    old = program(tmp_path / "old", "exit 1")
    new = program(
        tmp_path / "new",
        f'echo "$*" >> {tmp_path}/calls',
        '[ "$2" != venv ] || { mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; }',
    )
    made = make(tmp_path, ".venv/bin/python", f"PYTHON=nowhere {old} {new} nowhere")
    assert made.returncode == 0, made.stderr
    checked, environment, pip = (tmp_path / "calls").read_text().splitlines()
    assert "version_info" in checked
    assert environment == "-m venv .venv"
    assert pip.startswith("-m pip install")


def test_a_missing_python_is_said_in_a_sentence(tmp_path: Path) -> None:
    refused = make(tmp_path, ".venv/bin/python", "PYTHON=nowhere")
    assert refused.returncode != 0
    assert "No Python 3.11 or later with the venv module was found" in refused.stdout
    assert "apt-get install python3 python3-venv" in refused.stdout
