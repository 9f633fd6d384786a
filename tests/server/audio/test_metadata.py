"""What comes with a sound goes back with it: chunks, marks, clocks, names, blocks, recipes."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import tones
from tagged import (
    ADTL,
    BEXT_TIME,
    IXML,
    acid,
    aiff,
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
from server.audio.formats import FORMATS, FileFormat
from server.audio.metadata.carried import Metadata
from server.audio.metadata.points import Move
from server.audio.metadata.riff import MAX_BYTES, read_chunks
from server.audio.waveform import Waveform

RECIPE = '{"request":{"prompt":"<&>\'é"},"model_digest":"0"}'
SOUND = tones(1.0, 8000, 2)


def rewritten(source: bytes, file_format: FileFormat, recipe: str = RECIPE) -> bytes:
    clip = Clip.read(source)
    return clip.waveform.encode(file_format, recipe, clip.exact, clip.metadata)


def test_every_chunk_comes_back_to_the_byte() -> None:
    given = {
        b"bext": bext(12345),
        b"iXML": IXML,
        b"cue ": cue([10, 4000]),
        b"smpl": smpl(8000, 57, 100, 7000),
        b"acid": acid(8, 120.0),
        b"cart": bytes(2048),
        b"_PMX": b"<x:xmpmeta/>",
        b"id3 ": b"ID3\x03\0\0\0\0\0\0",
        b"aXML": b"<ebucore/>",
        b"odd ": b"abc",
    }
    source = wave(SOUND, 8000, *(chunk(id, data) for id, data in given.items()), ADTL)
    for steps in (("wav24",), ("wav32f",), ("flac", "wav16"), ("flac16", "flac", "wav24")):
        out = source
        for file_format in steps:
            out = rewritten(out, file_format)
        found = read_chunks(out)
        for id, data in given.items():
            assert found.first(id) == data, (id, steps)
        assert labels_of(out) == {1: "in", 2: "hit"}
        assert Metadata.read(out).recipe == RECIPE


def test_names_come_back_and_the_recipe_takes_no_place_of_theirs() -> None:
    names = {b"INAM": "My Loop", b"IART": "Änn", b"ICMT": "do not lose me", b"IENG": "Eve"}
    source = wave(SOUND, 8000, info(names))
    for steps in (("wav24",), ("flac", "wav24"), ("wav16", "wav16")):
        out = source
        for file_format in steps:
            out = rewritten(out, file_format)
        with soundfile.SoundFile(io.BytesIO(out)) as file:
            assert (file.title, file.artist, file.comment) == ("My Loop", "Änn", "do not lose me")
        assert b"IENG" in out
        assert Metadata.read(out).recipe == RECIPE
        assert out.count(b"model_digest") == 1, "old recipes are replaced"


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_recipe_is_where_other_programs_look(file_format: FileFormat) -> None:
    out = Waveform(SOUND.astype(np.float32), 8000).encode(file_format, RECIPE)
    with soundfile.SoundFile(io.BytesIO(out)) as file:
        assert file.comment == RECIPE
    assert out.count(b"model_digest") == 2, "the comment, and iXML or a field of its own"
    assert Metadata.read(out).recipe == RECIPE
    assert rewritten(out, file_format).count(b"model_digest") == 2


def test_a_foreign_ixml_holds_the_recipe_only_where_the_comment_is_taken() -> None:
    free = rewritten(wave(SOUND, 8000, chunk(b"iXML", IXML)), "wav24")
    assert read_chunks(free).first(b"iXML") == IXML
    taken = wave(SOUND, 8000, chunk(b"iXML", IXML), info({b"ICMT": "mine"}))
    out = rewritten(rewritten(taken, "wav24"), "wav24")
    document = read_chunks(out).first(b"iXML") or b""
    assert document.startswith(IXML[:-9])
    assert document.count(b"<USER>") == 1
    assert Metadata.read(out).recipe == RECIPE
    odd = wave(SOUND, 8000, chunk(b"iXML", b"<BWFXML>"), info({b"ICMT": "mine"}))
    assert Metadata.read(rewritten(odd, "wav24")).recipe == RECIPE


def test_an_old_take_is_read() -> None:
    """Takes of earlier versions hold the recipe in the comment alone."""
    for suffix in ("WAV", "FLAC", "AIFF", "OGG"):
        buffer = io.BytesIO()
        with soundfile.SoundFile(buffer, "w", 8000, 2, format=suffix) as file:
            file.comment = RECIPE
            file.write(SOUND)
        assert Clip.read(buffer.getvalue()).metadata.recipe == RECIPE


@pytest.mark.parametrize("mask", [0x3F, 0x60F, 0x4, 0x107])
@pytest.mark.parametrize("file_format", FORMATS)
def test_the_channel_mask_comes_back(mask: int, file_format: FileFormat) -> None:
    samples = tones(0.1, 8000, mask.bit_count())
    for steps in ((file_format,), (file_format, "wav24"), ("flac", file_format)):
        out = wave(samples, 8000, mask=mask)
        for step in steps:
            out = rewritten(out, step)
        assert Clip.read(out).waveform.speakers == mask
        assert soundfile.info(io.BytesIO(out)).channels == mask.bit_count()
        if out[:4] == b"RIFF":
            assert struct.unpack_from("<H", read_chunks(out).first(b"fmt ") or b"")[0] == 0xFFFE


def test_more_than_two_channels_are_extensible_and_others_are_plain() -> None:
    for channels, tag in ((1, 1), (2, 1), (3, 0xFFFE), (8, 0xFFFE)):
        out = Waveform(np.zeros((10, channels), np.float32), 8000).encode("wav16")
        assert struct.unpack_from("<H", read_chunks(out).first(b"fmt ") or b"")[0] == tag


def test_marks_move_with_the_sound() -> None:
    chunks = (chunk(b"cue ", cue([0, 1000, 8000])), chunk(b"smpl", smpl(8000, 57, 100, 7999)))
    held = Metadata.read(wave(SOUND, 8000, *chunks, ADTL, chunk(b"bext", bext(50_000))))
    later = held.moved(Move(shift=500, frames=8500)).wave_chunks("")
    early = held.moved(Move(shift=-500, frames=7000)).wave_chunks("")
    double = held.moved(Move(ratio=2.0, frames=16000)).wave_chunks("")
    assert cues_of(later) == [500, 1500, 8500]
    assert cues_of(early) == [0, 500, 7000], "cut off: at the nearer end"
    assert cues_of(double) == [0, 2000, 16000]
    loops = [struct.unpack_from("<II", _first(c, b"smpl"), 44) for c in (later, early, double)]
    assert loops == [(600, 8499), (0, 6999), (200, 15998)]
    assert struct.unpack_from("<I", _first(double, b"smpl"), 8)[0] == 62500
    clocks = [struct.unpack_from("<Q", _first(c, b"bext"), BEXT_TIME)[0] for c in (later, double)]
    assert clocks == [49_500, 100_000]
    (length,) = struct.unpack_from("<I", _first(double, b"LIST"), 48)
    assert length == 400


def test_the_clock_in_ixml_moves_too() -> None:
    clock = 2**32 + 5
    document = IXML.replace(
        b"</BWFXML>",
        b"<FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE>"
        b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>1</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
        b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>5</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></BWFXML>",
    )
    held = Metadata.read(wave(SOUND, 8000, chunk(b"iXML", document)))
    moved = _first(held.moved(Move(shift=10)).wave_chunks(""), b"iXML")
    assert b"HI>0<" in moved
    assert b"LO>%d<" % (clock - 10 & 0xFFFFFFFF) in moved
    assert b"RATE>96000<" in _first(held.moved(Move(ratio=2.0)).wave_chunks(""), b"iXML")


def test_a_clock_near_midnight_is_said() -> None:
    held = Metadata.read(wave(SOUND, 8000, chunk(b"bext", bext(100))))
    assert "midnight" in held.moved(Move(shift=101)).warnings[0]
    assert not held.moved(Move(shift=100)).warnings
    unset = Metadata.read(wave(SOUND, 8000, chunk(b"bext", bext(0))))
    assert not unset.moved(Move(shift=101)).warnings


def test_flac_blocks_come_back_and_move() -> None:
    source = flac_with(SOUND, 8000, {"ARTIST": "Ann", "LOOPSTART": "100", "LOOPLENGTH": "4000"})
    out = rewritten(source, "flac")
    held = Clip.read(out).metadata
    assert dict(held.comments)["ARTIST"] == "Ann"
    assert [block.type for block in held.blocks] == [6, 5], "picture and cue sheet"
    moved = held.moved(Move(shift=500, frames=8500))
    assert dict(moved.comments)["LOOPSTART"] == "600"
    assert dict(moved.comments)["LOOPLENGTH"] == "4000"
    offsets = [struct.unpack_from(">Q", moved.blocks[1].data, at)[0] for at in (396, 444)]
    assert offsets == [1500, 8500], "the lead-out is the end"
    with soundfile.SoundFile(io.BytesIO(out)) as file:
        assert np.abs(file.read() - SOUND).max() < 1e-3


def test_aiff_markers_become_cues() -> None:
    source = aiff(SOUND, 8000, {1: (100, "in"), 2: (4000, "hit")}, note=57, name="My Loop")
    out = rewritten(source, "wav24")
    assert cues_of(read_chunks(out).found) == [100, 4000]
    assert labels_of(out) == {1: "in", 2: "hit"}
    sampler = read_chunks(out).first(b"smpl") or b""
    assert struct.unpack_from("<I", sampler, 12)[0] == 57
    assert struct.unpack_from("<II", sampler, 44) == (100, 3999)
    with soundfile.SoundFile(io.BytesIO(out)) as file:
        assert file.title == "My Loop"


def test_comments_of_ogg_and_other_formats_come_back(tmp_path: Path) -> None:
    for suffix, subtype in (("ogg", "VORBIS"), ("opus", "OPUS"), ("caf", "PCM_16")):
        path = tmp_path / f"in.{suffix}"
        rate = 48000 if suffix == "opus" else 8000
        kind = "OGG" if suffix == "opus" else suffix.upper()
        with soundfile.SoundFile(path, "w", rate, 2, subtype, format=kind) as file:
            file.title, file.artist = "My Loop", "Ann"
            file.write(SOUND)
        clip = Clip.read(path)
        for file_format in ("wav24", "flac"):
            out = clip.waveform.crop(100).encode(file_format, RECIPE, metadata=clip.metadata)  # type: ignore[arg-type]
            with soundfile.SoundFile(io.BytesIO(out)) as file:
                assert (file.title, file.artist) == ("My Loop", "Ann")


def test_a_tag_before_an_mp3_is_carried(tmp_path: Path) -> None:
    path = tmp_path / "in.mp3"
    soundfile.write(path, tones(1.0, 44100), 44100)
    tag = b"ID3\x03\x00\x00\x00\x00\x00\x14" + b"TIT2" + bytes(16)
    path.write_bytes(tag + path.read_bytes())
    assert read_chunks(rewritten(path.read_bytes(), "wav16")).first(b"id3 ") == tag


def test_rf64_keeps_what_it_holds() -> None:
    source = wave(SOUND, 8000, chunk(b"bext", bext(7)), tail=chunk(b"cue ", cue([5])), rf64=True)
    out = rewritten(source, "wav16")
    assert out[:4] == b"RIFF"
    assert cues_of(read_chunks(out).found) == [5]
    assert struct.unpack_from("<Q", read_chunks(out).first(b"bext") or b"", BEXT_TIME)[0] == 7


def test_what_describes_the_old_samples_does_not_come_back() -> None:
    peaks = struct.pack("<II16x", 1, 0)
    old = [chunk(id, bytes(64)) for id in (b"fact", b"JUNK", b"levl", b"MD5 ")]
    old.append(chunk(b"PEAK", peaks))
    out = rewritten(wave(SOUND, 8000, *old), "wav16")
    assert {c.id for c in read_chunks(out).found} == {b"fmt ", b"LIST", b"iXML"}


def test_too_much_is_left_out_and_named() -> None:
    source = wave(SOUND, 8000, chunk(b"big1", bytes(MAX_BYTES)), chunk(b"cue ", cue([5])))
    held = Metadata.read(source)
    assert "big1" in held.warnings[0]
    assert cues_of(held.chunks) == [5]


def _first(chunks: object, id: bytes) -> bytes:
    return next(c.data for c in chunks if c.id == id)  # type: ignore[attr-defined]


GOOD = [
    wave(SOUND[:50], 8000, chunk(b"bext", bext(7)), chunk(b"cue ", cue([5])), ADTL, mask=3),
    wave(SOUND[:50], 8000, chunk(b"smpl", smpl(8000, 57, 1, 40)), tail=ADTL, rf64=True),
    flac_with(SOUND[:50], 8000, {"ARTIST": "Ann"}),
    aiff(SOUND[:50], 8000, {1: (10, "in"), 2: (40, "out")}, note=57, name="x"),
]


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), max_size=6),
    st.one_of(st.none(), st.integers(0, 4000)),
    st.integers(-100, 100),
    st.floats(0.1, 10.0),
)
def test_damaged_metadata_is_read_moved_and_written(
    source: bytes, damage: list[tuple[int, bytes]], end: int | None, shift: int, ratio: float
) -> None:
    broken = bytearray(source[:end])
    for place, data in damage:
        at = place % max(1, len(broken))
        broken[at : at + len(data)] = data[: max(0, len(broken) - at)]
    held = Metadata.read(bytes(broken)).moved(Move(shift, ratio, 100))
    for file_format in ("wav16", "flac"):
        out = Waveform(np.zeros((100, 2), np.float32), 8000).encode(
            file_format,  # type: ignore[arg-type]
            RECIPE,
            metadata=held,
        )
        assert soundfile.info(io.BytesIO(out)).frames == 100
        assert Metadata.read(out).recipe == RECIPE


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3"]), st.binary())
def test_any_bytes_are_read(head: bytes, data: bytes) -> None:
    for source in (head + data, head + b"\0\0\0\0WAVE" + data, head + b"\0\0\0\0AIFF" + data):
        assert isinstance(Metadata.read(source), Metadata)


def test_chunks_without_end_are_bounded() -> None:
    many = b"RIFF\xff\xff\xff\xffWAVE" + b"abcd\0\0\0\0" * 200_000
    assert len(read_chunks(many).found) <= 1024
