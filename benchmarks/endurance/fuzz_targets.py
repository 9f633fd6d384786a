"""The targets of fuzzing: decoders and parsers of foreign data.

A target has good inputs, which :mod:`benchmarks.endurance.fuzz` damages, and a way to try one. It
may refuse with an :class:`~server.errors.AudioLDMError`; anything else that it raises is a fault.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile

from osc_bridge.stage.liveset import parse_set
from osc_bridge.wire.codec import OscMessage, decode, encode, encode_bundle
from osc_bridge.wire.framing import LengthFraming, SlipFraming, framing_for
from server.audio.fence.checks import decode_clip
from server.audio.formats import FORMATS
from server.audio.waveform import Waveform
from server.model.manifest import MANIFEST_FILE, Manifest
from server.render.recipe import Recipe
from server.requests.presets import parse_preset
from server.requests.prompt import parse_blend, parse_stages
from server.requests.region import parse_regions
from server.requests.request import TextToAudio, Vary, parse_request

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True)
class Target:
    """A corpus of valid inputs and a way to try one; both may use the given folder."""

    corpus: Callable[[Path], list[bytes]]
    attempt: Callable[[bytes, Path], None]


def _sounds(_: Path) -> list[bytes]:
    """A short file of every type that libsndfile can write here, mono and stereo."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (600, 2)).clip(-1, 1)
    found = []
    for container in sorted({*soundfile.available_formats()} - {"SD2"}):  # that one takes two files
        for subtype in soundfile.available_subtypes(container):
            for sound in (noise, noise[:, 0]):
                buffer = io.BytesIO()
                try:
                    soundfile.write(buffer, sound, 16000, subtype, format=container)
                except (soundfile.SoundFileError, ValueError, TypeError):
                    continue
                found.append(buffer.getvalue())
    return found


def _try_sound(data: bytes, folder: Path) -> None:
    path = folder / "clip"
    path.write_bytes(data)
    info = decode_clip(path)
    assert 0 < info.seconds <= 3600
    assert 1 <= info.channels <= 64
    sound = Waveform.read(data)
    assert np.isfinite(sound.samples).all()


def _takes(_: Path) -> list[bytes]:
    """Files with a recipe inside, short and long."""
    sound = Waveform(np.zeros((64, 1), np.float32), 16000)
    requests = [
        TextToAudio(prompt="rain", seed=1),
        TextToAudio(prompt="rain " * 300, seed=2),
        Vary(clip="a.wav", recipe={"request": {"kind": "text", "prompt": "x"}}, seed=3),
    ]
    values = {"model": "m", "model_digest": "0" * 64, "licence": "x", "clips": {"a": "0" * 64}}
    recipes = [msgspec.json.encode({"request": r, **values}).decode() for r in requests]
    deep = '{"request":{"kind":"vary","clip":"x","recipe":' + '{"a":' * 1200
    return [sound.encode(kind, text) for kind in FORMATS for text in (*recipes, deep, "")]


def _try_take(data: bytes, _: Path) -> None:
    Recipe.read(data)


def _packets(_: Path) -> list[bytes]:
    message = OscMessage("/ldm/text", ("id", "rain on a roof", "seed", 7, "width", 0.5))
    nested = encode_bundle([message, OscMessage("/ldm/ping", (b"blob", [1, [2.5, None]], True))])
    return [
        encode(message),
        encode(OscMessage("/ldm/ping")),
        encode_bundle([message] * 3, 1e9),
        nested,
        b"#bundle\0" + bytes(7) + b"\x01" + len(nested).to_bytes(4, "big") + nested,
    ]


def _try_packet(data: bytes, _: Path) -> None:
    for packet in decode(data):
        assert packet.message.address.startswith("/")


def _streams(folder: Path) -> list[bytes]:
    packets = _packets(folder)
    return [
        b"".join(map(kind.frame, packets[first:]))
        for kind in (SlipFraming, LengthFraming)
        for first in range(len(packets))
    ]


def _try_stream(data: bytes, _: Path) -> None:
    """Check that packets do not depend on how the bytes are split."""
    whole = framing_for(data).feed(data)
    framing, found = framing_for(data), list[bytes]()
    for at in range(0, len(data), 7):
        found += framing.feed(data[at : at + 7])
    assert found == whole


def _live_sets(_: Path) -> list[bytes]:
    folder = Path(str(files("presets"))) / "live"
    bomb = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (k + 1, k + 1, b",".join([b"*%c" % k] * 9)) for k in range(97, 105)
    )
    deep = b"name: x\npads: " + b"[" * 2000
    return [*(path.read_bytes() for path in sorted(folder.glob("*.yaml"))), bomb, deep]


def _try_live_set(data: bytes, _: Path) -> None:
    parse_set(data)


def _presets(_: Path) -> list[bytes]:
    folder = Path(str(files("presets")))
    kept = b"name: x\nrequest: {kind: inpaint, prompt: rain, regions: '1:2', seed: 3}\n"
    return [kept, *(path.read_bytes() for path in sorted(folder.glob("*.yaml")))]


def _try_preset(data: bytes, _: Path) -> None:
    parse_preset(data)


def _requests(_: Path) -> list[bytes]:
    values: list[dict[str, Any]] = [
        {"kind": "text", "prompt": "rain:0.7 + wind:0.3", "seed": 3, "bars": 4, "bpm": 120.5},
        {"kind": "morph", "prompt": "rain > wind @0.3", "delivery": {"channels": 2, "trim": True}},
        {"kind": "inpaint", "clip": "upload:" + "0" * 64, "regions": "1:2, hz:200:900@3:4"},
        {"kind": "vary", "clip": "take:a/1", "recipe": {"request": {"a": [1, {"b": 2}]}}},
        {"kind": "transfer", "clip": "x", "strength": 0.5, "num_waveforms_per_prompt": 3},
        {"kind": "upscale", "clip": "x", "cutoff_hz": 4000.0},
        {"kind": "continue", "clip": "x", "side": "before", "audio_length_in_s": 1e1},
    ]
    return [*(json.dumps(v).encode() for v in values), b'{"a":' * 3000, b"[" * 3000]


def _try_request(data: bytes, _: Path) -> None:
    """Check that accepted requests survive encoding and decoding."""
    request = parse_request(data)
    assert parse_request(msgspec.json.encode(request)) == request


def _manifests(folder: Path) -> list[bytes]:
    shipped = Path(str(files("models"))) / "tiny"
    for path in shipped.iterdir():
        if path.name != MANIFEST_FILE and path.is_file():
            (folder / path.name).symlink_to(path)
    return [(shipped / MANIFEST_FILE).read_bytes()]


def _try_manifest(data: bytes, folder: Path) -> None:
    (folder / MANIFEST_FILE).write_bytes(data)
    manifest = Manifest.load(folder)
    assert manifest.latent_frames(1.0) > 0
    assert manifest.digest


def _texts(_: Path) -> list[bytes]:
    return [
        b"1.0:2.5, beats:4:8, hz:2000:8000@1.0:2.5",
        b"hz:20:80 hz:1:2@beats:3:4;0:1e3",
        b"rain:0.7 + distant wind:0.3 + x:-.1",
        b"rain > wind > thunder @0.9 > :: + 1:1",
        b'"rain > wind"',
    ]


def _try_text(data: bytes, _: Path) -> None:
    text = data.decode("utf-8", "replace")
    for parse in (parse_regions, parse_blend, parse_stages):
        try:
            parse(text)
        except ValueError:  # InvalidRequest is one; the next parser wants its turn
            continue


TARGETS: dict[str, Target] = {
    "sounds": Target(_sounds, _try_sound),
    "recipes": Target(_takes, _try_take),
    "osc": Target(_packets, _try_packet),
    "frames": Target(_streams, _try_stream),
    "live_sets": Target(_live_sets, _try_live_set),
    "presets": Target(_presets, _try_preset),
    "requests": Target(_requests, _try_request),
    "manifests": Target(_manifests, _try_manifest),
    "texts": Target(_texts, _try_text),
}
