"""Notes play the take: one-shot, gate, loop; pitch follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clap_host import ClapHost
from project_state import clap_state, noise, project, take, write
from talking import Samples

ON, OFF, CONTROLLER = 0x90, 0x80, 0xB0
ONE_SHOT, GATE, LOOP = 1, 2, 3
Load = Callable[..., Samples]


@pytest.fixture
def load(host: ClapHost, tmp_path: Path) -> Load:
    """A take of 3000 frames; gives its samples."""

    def load(**parameters: float) -> Samples:
        samples = noise(3000)
        path = write(tmp_path / "a.wav", samples)
        host.restore(clap_state(project(take(1, path)), play=0, **parameters))
        return samples

    return load


def test_a_note_plays_the_take_at_its_own_frame(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=ONE_SHOT)
    played = host.run(6000, notes=[(1234, ON, 60, 127), (1300, OFF, 60, 0)])
    assert not played[:, :1234].any()
    np.testing.assert_array_equal(played[:, 1234:4234], samples)
    assert not played[:, 4234:].any()


def test_velocity_is_loudness(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=ONE_SHOT)
    played = host.run(3000, notes=[(0, ON, 60, 64)])
    np.testing.assert_allclose(played, samples * (64 / 127) ** 2, atol=1e-7)


def test_notes_sound_together(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=ONE_SHOT)
    played = host.run(4000, notes=[(0, ON, 60, 127), (500, ON, 62, 127)])
    expected = np.zeros((2, 4000), np.float32)
    expected[:, :3000] += samples
    expected[:, 500:3500] += samples
    np.testing.assert_allclose(played, expected, atol=1e-7)


def test_gate_ends_with_the_note_without_a_click(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=GATE)
    played = host.run(3000, notes=[(0, ON, 60, 127), (1000, OFF, 60, 0)])
    np.testing.assert_array_equal(played[:, :1000], samples[:, :1000])
    release = int(0.008 * 48000)
    assert not played[:, 1000 + release :].any()
    assert played[:, 1000 : 1000 + release // 2].any()


def test_loop_repeats_until_the_note_ends(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=LOOP)
    played = host.run(9000, notes=[(0, ON, 60, 127), (7000, OFF, 60, 0)])
    np.testing.assert_array_equal(played[:, 3000:6000], samples)
    assert not played[:, 7400:].any()


def test_pitch_follows_the_note_only_when_asked(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=ONE_SHOT)
    np.testing.assert_array_equal(host.run(3000, notes=[(0, ON, 72, 127)]), samples)
    load(midi_mode=ONE_SHOT, pitch_follow=1)
    octave = host.run(3000, notes=[(0, ON, 72, 127)])
    np.testing.assert_array_equal(octave[:, :1500], samples[:, ::2])
    assert not octave[:, 1500:].any()


def test_off_means_off(host: ClapHost, load: Load) -> None:
    load(midi_mode=0)
    assert not host.run(3000, notes=[(0, ON, 60, 127)]).any()


def test_all_notes_off_and_more_notes_than_voices(host: ClapHost, load: Load) -> None:
    load(midi_mode=LOOP)
    many = [(k, ON, 30 + k, 100) for k in range(64)]
    assert host.run(2000, notes=many).any()
    assert not host.run(2000, notes=[(0, CONTROLLER, 123, 0)])[:, 500:].any()


@pytest.mark.parametrize("mode", [LOOP, GATE])
def test_a_note_ends_as_it_began_whatever_the_mode_is_by_then(
    host: ClapHost, load: Load, mode: int
) -> None:
    samples = load(midi_mode=mode)
    np.testing.assert_array_equal(host.run(1000, notes=[(0, ON, 60, 127)]), samples[:, :1000])
    host.set(midi_mode=ONE_SHOT)
    assert not host.run(8000, notes=[(500, OFF, 60, 0)])[:, 900:].any()


def test_a_one_shot_that_sounds_is_cut_by_no_later_mode(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=ONE_SHOT)
    host.run(1000, notes=[(0, ON, 60, 127)])
    host.set(midi_mode=GATE)
    played = host.run(2000, notes=[(500, OFF, 60, 0)])
    np.testing.assert_array_equal(played, samples[:, 1000:])


def test_all_notes_off_ends_one_shots_of_its_channel(host: ClapHost, load: Load) -> None:
    samples = load(midi_mode=ONE_SHOT)
    host.run(500, notes=[(0, ON, 60, 127)])
    other_channel = host.run(500, notes=[(0, CONTROLLER + 1, 123, 0)])
    np.testing.assert_array_equal(other_channel, samples[:, 500:1000])
    assert not host.run(2000, notes=[(0, CONTROLLER, 123, 0)])[:, 400:].any()


def test_every_note_of_a_full_block_is_heard(host: ClapHost, load: Load) -> None:
    """DPF hands on as many as 512 events."""
    load(midi_mode=LOOP)
    host.run(64, block=64, notes=[(0, ON, 60, 127)])
    others = [(k // 2, ON if k % 2 else OFF, 90, 0) for k in range(500)]
    played = host.run(2000, block=512, notes=[*others, (300, OFF, 60, 0)])
    assert not played[:, 700:].any()
