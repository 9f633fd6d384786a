"""The short forms of ``python -m benchmarks.endurance.fuzz``, and what its long form has found."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from benchmarks.endurance.fuzz import fuzz
from benchmarks.endurance.fuzz_targets import TARGETS
from server.audio.fence.pool import DECODERS
from server.audio.waveform import MAX_SAMPLES, Waveform, check_bounds
from server.errors import AudioLDMError, InvalidRequest, ModelError, UnreadableAudio
from server.model.manifest import MANIFEST_FILE, Manifest
from server.render.recipe import Recipe
from server.requests.fields import fields_of
from server.requests.request import Vary, parse_request

pytestmark = pytest.mark.integration

DEEP = b'{"kind":"vary","clip":"x","recipe":' + b'{"a":' * 1200


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_damaged_input_is_taken_or_refused(target: str) -> None:
    report = fuzz(target, 300)
    assert report["faults"] == []
    assert report["taken"] > 0
    assert report["refused"] > 0 or target == "texts"


@pytest.mark.parametrize(
    "data",
    [b"[" * 10**5, DEEP, b'{"kind": "\xff"}', b'{"kind":"text","seed":1' + b"0" * 400 + b"}"],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_request(data)


def test_a_request_may_not_be_deeper_than_what_can_be_written_down() -> None:
    recipe: dict[str, object] = {}
    for _ in range(40):
        recipe = {"a": [recipe]}
    with pytest.raises(InvalidRequest, match="deep"):
        parse_request({"kind": "vary", "clip": "x", "recipe": recipe})


def test_json_does_not_tell_20_from_20_point_0() -> None:
    written = b'{"kind": "text", "prompt": "x", "seed": 7.0, "delivery": {"channels": 2.0}}'
    request = parse_request(written)
    assert (request.seed, request.delivery.channels) == (7, 2)
    with pytest.raises(InvalidRequest, match="seed"):
        parse_request(written.replace(b"7.0", b"7.5"))


def test_a_recipe_in_osc_may_be_no_json() -> None:
    field = next(f for f in fields_of(Vary) if f.name == "recipe")
    for text in ("{", "[" * 10**5):
        with pytest.raises(AudioLDMError):
            field.coerce(text)


def test_a_manifest_and_a_take_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_bytes(b'{"name": "\xff"}')
    with pytest.raises(ModelError):
        Manifest.load(tmp_path)
    good = msgspec.json.decode((Path("models") / "tiny" / MANIFEST_FILE).read_bytes())
    for wrong in (
        {"hop_length": 0},
        {"files": {**good["files"], "x" * 300: {"bytes": 1, "sha256": ""}}},
    ):
        (tmp_path / MANIFEST_FILE).write_bytes(msgspec.json.encode({**good, **wrong}))
        with pytest.raises(ModelError):
            Manifest.load(tmp_path)
    sound = Waveform(np.zeros((8, 1), np.float32), 16000)
    with pytest.raises(InvalidRequest, match="no recipe"):
        Recipe.read(sound.encode("wav16", '{"request":' + DEEP.decode()))


def test_small_files_that_would_fill_the_memory(tmp_path: Path) -> None:
    """Low rates grow when they are resampled; many channels and FLAC's silence cost few bytes."""
    check_bounds("x", MAX_SAMPLES // 2, 2, 48000)
    for frames, channels, rate in ((MAX_SAMPLES // 2 + 1, 2, 48000), (28000, 64, 8)):
        with pytest.raises(UnreadableAudio, match="at most"):
            check_bounds("x", frames, channels, rate)
    slow = io.BytesIO()
    soundfile.write(slow, np.zeros((28000, 64)), 8, format="WAV")
    (tmp_path / "slow.wav").write_bytes(slow.getvalue())
    with pytest.raises(UnreadableAudio, match="at most"):
        DECODERS.checked(tmp_path / "slow.wav", "the clip")


def test_what_a_decoder_prints_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    """libsndfile prints to standard output what it thinks of some types."""
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(600), 16000, "ALAC_16", format="CAF")
    path = tmp_path / "clip"
    path.write_bytes(sound.getvalue())
    for _ in range(2):
        assert DECODERS.checked(path, "the clip").format == "CAF"


def test_a_sound_that_claims_years_is_not_looked_for() -> None:
    """libsndfile would be busy for ever with a block count that is no block count."""
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(600), 16000, "GSM610", format="W64")
    damaged = bytearray(sound.getvalue())
    fact = damaged.index(b"fact") + 24
    damaged[fact : fact + 8] = (2**40).to_bytes(8, "little")
    data = damaged.index(b"data") + 16
    damaged[data : data + 8] = (2**32).to_bytes(8, "little")
    with pytest.raises(UnreadableAudio):
        Waveform.read(bytes(damaged))
