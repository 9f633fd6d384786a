"""Settings: one struct, four places they may come from, one order among these."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from server.config import Config, built_in_model, load_config
from server.config_flags import add_flags
from server.errors import InvalidRequest
from server.requests.fields import fields_of


def parsed(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return vars(parser.parse_args(words))


def test_nothing_given_is_the_default_on_loopback() -> None:
    config = load_config(parsed(), {})
    assert config == Config()
    assert config.is_loopback


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("osc_port: 1\nhttp_port: 2\nthreads: 3\n")
    flags = parsed("--config", str(file), "--osc-port", "10")
    config = load_config(flags, {"AUDIOLDM_OSC_PORT": "20", "AUDIOLDM_HTTP_PORT": "30"})
    assert (config.osc_port, config.http_port, config.threads) == (10, 30, 3)
    assert config.max_queued == Config().max_queued


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("allowed_folders: [/a, /b]\ntrace_osc: true\n")
    config = load_config({}, {"AUDIOLDM_CONFIG": str(file)})
    assert config.allowed_folders == ("/a", "/b")
    assert config.trace_osc is True


def test_lists_and_switches() -> None:
    flags = parsed("--allowed-folders", "/a", "--allowed-folders", "/b", "--trace-osc")
    assert load_config(flags, {}).allowed_folders == ("/a", "/b")
    assert load_config(flags, {}).trace_osc is True
    environment = {"AUDIOLDM_ALLOWED_FOLDERS": os.pathsep.join(("/c", "/d"))}
    assert load_config({}, {**environment, "AUDIOLDM_TRACE_OSC": "1"}).roots[1:] == (
        Path("/c"),
        Path("/d"),
    )
    assert load_config(parsed("--no-trace-osc"), {"AUDIOLDM_TRACE_OSC": "1"}).trace_osc is False


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"AUDIOLDM_OSC_PORT": "many"}, "osc_port must be a whole number from 0 to 65535"),
        ({"AUDIOLDM_OSC_PORT": "70000"}, "65535"),
        ({"AUDIOLDM_DEVICE": "abacus"}, "abacus"),
        ({"AUDIOLDM_CONFIG": "/nowhere.yaml"}, "nowhere.yaml cannot be read"),
    ],
)
def test_a_wrong_value_is_named(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        load_config({}, environment)


@pytest.mark.parametrize("text", ["unknown: 1", "- a\n- b", "a: [", "osc_port: {}"])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(InvalidRequest):
        load_config({"config": str(file)}, {})


def test_every_setting_has_a_flag_and_a_description() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    text = parser.format_help()
    for field in fields_of(Config):
        assert f"--{field.name.replace('_', '-')}" in text
        assert field.description


def test_models_are_those_that_are_named_then_those_of_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a", "no model"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        (tmp_path / name / "manifest.json").write_text("{}")
    flags = parsed("--model", "/x", "--model", "/y", "--models-folder", str(tmp_path))
    named = (Path("/x"), Path("/y"))
    assert load_config(flags, {}).model_folders == (*named, tmp_path / "a", tmp_path / "b")
    environment = {"AUDIOLDM_MODEL": os.pathsep.join(("/x", "/y"))}
    assert load_config({}, environment).model_folders == named
    file = tmp_path / "settings.yaml"
    file.write_text("model: /x\nmemory: 1.5\ndevice: cuda:0,cuda:1\n")
    config = load_config({"config": str(file)}, {})
    assert (config.model_folder, config.memory) == (Path("/x"), 1.5)
    assert config.devices == ("cuda:0", "cuda:1")
    assert Config().model_folders == (built_in_model(),)
    both = load_config(parsed("--model", "/x", "--model", "built-in"), {})
    assert both.model_folders == (Path("/x"), built_in_model())


def added_model(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "manifest.json").write_text("{}")
    return folder / name


def test_the_built_in_model_is_the_default_until_one_is_chosen(tmp_path: Path) -> None:
    one, two = added_model(tmp_path, "one"), added_model(tmp_path, "two")
    settings = {"models_folder": str(tmp_path)}
    assert load_config(settings, {}).model_folders == (built_in_model(), one, two)
    chosen = load_config({**settings, "default_model": "two"}, {})
    assert chosen.model_folders == (two, built_in_model(), one)
    named = load_config({**settings, "model": ["two"]}, {})
    assert named.model_folders == (two, one)
    with pytest.raises(InvalidRequest, match="built-in, one, two"):
        _ = load_config({**settings, "default_model": "three"}, {}).model_folders


def test_a_half_made_model_is_no_model(tmp_path: Path) -> None:
    added_model(tmp_path / ".one-abcdefgh", "new")
    (tmp_path / ".downloads" / "one" / "a" / "b").mkdir(parents=True)
    assert load_config({"models_folder": str(tmp_path)}, {}).model_folders == (built_in_model(),)
