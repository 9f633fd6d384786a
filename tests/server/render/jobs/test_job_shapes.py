"""Long takes, loops, morphs and stereo: what the one denoising run does with its windows."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from sounds import noise, similarity

from server.audio.seam import jumps_db, ring_seam_db, seam_db
from server.audio.waveform import Waveform
from server.model.schedule import Latents
from server.render.denoise import UnetCall, finished
from server.render.pipeline import Pipeline
from server.render.plans import plan
from server.render.plans.sound import ring_of
from server.render.windows import Windows
from server.requests.request import Delivery, Morph, TextToAudio, validate
from server.requests.resolved import resolve

pytestmark = pytest.mark.integration


def test_windows_cover_everything_and_overlap_by_half() -> None:
    for total in (8, 64, 72, 256, 1496):
        windows = Windows.over(total, 64)
        count = np.bincount(np.concatenate(windows.frames), minlength=total)
        assert count.min() >= 1
        starts = [int(index[0]) for index in windows.frames]
        assert max(np.diff(starts), default=0) <= 32
        assert {len(index) for index in windows.frames} == {min(64, total)}
    for total in (1, 5, 47, 48, 100, 1000):
        ring = Windows.around(total, 64, 8)
        for step in range(5):
            count = np.bincount(np.concatenate(ring.at(step)), minlength=total)
            assert count.min() >= 1
            assert all(len(index) % 8 == 0 for index in ring.at(step))


def test_sixty_seconds_have_no_joins_to_hear(tiny_pipeline: Pipeline) -> None:
    take = tiny_pipeline.render(TextToAudio(prompt="mid", seed=2, audio_length_in_s=60.0))[0]
    sound, manifest = take.waveform, tiny_pipeline.manifest
    assert sound.frames == 60 * 48000
    windows = Windows.over(
        manifest.latent_frames(60.0),
        manifest.latent_frames(manifest.defaults.max_audio_length_in_s),
    )
    hop = manifest.samples_per_latent_frame * 3
    joins = [int(index[0]) * hop for index in windows.frames[1:]]
    rng = np.random.default_rng(0)
    elsewhere = rng.integers(48000, sound.frames - 48000, 200).tolist()
    jumps, usual = jumps_db(sound, joins), jumps_db(sound, elsewhere)
    assert np.median(jumps) < np.median(usual) + 0.5
    assert jumps.max() < np.percentile(usual, 99) + 1.0
    levels = [Waveform(part, 48000).rms_db for part in np.split(sound.samples, 60)]
    assert np.std(levels) < 1.0
    assert abs(np.mean(levels[:20]) - np.mean(levels[-20:])) < 0.7


def test_memory_grows_with_the_samples_alone(tiny_pipeline: Pipeline) -> None:
    """Beyond a few copies of the delivered sound, a long take needs what a short one needs."""

    def extra(seconds: float) -> float:
        tracemalloc.start()
        tiny_pipeline.render(TextToAudio(prompt="mid", seed=1, audio_length_in_s=seconds))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - 10 * seconds * 48000 * 4

    extra(3.0)
    assert extra(120.0) < extra(12.0) + 4e6


def test_one_unet_call_never_holds_more_than_the_bound(tiny_pipeline: Pipeline) -> None:
    calls: list[UnetCall] = []

    def noting(call: UnetCall) -> Latents:
        calls.append(call)
        return tiny_pipeline.unet(call)

    request = TextToAudio(prompt="mid", seed=1, audio_length_in_s=30.0, num_waveforms_per_prompt=3)
    resolved = resolve(request, tiny_pipeline.manifest)
    finished(tiny_pipeline.rendering(resolved, lambda done, total: None), noting)
    bound = tiny_pipeline.unet.frames_a_call
    assert all(call.size <= max(bound, 2 * call.frames) for call in calls)
    assert len({call.frames for call in calls}) <= 2
    assert len(calls) > 4


@pytest.mark.parametrize(("bars", "bpm"), [(1, 117.3), (2, 174), (4, 61.7), (0.5, 140), (1, 400)])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_loop_has_the_exact_length_and_no_seam(
    tiny_pipeline: Pipeline, bars: float, bpm: float, rate: int
) -> None:
    request = TextToAudio(
        prompt="comb", bars=bars, bpm=bpm, loop=True, seed=3, delivery=Delivery(sample_rate=rate)
    )
    take = tiny_pipeline.render(request)[0]
    assert take.waveform.frames == round(bars * 4 * 60 / bpm * rate)
    assert abs(take.measures["length_error_samples"]) <= 0.5
    places = np.linspace(0, take.waveform.frames, 66)[1:-1].astype(int).tolist()
    inside = jumps_db(take.waveform, places)
    assert jumps_db(take.waveform, [0])[0] <= inside.max()
    assert take.measures["seam_db"] < 2.5


def test_the_join_of_a_loop_is_a_place_like_any_other(tiny_pipeline: Pipeline) -> None:
    """Cut elsewhere, the loop jumps as much where the join was: what jumps there is the music."""
    request = validate(TextToAudio(prompt="comb", bars=1, bpm=117.3, loop=True, seed=3))
    request, context = resolve(request, tiny_pipeline.manifest), tiny_pipeline.context({})
    for seed in (3, 4, 5):
        latents = tiny_pipeline.denoise(plan(request, context), [seed], lambda done, total: None)[0]
        ring = ring_of(context, latents, request.length_s(0.0), 48000)
        frames = latents.shape[2]
        for turn in (frames // 3, frames // 2):
            turned = ring_of(context, np.roll(latents, turn, axis=2), ring.seconds, 48000)
            join = round(turn * ring.frames / frames)
            inside = jumps_db(turned, [join])[0]
            assert abs(jumps_db(ring, [0])[0] - inside) < 2.0


def test_the_same_take_without_the_loop_switch_does_have_a_seam(tiny_pipeline: Pipeline) -> None:
    """What the loop test measures is not there by itself."""

    def mean_seam(loop: bool) -> float:
        request = TextToAudio(
            prompt="comb", bars=1, bpm=130.0, loop=loop, seed=0, num_waveforms_per_prompt=6
        )
        return float(np.mean([ring_seam_db(t.waveform) for t in tiny_pipeline.render(request)]))

    assert mean_seam(False) > mean_seam(True) + 2.0
    assert mean_seam(True) < 1.0


def test_bars_without_loop_are_exact_too(tiny_pipeline: Pipeline) -> None:
    request = TextToAudio(prompt="comb", bars=3, beats_per_bar=7, bpm=133.0, seed=3)
    assert tiny_pipeline.render(request)[0].waveform.frames == round(21 * 60 / 133 * 48000)


def test_a_morph_moves_from_a_to_b(tiny_pipeline: Pipeline) -> None:
    request = Morph(prompt="low > high", audio_length_in_s=6.0, seed=1)
    sound = tiny_pipeline.render(request)[0].waveform
    parts = [Waveform(part, 48000) for part in np.split(sound.samples, 6)]
    lowness = [similarity(tiny_pipeline, part, "low") for part in parts]
    highness = [similarity(tiny_pipeline, part, "high") for part in parts]
    assert lowness[0] > highness[0]
    assert highness[-1] > lowness[-1]
    towards = [h - low for h, low in zip(highness, lowness, strict=True)]
    assert np.corrcoef(towards, np.arange(6))[0, 1] > 0.9
    assert all(later > earlier - 0.1 for earlier, later in itertools.pairwise(towards))


def test_a_morph_reaches_its_stages_where_it_says(tiny_pipeline: Pipeline) -> None:
    request = Morph(prompt="low > high @0.2 > low", audio_length_in_s=10.0, seed=1)
    sound = tiny_pipeline.render(request)[0].waveform
    parts = [Waveform(part, 48000) for part in np.split(sound.samples, 10)]
    highness = [
        similarity(tiny_pipeline, part, "high") - similarity(tiny_pipeline, part, "low")
        for part in parts
    ]
    assert int(np.argmax(highness)) in (1, 2, 3)
    assert highness[-1] < 0 < max(highness)


def test_width_sets_the_correlation_and_sums_to_mono(tiny_pipeline: Pipeline) -> None:
    correlation, mono_sum = [], []
    for width in (0.0, 0.25, 0.5, 0.75, 1.0):
        request = TextToAudio(
            prompt="comb", width=width, seed=8, delivery=Delivery(channels=2), sampler="dpmpp_2m"
        )
        measures = tiny_pipeline.render(request)[0].measures
        correlation.append(measures["stereo_correlation"])
        mono_sum.append(measures["mono_sum_db"])
    assert correlation[0] == pytest.approx(1.0)
    assert correlation == sorted(correlation, reverse=True)
    assert correlation[-1] < correlation[0] - 0.05
    assert min(mono_sum) > -4.0, "nothing is lost in mono beyond what independent sides lose"


def test_the_side_is_as_loud_as_the_width_says() -> None:
    from server.fullband.width import spread

    mono = Waveform(noise(4.0, 48000).astype(np.float32), 48000)
    full = spread(mono, 2, 1.0, 3, circular=False).samples
    for width in (0.0, 0.3, 0.7):
        left, right = spread(mono, 2, width, 3, circular=False).samples.T
        side = full[:, 0] - full[:, 1]
        np.testing.assert_allclose(left - right, width * side, atol=1e-6)
        assert left.std() == pytest.approx(right.std(), rel=0.02)


def test_the_seam_measure_finds_audible_seams() -> None:
    rng = np.random.default_rng(1)
    sound = 0.1 * rng.standard_normal((48000, 1)).astype(np.float32)
    elsewhere = list(range(4800, 43200, 1200))
    steady = Waveform(sound, 48000)
    assert abs(seam_db(steady, [24000], elsewhere)) < 1.5
    louder = sound.copy()
    louder[24000:] *= 2.0
    assert seam_db(Waveform(louder, 48000), [24000], elsewhere) > 4.0
    clicking = sound.copy()
    clicking[24000] += 1.0
    assert seam_db(Waveform(clicking, 48000), [24000], elsewhere) > 2.0
