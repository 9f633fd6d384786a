"""New sounds are ready to use: level, rumble, beginning and end."""

from __future__ import annotations

import numpy as np
import pytest

from server.audio.waveform import Waveform
from server.render.finishing.delivery import Delivered, deliver
from server.render.finishing.levels import BED_LUFS, at_loudness
from server.render.finishing.limiter import limited_true_peaks, true_peak
from server.render.finishing.loudness import integrated_lufs
from server.render.finishing.rumble import without_rumble
from server.render.plan import Finished, Treatment
from server.requests.one_shot import asks_for_one_hit
from server.requests.request import Delivery

RATE = 48_000
HIT = Treatment("trim", matched_level=True)
BED = Treatment(matched_level=True)


def bed(level: float = 0.02, seconds: float = 3.0) -> Waveform:
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE))
    return Waveform.mono((level * noise).astype(np.float32), RATE)


def hit(level: float = 0.3, decay_s: float = 0.05, before_s: float = 0.2) -> Waveform:
    """A hit in the middle of silence that begins with a step."""
    sound = np.zeros(4 * RATE, np.float32)
    first = round(before_s * RATE)
    time = np.arange(len(sound) - first) / RATE
    sound[first:] = level * np.cos(2 * np.pi * 180.0 * time) * np.exp(-time / decay_s)
    return Waveform.mono(sound, RATE)


def delivered(sound: Waveform, treatment: Treatment, **delivery: object) -> Delivered:
    return deliver(Finished(sound, treatment=treatment), Delivery(**delivery))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0.001, 0.02, 0.3])
def test_beds_are_equally_loud(level: float) -> None:
    done = delivered(bed(level), BED)
    assert integrated_lufs(done.sound) == pytest.approx(BED_LUFS, abs=0.5)
    assert true_peak(done.sound) <= 10 ** (-1 / 20) + 1e-4


def test_four_kicks_are_equally_strong() -> None:
    peaks = [true_peak(delivered(hit(0.1 * k, 0.03 * k), HIT).sound) for k in range(1, 5)]
    assert 20 * np.log10(max(peaks) / min(peaks)) < 3.0
    assert max(peaks) <= 10 ** (-1 / 20) + 1e-4


def test_the_models_own_level_is_kept_where_it_is_asked_for() -> None:
    done = delivered(bed(), BED, level="model")
    assert done.sound.rms_db == pytest.approx(bed().rms_db, abs=0.2)


@pytest.mark.parametrize("wanted", [-14.0, -23.0])
def test_a_loudness_is_reached_by_limiting_or_the_take_says_what_it_is(wanted: float) -> None:
    for sound in (bed(), hit(), hit(0.3, 0.005)):
        done = delivered(sound, BED, loudness_lufs=wanted)
        reached = integrated_lufs(done.sound)
        assert reached is not None
        said = any("LUFS" in warning for warning in done.warnings)
        assert said == (abs(reached - wanted) > 0.5)
        assert true_peak(done.sound) <= 10 ** (-1 / 20) + 1e-3


def test_a_clap_at_a_loudness_is_not_left_13_db_below_it_unsaid() -> None:
    done = delivered(hit(0.3, 0.02), HIT, loudness_lufs=-14.0)
    reached = integrated_lufs(done.sound)
    assert reached is not None
    assert reached > -20.0
    assert any(f"{reached:.1f} LUFS" in warning for warning in done.warnings) == (reached < -14.5)


def test_peaks_between_samples_are_limited_and_the_rest_is_untouched() -> None:
    time = np.arange(RATE)
    tone = 0.2 * np.sin(2 * np.pi * time / 4 + np.pi / 4)
    tone[20_000:20_200] *= 6.0
    sound = Waveform.mono(tone.astype(np.float32), RATE)
    limited = limited_true_peaks(sound, 0.5)
    assert true_peak(limited) <= 0.505
    np.testing.assert_allclose(limited.samples[:15_000], sound.samples[:15_000], rtol=1e-5)
    assert limited_true_peaks(sound, 2.0) is sound


def test_direct_current_and_rumble_go_and_the_bass_stays() -> None:
    time = np.arange(4 * RATE) / RATE
    parts = {hz: np.sin(2 * np.pi * hz * time) for hz in (8.0, 40.0, 100.0)}
    for hz, lost in ((8.0, True), (40.0, False), (100.0, False)):
        out = without_rumble(Waveform.mono((0.1 * parts[hz]).astype(np.float32), RATE))
        change = out.rms_db - Waveform.mono((0.1 * parts[hz]).astype(np.float32), RATE).rms_db
        assert change < -25.0 if lost else abs(change) < 0.5
    offset = without_rumble(Waveform.mono(np.full(4 * RATE, 0.3, np.float32), RATE)).samples
    assert np.abs(offset[RATE:]).max() < 1e-3


def test_a_hit_begins_at_its_onset_without_a_step_and_ends_with_its_sound() -> None:
    done = delivered(hit(), HIT).sound
    level = np.abs(done.samples[:, 0])
    onset = int(np.argmax(level > 0.5 * level.max()))
    assert onset <= RATE // 1000
    assert level[0] < 1e-3
    assert level[-1] < 1e-3
    assert 0.2 < done.seconds < 0.5


def test_a_hit_of_a_given_length_keeps_it() -> None:
    done = delivered(hit(), Treatment("tight", matched_level=True)).sound
    assert done.frames == hit().frames
    assert int(np.argmax(np.abs(done.samples) > 0.4 * done.peak)) <= RATE // 1000


def test_the_first_millisecond_keeps_its_edge() -> None:
    """The micro-fade takes less than a decibel off the highs of a hit's first 10 ms."""
    generator = np.random.default_rng(1)
    click = np.zeros(4 * RATE, np.float32)
    click[9600:19_200] = 0.1 * generator.standard_normal(9600) * np.exp(-np.arange(9600) / 960)
    done = delivered(Waveform.mono(click, RATE), HIT, level="model").sound.samples[:, 0]
    ours, raw = (
        np.sum(np.square(np.diff(x))) for x in (done[24 : 24 + 480], click[9600 : 9600 + 480])
    )
    assert 10 * np.log10(ours / raw) > -1.0


def test_edits_are_left_alone() -> None:
    sound = Waveform.mono(np.full(RATE, 0.3, np.float32), RATE)
    done = deliver(Finished(sound, keeps_clip=True), Delivery())
    np.testing.assert_array_equal(done.sound.samples, sound.samples)


@pytest.mark.parametrize("lufs", [-30.0, -16.0, -12.0, -8.0])
def test_what_was_limited_and_gained_is_what_is_told(lufs: float) -> None:
    """Two hits a second: limiting takes loudness, so that a second and a third try are needed."""
    decay = np.exp(-(np.arange(3 * RATE) / RATE % 0.5) / 0.05) + 0.01
    sound = Waveform.mono(bed(0.1).samples[:, 0] * decay.astype(np.float32), RATE)
    done = at_loudness(sound, lufs, -1.0, circular=False)
    room_db = -1.0 - 20.0 * np.log10(true_peak(sound))
    assert done.gain_db <= room_db + 12.0 + 1e-9
    assert done.limited_db == pytest.approx(max(0.0, done.gain_db - room_db))
    # Between the hits nothing is limited.
    level = np.abs(sound.samples[:, 0])
    quiet = (level < np.quantile(level, 0.3)) & (level > 1e-6)
    gains = done.sound.samples[quiet, 0] / sound.samples[quiet, 0]
    assert 20.0 * np.log10(np.median(gains)) == pytest.approx(done.gain_db, abs=0.05)
    reached = integrated_lufs(done.sound)
    assert reached is not None
    assert bool(done.warning) is (reached < lufs - 0.5)


def test_silence_stays_silent() -> None:
    silent = Waveform.mono(np.zeros(RATE, np.float32), RATE)
    for treatment in (HIT, BED):
        done = delivered(silent, treatment, loudness_lufs=-14.0)
        assert not done.sound.samples.any()
        assert np.isfinite(done.measures["gain_db"])


@pytest.mark.parametrize(
    ("prompt", "one"),
    [
        ("a tight snare drum", True),
        ("deep kick drum, one hit", True),
        ("closed hi-hat", True),
        ("hand clap", True),
        ("snare drum loop at 120 bpm", False),
        ("heavy rain on a roof", False),
        ("kick and bass groove", False),
        ("a crowd claps", False),
    ],
)
def test_the_prompt_says_whether_one_hit_is_wanted(prompt: str, one: bool) -> None:
    assert asks_for_one_hit(prompt) is one
