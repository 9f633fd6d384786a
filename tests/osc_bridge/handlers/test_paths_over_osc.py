"""Paths in OSC messages: every spelling that finds a file, and refusals that name it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, Forbidden, InvalidRequest, NotFound

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / unicodedata.normalize("NFD", "太鼓\u3000Übung 👩\u200d🎤.wav")
    path.write_bytes(Waveform.mono([0.1, 0.2], 48000).encode("wav16"))
    return path


def clip_of_the_job(bridge: Running) -> str:
    return str(bridge.engine.jobs()[-1].request.clip)  # type: ignore[union-attr]


def test_a_clip_is_found_by_every_spelling(bridge: Running, client: Client, clip: Path) -> None:
    composed = unicodedata.normalize("NFC", str(clip))
    for name in (str(clip), composed, clip.as_uri(), clip.as_uri().replace("//", "//localhost", 1)):
        client.render("rain", kind="transfer", clip=name)
        assert clip_of_the_job(bridge) == str(clip)
        client.render("rain", audio_prompt=name)
        client.download(bridge.engine.jobs()[-1].takes[0].path)


def test_a_folder_is_found_by_every_spelling(client: Client, takes: Path) -> None:
    written = takes / unicodedata.normalize("NFD", "Größe 🥁")
    written.mkdir(parents=True)
    for name in ("Größe 🥁", unicodedata.normalize("NFC", str(written)), written.as_uri()):
        assert client.render("rain", folder=name)[0].path.parent == written
    assert [path.name for path in takes.iterdir()] == [written.name]


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("a\nb.wav", InvalidRequest, r"'a\\nb.wav' holds the control character '\\n'"),
        ("k" * 300 + ".wav", InvalidRequest, "has 304 bytes"),
        ("太" * 1000, InvalidRequest, "has 3000 bytes"),
        ("file://studio/x.wav", InvalidRequest, "name a file of this machine"),
        ('"kick.wav"', NotFound, "is not a file; leave out the quotes"),
        ("none.wav", NotFound, "'none.wav' is not a file"),
        ("/dev/null/x.wav", NotFound, "is not a file"),
    ],
)
def test_a_refusal_names_the_path(
    client: Client, name: str, kind: type[AudioLDMError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        client.render("rain", kind="transfer", clip=name)
    with pytest.raises(AudioLDMError):
        client.render("rain", folder=f"{name}/x\x01")


def test_a_uri_leads_not_outside(client: Client, takes: Path, tmp_path: Path) -> None:
    for name in ((tmp_path / "out").as_uri(), "file:///etc", "%2e%2e"):
        if name == "%2e%2e":
            assert client.render("rain", folder=name)[0].path.parent == takes / name
            continue
        with pytest.raises(Forbidden):
            client.render("rain", folder=name)
    (takes / "é").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(Forbidden):
        client.render("rain", folder=unicodedata.normalize("NFD", "é") + "/x")
