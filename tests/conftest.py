"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tiny_model import make_tiny_folder
from xdist.scheduler import LoadFileScheduling

from server.render.pipeline import Pipeline

PROGRAMS = ("tests/daw/", "tests/plugin/")


class _Scheduling(LoadFileScheduling):
    """The tests of a file run in one process, and those of real programs in one and the same.

    These programs play in real time, so that one is enough at a time.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "programs" if nodeid.startswith(PROGRAMS) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """How the tests are shared between processes."""
    return _Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _no_added_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Models that somebody has added on this machine are none of the tests' business."""
    os.environ["AUDIOLDM_MODELS_FOLDER"] = str(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a few kilobytes; see tiny_model.py."""
    return make_tiny_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_folder: Path) -> Pipeline:
    """The pipeline on the tiny folder, on one thread."""
    return Pipeline(tiny_folder, "cpu", 1)
