"""The documents: links lead somewhere, commands exist, sentences are short, README's lines run."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import DOCUMENTS, ROOT, anchors, code_lines, links, sentences
from running_programs import running_instrument

import onnx_export.cli
import osc_bridge.cli
import server.cli
import server.harp.cli
import training.cli
from onnx_export.arguments import export_parser
from osc_bridge.cli import main as audioldm_daw

MOST_WORDS = 25
GENERATED = Path("docs/osc.md")
LARGEST_PICTURE = 300_000
PARSERS = {
    "audioldm-daw": osc_bridge.cli._parser,
    "audioldm-server": server.cli._parser,
    "audioldm-harp": server.harp.cli._parser,
    "audioldm-train": training.cli._parser,
    "audioldm-export": export_parser,
    **{f"audioldm-export {name}": make for name, (make, _) in onnx_export.cli.COMMANDS.items()},
}
NO_PARSER = {"audioldm-osc"}
"""It takes any OSC message."""
NEEDS_TORCH = {"audioldm-train evaluate": "training.evaluation.evaluate"}
"""The module that has the parser."""


def read(document: Path) -> str:
    return (ROOT / document).read_text("utf-8")


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Our commands in code blocks: name and arguments."""
    for line in code_lines(text):
        name = line.split(" ")[0].rpartition("/")[2]
        if name in (*PARSERS, *NO_PARSER):
            words = shlex.split(line, comments=True)[1:]
            is_sub = f"{name} {words[0] if words else ''}" in (*PARSERS, *NEEDS_TORCH)
            yield (f"{name} {words[0]}", words[1:]) if is_sub else (name, words)


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d != GENERATED], ids=str)
def test_sentences_are_short(document: Path) -> None:
    long = [s for s in sentences(read(document)) if len(re.findall(r"\S*\w\S*", s)) > MOST_WORDS]
    assert long == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(read(document)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / document).parent / name if name else ROOT / document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_named_files_exist(document: Path) -> None:
    folders = "server|osc_bridge|onnx_export|training|tests|benchmarks|docs|deploy|models|presets"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", read(document))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*"))
    assert pictures
    assert [p.name for p in pictures if p.stat().st_size > LARGEST_PICTURE] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_exist(document: Path) -> None:
    """By name wherever they are named, and with all their flags in code blocks."""
    text = read(document)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {name for name in (*PARSERS, *NO_PARSER) if " " not in name}
    for name, words in commands(text):
        if name in PARSERS:
            PARSERS[name]().parse_args(words)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^\s*)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)
    for module in re.findall(r"python -m ((?:benchmarks|training|osc_bridge|server)[\w.]*)", text):
        assert importlib.util.find_spec(module), module


@pytest.mark.integration
@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_that_need_torch_exist(document: Path) -> None:
    for name, words in commands(read(document)):
        if name in NEEDS_TORCH:
            importlib.import_module(NEEDS_TORCH[name])._parser().parse_args(words)


@pytest.mark.integration
@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_python_names_exist(document: Path) -> None:
    text = read(document)
    packages = "(?:server|osc_bridge|onnx_export|training)"
    for module, names in re.findall(rf"from ({packages}[\w.]*) import ([\w, ]+)", text):
        assert all(hasattr(importlib.import_module(module), name) for name in names.split(", "))
    for name in re.findall(rf"`({packages}\.[a-z_.]*\w+)`", text):
        pkgutil.resolve_name(name)


@pytest.mark.integration
def test_the_readme_s_renders_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands that leave a sound file, in their order."""
    monkeypatch.chdir(tmp_path)
    outputs = []
    for name, words in commands(read(Path("README.md"))):
        if name == "audioldm-daw" and "-o" in words:
            assert audioldm_daw(words) == 0, capsys.readouterr().err
            outputs.append(Path(words[words.index("-o") + 1]))
    assert len(outputs) >= 3
    assert all(output.is_file() for output in outputs)


@pytest.mark.integration
def test_the_readme_s_doctor_runs(capsys: pytest.CaptureFixture[str]) -> None:
    audioldm_daw(["doctor"])
    assert "model: tiny" in capsys.readouterr().out


@pytest.mark.integration
def test_the_readme_s_python_runs(tiny_folder: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", read(Path("README.md")), re.DOTALL)
    with running_instrument(tiny_folder, tmp_path) as instrument:
        exec(block.replace("Client()", f"Client(port={instrument.port})"), {})
    assert list((tmp_path / "takes").glob("*.wav"))


@pytest.mark.integration
def test_the_jobs_page_is_what_the_gallery_makes(tiny_folder: Path, tmp_path: Path) -> None:
    """Its words and commands; measures and pictures depend on the model."""
    script = (
        sys.executable,
        "docs/make/make_job_gallery.py",
        "--model",
        tiny_folder,
        "--out",
        tmp_path,
    )
    subprocess.run(script, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    made, kept = ((folder / "jobs.md").read_text("utf-8") for folder in (tmp_path, ROOT / "docs"))
    assert headings(made) == headings(kept)
    assert list(code_lines(made)) == list(code_lines(kept))
    assert len(list((tmp_path / "jobs").glob("*.png"))) == len(list(ROOT.glob("docs/jobs/*.png")))


def headings(text: str) -> list[str]:
    return re.findall(r"^## .*", text, re.MULTILINE)
