"""Beats and frames, bars, tempo changes, and clocks that lead."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from osc_bridge.audio.clock_filter import DelayLockedLoop
from osc_bridge.stage.clock import Follower, MidiClock
from osc_bridge.stage.transport import QUANTISE, TempoMap, Transport, quantum_of
from server.errors import InvalidRequest

RATE = 48000
BPM = st.floats(20.0, 400.0)


class Now:
    """A frame counter that tests turn."""

    frame = 0

    def __call__(self) -> int:
        return self.frame

    def frame_at(self, time_ns: int) -> int:
        return round(time_ns * RATE / 1e9)


@given(BPM, st.floats(-100.0, 1e5), st.integers(-(10**6), 10**9))
def test_beat_and_frame_are_inverse(bpm: float, beat: float, frame: int) -> None:
    line = TempoMap(bpm=bpm, sample_rate=RATE, frame=frame, beat=beat)
    assert line.beat_at(frame) == beat
    there = line.frame_of(beat + 17.0)
    assert abs(line.beat_at(there) - (beat + 17.0)) * line.frames_per_beat <= 0.51


@given(BPM, st.integers(0, 10**9), st.sampled_from([0.25, 0.5, 1.0, 3.0, 4.0, 32.0]))
@example(20.0, 2, 32.0)
def test_the_next_multiple_is_the_next(bpm: float, frame: int, beats: float) -> None:
    line = TempoMap(bpm=bpm, sample_rate=RATE)
    beat = line.next_multiple(frame, beats)
    assert beat % beats == 0.0
    assert line.frame_of(beat) >= frame - 1
    assert line.frame_of(beat - beats) < frame


def test_tempo_changes_do_not_move_the_position() -> None:
    now = Now()
    transport = Transport(now, RATE, bpm=120.0)
    now.frame = 5 * 24000
    transport.set_tempo(90.0)
    assert transport.map.beat_at(now.frame) == 5.0
    assert transport.position() == (2, 2.0)
    now.frame += 3 * 32000
    assert transport.position() == (3, 1.0)
    assert transport.bar_frame(3) == now.frame
    transport.change_rate(44100, now.frame)
    assert transport.position() == (3, 1.0)
    assert transport.launch(4.0, now.frame + 1)[0] == 12.0


def test_words_for_the_grid() -> None:
    assert [quantum_of(word, 3) for word in QUANTISE] == [0, 0.25, 0.5, 1, 3, 6, 12, 24]
    with pytest.raises(InvalidRequest, match="'half': choose one of none"):
        quantum_of("half", 4)
    for bad in (19.0, 401.0):
        with pytest.raises(InvalidRequest, match="must be from 20 to 400 bpm"):
            Transport(Now(), RATE).set_tempo(bad)
    with pytest.raises(InvalidRequest, match=r"must be from 0\.25 to 32"):
        Transport(Now(), RATE).set_meter(0)


def test_a_leading_clock_is_believed_at_once_when_far_and_slowly_when_near() -> None:
    now = Now()
    transport = Transport(now, RATE, bpm=120.0)
    follower = Follower(transport, now.frame_at)
    follower.follow(10.0, 100.0, 2_000_000_000)
    assert (transport.bpm, transport.map.frame_of(10.0)) == (100.0, 96000)
    follower.follow(10.0, 100.0, 2_001_000_000)
    assert follower.error_s == pytest.approx(0.001)
    assert transport.map.frame_of(10.0) == 96005
    for _ in range(100):
        follower.follow(10.0, 100.0, 2_001_000_000)
    assert abs(transport.map.frame_of(10.0) - 96048) <= 1
    before = transport.map
    follower.follow(10.0, 1000.0, 5_000_000_000)
    assert transport.map is before


@pytest.mark.parametrize("bpm", [60.0, 123.0, 174.5])
def test_midi_clock_with_jitter_is_followed_to_a_millisecond(bpm: float) -> None:
    import random

    now, draw = Now(), random.Random(1)
    transport = Transport(now, RATE, bpm=120.0)
    clock = MidiClock(Follower(transport, now.frame_at))
    clock.receive("start", 0)
    ticks = 24 * 64
    for tick in range(ticks):
        time_s = 3.0 + tick * 60.0 / bpm / 24 + draw.gauss(0.0, 0.001)
        clock.receive("clock", int(time_s * 1e9))
    assert transport.bpm == pytest.approx(bpm, abs=0.5)
    beat = 63.0
    assert transport.map.frame_of(beat) / RATE == pytest.approx(3.0 + beat * 60 / bpm, abs=0.002)
    clock.receive("songpos", 0, 32)
    for tick in range(ticks, ticks + 48):
        clock.receive("clock", int((3.0 + tick * 60.0 / bpm / 24) * 1e9))
    expected = 3.0 + (ticks + 24) * 60 / bpm / 24
    assert transport.map.frame_of(8.0 + 1.0) / RATE == pytest.approx(expected, abs=0.005)


def test_the_filter_takes_jitter_out_and_starts_anew_after_a_gap() -> None:
    import random

    draw, loop = random.Random(2), DelayLockedLoop(0.0027)
    errors = []
    for n in range(4000):
        true = n * 0.0026667
        smoothed = loop.update(true + abs(draw.gauss(0.0, 0.0005)))
        errors.append(smoothed - true)
    late = errors[2000:]
    assert max(late) - min(late) < 0.0003
    assert loop.period == pytest.approx(0.0026667, rel=1e-2)
    assert loop.update(100.0) == 100.0
