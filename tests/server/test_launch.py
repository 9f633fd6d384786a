"""What a program starts with."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from server.config import Config, built_in_model, load_config
from server.errors import ModelError
from server.launch import _usable, make_http, make_library, make_local_engine
from server.worker.towers import ClapTowers


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """An added model with an empty manifest, beside a good one."""
    shutil.copytree(built_in_model(), tmp_path / "good")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{}")
    return tmp_path / "broken"


def settings(broken: Path, **values: object) -> Config:
    return load_config({"models_folder": str(broken.parent), **values}, {})


@pytest.mark.parametrize("models", [["built-in", "broken"], ["broken", "built-in"], ["broken"]])
def test_a_broken_model_that_was_named_is_refused(models: list[str], broken: Path) -> None:
    with pytest.raises(ModelError):
        _usable(settings(broken, model=models, default_model="good"))


def test_a_broken_model_that_nobody_named_is_left_out(
    broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert _usable(settings(broken)) == [built_in_model(), broken.parent / "good"]
    assert "left out" in caplog.text


def test_takes_and_the_users_sounds_are_searched_with_the_same_towers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def towers(folder: Path) -> ClapTowers:
        made.append(folder)
        return ClapTowers(folder)

    monkeypatch.setattr("server.launch.ClapTowers", towers)
    config = Config(state_folder=str(tmp_path))
    library = make_library(config)
    make_http(make_local_engine(config), config, samples=library).close()
    assert made == [built_in_model()]
