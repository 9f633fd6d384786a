"""An AudioLDM of the real architecture, narrow enough to export in seconds."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import transformers
from narrow_model import narrow_source as make_narrow_source

from onnx_export.export import export_source
from onnx_export.sources.random_source import (
    RandomSource,
    write_diffusers_folder,
    write_original_checkpoint,
)


@pytest.fixture(scope="session")
def narrow_source() -> RandomSource:
    return make_narrow_source()


@pytest.fixture(scope="session")
def narrow_folder(narrow_source: RandomSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source exported in float32."""
    folder = tmp_path_factory.mktemp("narrow") / "folder"
    export_source(folder, narrow_source)
    return folder


@pytest.fixture(scope="session")
def narrow_checkpoint(
    narrow_source: RandomSource, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The source under the names of an original checkpoint."""
    path = tmp_path_factory.mktemp("original") / "narrow.ckpt"
    write_original_checkpoint(narrow_source, path)
    return path


@pytest.fixture(scope="session")
def narrow_diffusers(narrow_source: RandomSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source as diffusers stores it."""
    folder = tmp_path_factory.mktemp("diffusers") / "narrow"
    write_diffusers_folder(narrow_source, folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_progress_bars() -> None:
    """Their monitor threads would outlive the tests."""
    for logging in (diffusers.logging, transformers.logging):
        logging.disable_progress_bar()
