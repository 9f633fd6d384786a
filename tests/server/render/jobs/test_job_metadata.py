"""What came with a clip goes back with every edit, and loops of our own say how they are played."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import tones
from tagged import (
    ADTL,
    BEXT_TIME,
    IXML,
    acid,
    bext,
    chunk,
    cue,
    cues_of,
    flac_with,
    info,
    labels_of,
    smpl,
    wave,
)

from server.audio.clip import Clip
from server.audio.metadata.riff import read_chunks
from server.jobs.job import Job, take_words
from server.render.pipeline import Pipeline
from server.render.recipe import Recipe
from server.requests.request import (
    ClipRequest,
    Continue,
    Delivery,
    Inpaint,
    Morph,
    TextToAudio,
    Transfer,
    Upscale,
    Vary,
)
from server.requests.resolved import resolve

pytestmark = pytest.mark.integration

RATE = 16000
POINTS = [100, 16000, 31000]


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """Two seconds of six channels, with all that a film sound and a loop may carry."""
    chunks = (
        chunk(b"bext", bext(RATE * 3600)),
        chunk(b"iXML", IXML),
        chunk(b"cue ", cue(POINTS)),
        chunk(b"smpl", smpl(RATE, 57, 1000, 30000)),
        chunk(b"acid", acid(4, 120.0)),
        ADTL,
        info({b"INAM": "My Loop", b"ICMT": "do not lose me"}),
    )
    path = tmp_path / "in.wav"
    path.write_bytes(wave(tones(2.0, RATE, 6), RATE, *chunks, mask=0x3F))
    return str(path)


def jobs(clip: str) -> list[tuple[ClipRequest, int]]:
    """Jobs on the clip, and by how many frames its sound is later in the take."""
    few = {"clip": clip, "prompt": "low", "seed": 1, "num_inference_steps": 1}
    return [
        (Inpaint(**few, regions="0.5:1"), 0),
        (Continue(**few, audio_length_in_s=0.5), 0),
        (Continue(**few, audio_length_in_s=0.5, side="before"), 8000),
        (Transfer(**few, strength=0.5), 0),
        (Transfer(**few, strength=0.0), 0),
        (Upscale(**few, cutoff_hz=3000.0, bandwidth="model"), 0),
    ]


def test_every_edit_gives_back_what_came_with_the_clip(tiny_pipeline: Pipeline, clip: str) -> None:
    for request, later in jobs(clip):
        file = tiny_pipeline.render(request)[0].encode()
        found = read_chunks(file)
        assert cues_of(found.found) == [point + later for point in POINTS]
        assert labels_of(file) == {1: "in", 2: "hit"}
        clock = struct.unpack_from("<Q", found.first(b"bext") or b"", BEXT_TIME)[0]
        assert clock == RATE * 3600 - later
        sampler = found.first(b"smpl") or b""
        assert struct.unpack_from("<II", sampler, 44) == (1000 + later, 30000 + later)
        assert struct.unpack_from("<I", sampler, 12)[0] == 57
        beats = 5 if isinstance(request, Continue) else 4
        assert struct.unpack_from("<I", found.first(b"acid") or b"", 12)[0] == beats
        assert b"<PROJECT>FILM</PROJECT>" in (found.first(b"iXML") or b"")
        assert struct.unpack_from("<I", found.first(b"fmt ") or b"", 20)[0] == 0x3F
        with soundfile.SoundFile(io.BytesIO(file)) as sound:
            assert (sound.title, sound.comment) == ("My Loop", "do not lose me")
        assert Recipe.read(file).request.prompt == "low"


def test_marks_follow_the_rate_and_the_cut(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    silence, sound = tones(1.0, RATE) * 0.0, tones(1.0, RATE)
    path = tmp_path / "in.wav"
    path.write_bytes(
        wave(np.concatenate([silence, sound]), RATE, chunk(b"cue ", cue([0, 16000, 24000])))
    )
    common = {"clip": str(path), "regions": "1.2:1.5", "seed": 1}
    doubled = tiny_pipeline.render(Inpaint(**common, delivery=Delivery(sample_rate=32000)))[0]
    assert cues_of(read_chunks(doubled.encode()).found) == [0, 32000, 48000]
    cut = tiny_pipeline.render(Inpaint(**common, delivery=Delivery(trim=True)))[0]
    removed = 32000 - cut.waveform.frames
    assert removed > 15000
    found = cues_of(read_chunks(cut.encode()).found)
    assert found == [0, 16000 - removed, 24000 - removed]


def test_a_clip_below_the_models_rate_keeps_its_marks(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "in.wav"
    path.write_bytes(wave(tones(1.0, 8000), 8000, chunk(b"cue ", cue([4000]))))
    for bandwidth, rate in (("model", 16000), ("full", 48000)):
        request = Upscale(clip=str(path), cutoff_hz=3000.0, seed=1, bandwidth=bandwidth)
        take = tiny_pipeline.render(request)[0]
        assert take.waveform.sample_rate == rate
        assert cues_of(read_chunks(take.encode()).found) == [rate // 2]


def test_flac_keeps_its_own(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "in.flac"
    path.write_bytes(flac_with(tones(2.0, RATE), RATE, {"ARTIST": "Ann", "COMMENT": "mine"}))
    request = Continue(clip=str(path), side="before", audio_length_in_s=0.5, seed=1, prompt="low")
    held = Clip.read(tiny_pipeline.render(request)[0].encode()).metadata
    assert dict(held.comments)["ARTIST"] == "Ann"
    assert dict(held.comments)["COMMENT"] == "mine"
    assert [block.type for block in held.blocks] == [6, 5]
    assert struct.unpack_from(">Q", held.blocks[1].data, 396)[0] == 9000
    assert '"prompt":"low"' in held.recipe


def test_a_film_clip_goes_to_flac_and_back(tiny_pipeline: Pipeline, clip: str) -> None:
    request = Inpaint(clip=clip, regions="0.5:1", seed=1, delivery=Delivery(file_format="flac16"))
    held = Clip.read(tiny_pipeline.render(request)[0].encode())
    assert cues_of(held.metadata.chunks) == POINTS
    assert held.waveform.speakers == 0x3F
    assert dict(held.metadata.comments)["TITLE"] == "My Loop"


def test_an_edit_of_an_edit_keeps_all_and_holds_one_recipe(
    tiny_pipeline: Pipeline, clip: str, tmp_path: Path
) -> None:
    path = tmp_path / "once.wav"
    path.write_bytes(tiny_pipeline.render(Inpaint(clip=clip, regions="0.5:1", seed=1))[0].encode())
    again = Inpaint(clip=str(path), regions="1:1.2", seed=2, prompt="high")
    file = tiny_pipeline.render(again)[0].encode()
    assert cues_of(read_chunks(file).found) == POINTS
    assert file.count(b"model_digest") == 1
    assert Recipe.read(file).request.prompt == "high"
    varied = tiny_pipeline.render(Vary(clip=str(path), seed=3))[0].encode()
    assert cues_of(read_chunks(varied).found) == POINTS


@pytest.mark.parametrize("kind", [TextToAudio, Morph])
@pytest.mark.parametrize("file_format", ["wav24", "flac"])
def test_a_loop_says_its_tempo_and_root(
    tiny_pipeline: Pipeline, kind: type[TextToAudio], file_format: str
) -> None:
    prompt = "low > high" if kind is Morph else "low"
    request = kind(
        prompt=prompt,
        bars=1,
        bpm=120.0,
        beats_per_bar=3,
        key="A minor",
        loop=True,
        seed=1,
        delivery=Delivery(file_format=file_format),
    )
    take = tiny_pipeline.render(request)[0]
    chunks = {c.id: c.data for c in Clip.read(take.encode()).metadata.chunks}
    kind_bits, root, _, _, beats, denominator, numerator, tempo = struct.unpack(
        "<IHHfIHHf", chunks[b"acid"]
    )
    assert (kind_bits, root, beats, denominator, numerator, tempo) == (6, 69, 3, 4, 3, 120.0)
    assert struct.unpack_from("<II", chunks[b"smpl"], 44) == (0, take.waveform.frames - 1)
    assert struct.unpack_from("<I", chunks[b"smpl"], 12)[0] == 69
    if file_format == "flac":
        assert dict(Clip.read(take.encode()).metadata.comments)["BPM"] == "120"


def test_a_note_says_its_root_and_noise_says_nothing(tiny_pipeline: Pipeline) -> None:
    for prompt, root in (("C4 on a piano", 60), ("low", None)):
        take = tiny_pipeline.render(TextToAudio(prompt=prompt, seed=1, audio_length_in_s=0.5))[0]
        sampler = read_chunks(take.encode()).first(b"smpl")
        assert (sampler and struct.unpack_from("<I", sampler, 12)[0]) == root
    loop = TextToAudio(prompt="low", seed=1, audio_length_in_s=1.1, loop=True, bpm=120.0)
    found = read_chunks(tiny_pipeline.render(loop)[0].encode())
    assert found.first(b"acid") is None, "2.2 beats are no loop in ACID's sense"
    assert found.first(b"smpl") is not None


def test_the_tempo_is_in_the_name_on_request(tiny_pipeline: Pipeline) -> None:
    for asked, part in ((True, "rain_92.5bpm"), (False, "rain")):
        request = TextToAudio(
            prompt="rain", bars=1, bpm=92.5, seed=7, delivery=Delivery(bpm_in_name=asked)
        )
        job = Job(id="x", request=resolve(request, tiny_pipeline.manifest))
        assert take_words(job) == part
    free = TextToAudio(prompt="rain", seed=7, delivery=Delivery(bpm_in_name=True))
    job = Job(id="x", request=resolve(free, tiny_pipeline.manifest))
    assert take_words(job) == "rain"


def test_a_clip_with_much_else_in_it_says_what_is_left_out(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "in.wav"
    path.write_bytes(wave(tones(1.0, RATE), RATE, chunk(b"PICT", bytes(9 * 2**20))))
    take = tiny_pipeline.render(Inpaint(clip=str(path), regions="0.2:0.4", seed=1))[0]
    assert any("PICT" in warning for warning in take.warnings)
