"""Notation as the denoiser sees it: partials where the mel has them, waves that peak on beats."""

from __future__ import annotations

import pytest
import torch
from synthetic_sounds import tone

from server.requests.notation import Notation
from training.networks.mel import LogMel
from training.networks.notation import MAP_CHANNELS, NOTE_FEATURES, NotationMap
from training.sounds.bank import _kinds
from training.sounds.folder import CaptionedClip

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("midi", [45, 57, 69, 81, 93])
def test_partials_lie_where_the_spectrogram_has_them(midi: int) -> None:
    features, drawn = NotationMap()(torch.tensor([[midi, 0.0, 0.0]]), 8)
    assert features.shape == (1, NOTE_FEATURES)
    assert drawn.shape == (1, MAP_CHANNELS, 8, 16)
    picture = LogMel()(torch.from_numpy(tone(midi, num_partials=1))[None])[0].mean(0)
    fundamental = features[0, 64:128]
    assert abs(int(fundamental.argmax()) - int(picture.argmax())) <= 1
    assert fundamental.sum() == pytest.approx(1.0, abs=1e-5)
    # Channel k of the map holds every fourth band, from band k on.
    assert torch.equal(drawn[0, 4:8, 0].T.flatten(), fundamental)


def test_waves_turn_with_the_beat() -> None:
    bpm, frame = 125.0, 0.04  # a beat is twelve frames
    notation = torch.tensor([Notation(bpm=bpm).columns(-frame / 2)])
    waves = NotationMap()(notation, 48)[1][0, 8:, :, 0]
    beat, bar = waves[2], waves[0]
    assert torch.allclose(beat[::12], torch.ones(4), atol=1e-4)
    assert torch.allclose(beat[6::12], -torch.ones(4), atol=1e-4)
    assert torch.allclose(bar[:1], torch.ones(1), atol=1e-4)
    assert bar[1:].max() < 1.0


def test_where_nothing_is_said_nothing_is_drawn() -> None:
    features, drawn = NotationMap()(torch.zeros(2, 3), 4)
    assert not features.any()
    assert not drawn.any()


def _clip(*tags: str) -> CaptionedClip:
    return CaptionedClip(
        id=tags[-1],
        frames=100,
        captions=tags[-1:],
        category="instrument",
        tags=tags,
        group=tags[-1],
        held_out=False,
        looping=False,
    )


def test_a_tag_of_all_notes_is_no_kind() -> None:
    clips = [_clip("one-shot", "note", name, f"{name}-{k}") for name in "abc" for k in range(40)]
    kind = _kinds(clips)
    assert kind(clips[0]) == ("instrument", "a-0")
    assert len({kind(clip) for clip in clips}) == len(clips)
