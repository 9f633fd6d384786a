"""A narrow AudioLDM on a stand-in of the Hub, and a way to run ``audioldm-server model``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn, hub_stand_in
from narrow_model import narrow_source

from onnx_export.sources.random_source import write_diffusers_folder
from onnx_export.templates import wanted_for, write_templates

Model = Callable[..., "subprocess.CompletedProcess[str]"]
PIPELINE, CLAP = "somebody/narrow", "laion/clap-htsat-unfused"


@pytest.fixture(scope="session")
def hub_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The repositories: a pipeline without an audio tower, and a CLAP."""
    folder = tmp_path_factory.mktemp("hub")
    write_diffusers_folder(narrow_source(), folder / "pipeline")
    (folder / "clap").mkdir()
    shutil.move(folder / "pipeline/audio_encoder/model.safetensors", folder / "clap")
    shutil.rmtree(folder / "pipeline/audio_encoder")
    return {PIPELINE: folder / "pipeline", CLAP: folder / "clap"}


@pytest.fixture(scope="session")
def narrow_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Templates for it."""
    path = tmp_path_factory.mktemp("templates") / "templates.tar.xz"
    write_templates(path, list(wanted_for(narrow_source())))
    return path


@pytest.fixture
def hub(hub_folders: dict[str, Path]) -> Iterator[HubStandIn]:
    with hub_stand_in(hub_folders) as stand_in:
        yield stand_in


@pytest.fixture
def environment(hub: HubStandIn, tmp_path: Path) -> dict[str, str]:
    """Settings of a user whose Hub is the stand-in."""
    return {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_ETAG_TIMEOUT": "20",
        "AUDIOLDM_MODELS_FOLDER": str(tmp_path / "models"),
    }


@pytest.fixture
def model(environment: dict[str, str]) -> Model:
    """Runs ``audioldm-server model ...``; ``environment`` overrides the fixture's."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "server.cli", "model", *arguments],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    return run
