"""``model add`` from a stand-in of the Hub: what works, and every way in which it may not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn

from server.model.manifest import COMPONENTS, Manifest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
Model = Callable[..., "subprocess.CompletedProcess[str]"]
ADD = ("add", "somebody/narrow", "--accept-licence")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "narrow"


@pytest.fixture
def add(model: Model, narrow_templates: Path) -> Model:
    def run(*more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return model(*ADD, "--templates", str(narrow_templates), *more, **environment)

    return run


def assert_added(folder: Path) -> None:
    Manifest.load(folder).verify(folder)
    assert not [path for path in folder.iterdir() if path.stat().st_nlink > 1]


def test_a_model_is_added_listed_verified_and_removed(
    add: Model, model: Model, narrow_templates: Path, folder: Path
) -> None:
    added = add()
    assert added.returncode == 0, added.stderr
    assert "to download" in added.stdout
    assert "cc0-1.0" in added.stdout
    assert_added(folder)
    assert "narrow:" in model("list").stdout
    verified = model("verify", "narrow", "--templates", str(narrow_templates))
    assert verified.returncode == 0, verified.stderr
    assert "all" in verified.stdout
    assert verified.stdout.count(" dB") == len(COMPONENTS)
    assert verified.stdout.count("kept") == len(COMPONENTS)
    removed = model("remove", "narrow")
    assert removed.returncode == 0, removed.stderr
    assert not folder.exists()


def test_a_download_that_was_cut_goes_on(add: Model, hub: HubStandIn, folder: Path) -> None:
    hub.cut_after = 25_000_000
    added = add()
    assert added.returncode == 0, added.stderr
    assert hub.ranges
    assert_added(folder)


def test_a_wrong_checksum_is_refused_and_fetched_anew(
    add: Model, hub: HubStandIn, folder: Path
) -> None:
    hub.damaged = True
    refused = add()
    assert refused.returncode == 1
    assert "damaged" in refused.stderr
    assert not folder.exists()
    hub.damaged = False
    assert add().returncode == 0
    assert_added(folder)


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "no repository"), (401, "HF_TOKEN"), (403, "accept its conditions"), (500, "offline")],
)
def test_what_the_hub_refuses_is_explained(
    status: int, words: str, model: Model, hub: HubStandIn, folder: Path
) -> None:
    hub.status["somebody/narrow"] = status
    refused = model(*ADD)
    assert refused.returncode == 1
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not folder.exists()


def test_without_a_network_the_way_out_is_said(model: Model) -> None:
    for settings in ({"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}):
        refused = model(*ADD, **settings)
        assert refused.returncode == 1
        assert "offline" in refused.stderr
        assert "model add FOLDER" in refused.stderr


def test_a_licence_must_be_accepted_before_the_first_byte(
    model: Model, hub: HubStandIn, folder: Path
) -> None:
    refused = model("add", "somebody/narrow")
    assert refused.returncode == 1
    assert "--accept-licence" in refused.stderr
    assert not hub.sent
    assert not folder.exists()


def test_a_full_disk_is_said_and_leaves_nothing(
    model: Model, narrow_templates: Path, folder: Path, environment: dict[str, str]
) -> None:
    """The limit of file sizes stands in for the disk: weights cannot be written."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
        "from server.cli import main\n"
        f"sys.exit(main(['model', *{ADD!r}]))\n"
    )
    refused = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert refused.returncode == 1
    assert "resume" in refused.stderr
    assert not folder.exists()
    assert "narrow:" not in model("list").stdout


def test_a_killed_addition_is_not_listed_and_goes_on(
    add: Model, model: Model, hub: HubStandIn, folder: Path, environment: dict[str, str]
) -> None:
    hub.bytes_per_s = 10_000_000
    process = subprocess.Popen([sys.executable, "-m", "server.cli", "model", *ADD], env=environment)
    deadline = time.monotonic() + 120
    while hub.sent < 25_000_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hub.bytes_per_s = 0
    assert "narrow:" not in model("list").stdout
    assert add().returncode == 0
    assert hub.ranges
    assert_added(folder)


def test_of_two_additions_at_once_one_is_refused(
    add: Model, model: Model, hub: HubStandIn, folder: Path, environment: dict[str, str]
) -> None:
    hub.bytes_per_s = 500_000
    first = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "model", *ADD],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while hub.sent < 500_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    second = model(*ADD)
    assert second.returncode == 1
    assert "being added" in second.stderr
    first.kill()
    first.wait()
    hub.bytes_per_s = 0
    assert add().returncode == 0
    assert add().returncode == 1, "it is there already"


def test_files_that_are_published_outside_of_the_hub_are_named(model: Model) -> None:
    refused = model("add", "audioldm-s-text-ft")
    assert refused.returncode == 1
    assert "zenodo" in refused.stderr
    assert "audioldm-s-full-v2" in model("add", "nonsense").stderr


def test_adding_imports_no_torch() -> None:
    code = (
        "import sys, server.store.command\n"
        "heavy = {'torch', 'onnx', 'transformers', 'diffusers', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
