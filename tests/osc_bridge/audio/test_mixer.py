"""The mixer: exact to the sample, bit-transparent where nothing is asked of it, never too loud."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osc_bridge.audio.arena import Arena, ArenaShape, Event, Gauge, Op
from osc_bridge.audio.limiter import Limiter
from osc_bridge.audio.mixer import CHOKE_S, MAX_VOICES, Mixer

RATE = 48000
FIRST = 1000


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena.create(ArenaShape(store_frames=RATE * 4, capture_frames=RATE))
    rng = np.random.default_rng(1)
    arena.store[:] = rng.uniform(-0.1, 0.1, arena.store.shape)
    yield arena
    arena.close()


def start(arena: Arena, voice: int = 1, **values: float) -> None:
    """A START of the first 4800 frames of the store unless told otherwise."""
    v = {"frame": 0, "offset": 0, "frames": 4800, "loop_start": 0, "period": 0.0, "gain": 1.0}
    v |= {"fade": 0, "choke": 0, "on_grid": 0} | values
    assert arena.commands.push(int(Op.START), voice, *v.values())


def command(arena: Arena, op: Op, voice: int = 0, frame: int = 0, **values: float) -> None:
    """Any other command; ``values`` may be gain, fade and choke."""
    v = {"gain": 0.0, "fade": 0, "choke": 0} | values
    assert arena.commands.push(
        int(op), voice, frame, 0, 0, 0, 0.0, v["gain"], v["fade"], v["choke"], 0
    )


def render(mixer: Mixer, frames: int, block: int = 128) -> np.ndarray:
    parts = [mixer.render(min(block, frames - at)).copy() for at in range(0, frames, block)]
    return np.concatenate(parts)


def events(arena: Arena) -> list[tuple[int, int, int]]:
    return list(iter(arena.events.pop, None))


@pytest.mark.parametrize("block", [64, 100, 128, 1024, 4096])
def test_a_take_starts_on_its_sample_bit_for_bit(arena: Arena, block: int) -> None:
    mixer = Mixer(arena, RATE, FIRST)
    start(arena, frame=FIRST + 777)
    out = render(mixer, 8192, block)
    assert not out[:777].any()
    np.testing.assert_array_equal(out[777 : 777 + 4800], arena.store[:4800])
    assert not out[777 + 4800 :].any()
    (started, finished) = events(arena)
    assert started == (Event.STARTED, 1, FIRST + 777)
    assert finished[:2] == (Event.FINISHED, 1)


@given(st.integers(1, 4096), st.lists(st.integers(0, 9000), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_the_sum_does_not_depend_on_the_blocks(block: int, frames: list[int]) -> None:
    arena = Arena.create(ArenaShape(store_frames=2048, capture_frames=4096))
    arena.store[:] = np.random.default_rng(2).uniform(-0.02, 0.02, arena.store.shape)
    mixer = Mixer(arena, RATE, FIRST)
    expected = np.zeros((12_000, 2), np.float32)
    for number, frame in enumerate(frames, 1):
        start(arena, number, frame=FIRST + frame, frames=2048)
    for frame in sorted(frames):
        expected[frame : frame + 2048] += arena.store
    np.testing.assert_array_equal(render(mixer, 12_000, block), expected)
    arena.close()


def test_now_is_the_beginning_of_the_next_block(arena: Arena) -> None:
    mixer = Mixer(arena, RATE)
    render(mixer, 256)
    start(arena)
    np.testing.assert_array_equal(render(mixer, 128), arena.store[:128])
    assert arena.gauges[Gauge.LATE] == 0


def test_a_late_take_starts_late_and_a_late_loop_joins_in_place(arena: Arena) -> None:
    mixer = Mixer(arena, RATE, 10_000)
    start(arena, frame=9_900)
    np.testing.assert_array_equal(render(mixer, 128), arena.store[:128])
    command(arena, Op.STOP_ALL)
    render(mixer, 128)
    start(arena, 2, frame=mixer.frame - 300, frames=1000, period=1000.0, on_grid=1)
    np.testing.assert_array_equal(render(mixer, 128), arena.store[300:428])
    assert arena.gauges[Gauge.LATE] == 2


def test_joining_a_loop_is_the_same_as_having_played_it(arena: Arena) -> None:
    for behind in (0, 1, 999, 1000, 1001, 1002, 5000, 5_000_003):
        values = {"frames": 1101, "loop_start": 100, "period": 1000.4, "on_grid": 1}
        late = Mixer(arena, RATE, 10_000_000)
        start(arena, frame=10_000_000 - behind, **values)
        joined = render(late, 2048).copy()
        command(arena, Op.STOP_ALL)
        render(late, 128)
        if behind <= 5000:
            early = Mixer(arena, RATE, 10_000_000 - behind - 128)
            start(arena, frame=10_000_000 - behind, **values)
            render(early, behind + 128)
            np.testing.assert_array_equal(render(early, 2048), joined, err_msg=str(behind))
        assert joined.any(axis=1).sum() > 2000


def test_a_loop_of_no_whole_length_keeps_to_its_grid(arena: Arena) -> None:
    arena.store[:] = 0.0
    arena.store[0] = 0.5
    mixer = Mixer(arena, RATE, FIRST)
    period = 1000.37
    start(arena, frame=FIRST, frames=1001, period=period)
    clicks = np.flatnonzero(render(mixer, 100_000)[:, 0])
    np.testing.assert_array_equal(clicks, [round(n * period) for n in range(len(clicks))])
    assert len(clicks) == 100


def test_a_crossfade_keeps_the_power(arena: Arena) -> None:
    rng = np.random.default_rng(3)
    arena.store[:] = rng.normal(0.0, 0.1, arena.store.shape)
    mixer = Mixer(arena, RATE, FIRST)
    start(arena, 1, frame=FIRST, frames=RATE)
    start(arena, 2, frame=FIRST + 9600, offset=RATE, frames=RATE, fade=19200)
    command(arena, Op.STOP, 1, FIRST + 9600, fade=19200)
    out = render(mixer, RATE)
    steps = np.sqrt((out[:48000].reshape(-1, 2400, 2) ** 2).mean(axis=(1, 2)))
    assert steps.min() > 0.093
    assert steps.max() < 0.107


def test_gain_and_master_move_without_a_jump(arena: Arena) -> None:
    arena.store[:] = 0.5
    mixer = Mixer(arena, RATE, FIRST)
    start(arena, frame=FIRST, frames=RATE)
    render(mixer, 1000)
    command(arena, Op.GAIN, 1, gain=0.1, fade=480)
    command(arena, Op.MASTER, gain=0.5, fade=480)
    out = render(mixer, 1000)[:, 0]
    assert np.abs(np.diff(out)).max() < 0.002
    assert out[-1] == pytest.approx(0.5 * 0.1 * 0.5, abs=1e-6)


def test_choke_groups_and_stop(arena: Arena) -> None:
    mixer = Mixer(arena, RATE, FIRST)
    start(arena, 1, frame=FIRST, frames=RATE, choke=3)
    start(arena, 2, frame=FIRST, frames=RATE, choke=4)
    start(arena, 3, frame=FIRST + 1000, frames=RATE, choke=3)
    command(arena, Op.STOP, 2, FIRST + 2000, fade=100)
    render(mixer, 4096)
    heard = events(arena)
    assert [(e, v) for e, v, _ in heard] == [
        (Event.STARTED, 1), (Event.STARTED, 2), (Event.STARTED, 3),
        (Event.FINISHED, 1), (Event.FINISHED, 2),
    ]  # fmt: skip
    assert heard[3][2] <= FIRST + 1000 + CHOKE_S * RATE + 128
    assert arena.gauges[Gauge.VOICES] == 1


def test_what_waits_can_be_moved_and_cancelled(arena: Arena) -> None:
    mixer = Mixer(arena, RATE, FIRST)
    start(arena, 1, frame=FIRST + 500)
    start(arena, 2, frame=FIRST + 500)
    render(mixer, 128)
    arena.commands.push(int(Op.RETIME), 1, FIRST + 900, int(Op.START), 0, 0, 0.0, 0.0, 0, 0, 0)
    command(arena, Op.STOP, 2)
    out = render(mixer, 2048)
    assert np.flatnonzero(out[:, 0])[0] == 900 - 128
    assert (Event.CANCELLED, 2, FIRST + 128) in events(arena)


def test_more_voices_than_there_are(arena: Arena) -> None:
    mixer = Mixer(arena, RATE, FIRST)
    for voice in range(1, MAX_VOICES + 4):
        start(arena, voice, frame=FIRST, frames=RATE, gain=0.01)
    render(mixer, 128)
    assert arena.gauges[Gauge.VOICES] == MAX_VOICES
    assert arena.gauges[Gauge.STOLEN] == 3
    assert [v for e, v, _ in events(arena) if e == Event.FINISHED] == [1, 2, 3]


def test_the_capture_ring_holds_what_was_played_and_what_came_in(arena: Arena) -> None:
    mixer = Mixer(arena, RATE, RATE - 100)
    start(arena, frame=RATE - 100)
    heard = np.random.default_rng(4).uniform(-1, 1, (512, 2)).astype(np.float32)
    out = mixer.render(512, heard).copy()
    where = np.arange(RATE - 100, RATE + 412) % RATE
    np.testing.assert_array_equal(arena.played[where], out)
    np.testing.assert_array_equal(arena.recorded[where], heard)
    assert not np.array_equal(out, heard)
    command(arena, Op.MONITOR, gain=0.5)
    command(arena, Op.STOP_ALL)
    render(mixer, 128)
    np.testing.assert_allclose(mixer.render(512, heard), heard * 0.5, atol=1e-7)


def test_the_callback_allocates_no_buffers(arena: Arena) -> None:
    """A block of 4096 stereo frames is 32 KiB; what is left of Python's own objects is not."""
    mixer = Mixer(arena, RATE, FIRST)
    for voice in range(1, 17):
        start(arena, voice, frame=FIRST, frames=RATE, period=RATE + 0.5, fade=100_000, gain=0.3)
    recorded = np.zeros((4096, 2), np.float32)
    mixer.render(4096, recorded)
    events(arena)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            mixer.render(4096, recorded)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 16_384
    assert after - before < 4_096


@given(st.integers(1, 400), st.floats(0.0, 40.0), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_the_limiter_never_exceeds_full_scale(block: int, level: float, seed: int) -> None:
    limiter = Limiter(400, RATE)
    rng = np.random.default_rng(seed)
    for _ in range(8):
        samples = rng.normal(0.0, level, (block, 2)).astype(np.float32)
        before = samples.copy()
        peak = limiter.process(samples)
        assert peak == np.abs(samples).max() <= 1.0
        assert (np.sign(samples) * np.sign(before) >= 0).all()


def test_the_limiter_lets_full_scale_pass_and_recovers() -> None:
    limiter = Limiter(1024, RATE, release_s=0.1)
    samples = np.random.default_rng(5).uniform(-1, 1, (1024, 2)).astype(np.float32)
    kept = samples.copy()
    limiter.process(samples)
    np.testing.assert_array_equal(samples, kept)
    loud = np.full((1024, 2), 4.0, np.float32)
    limiter.process(loud)
    assert loud.max() == 1.0
    quiet = np.full((1024, 2), 0.1, np.float32)
    for _ in range(6):
        again = quiet.copy()
        limiter.process(again)
    np.testing.assert_array_equal(again, quiet)
