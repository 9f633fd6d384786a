"""Text to audio: blends, audio prompts, ranked takes, seeds, recipes, honest prompts."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sounds import noise, similarity, write

from server.audio.waveform import Samples
from server.errors import Cancelled, InvalidRequest, UnreadableAudio
from server.model.manifest import Manifest
from server.model.schedule import Latents
from server.render.conditioning import condition, embed_prompt, key_and_tempo
from server.render.denoise import UnetCall, finished
from server.render.pipeline import Pipeline
from server.render.recipe import Recipe
from server.requests.request import Delivery, Morph, TextToAudio, validate
from server.requests.resolved import resolve

pytestmark = pytest.mark.integration


def test_a_blend_lies_between_its_parts_as_its_weights_say(tiny_pipeline: Pipeline) -> None:
    low, high = tiny_pipeline.text("low"), tiny_pipeline.text("high")
    found = [
        embed_prompt(f"low:{w:.1f} + high:{1 - w:.1f}", tiny_pipeline.text)
        for w in (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
    ]
    nearness = [float(blend @ low) for blend in found]
    assert nearness == sorted(nearness, reverse=True)
    assert nearness[0] == pytest.approx(1.0, abs=1e-6)
    assert float(found[-1] @ high) == pytest.approx(1.0, abs=1e-6)
    assert all(np.linalg.norm(blend) == pytest.approx(1.0, abs=1e-5) for blend in found)
    expected = 0.7 * low + 0.3 * high
    np.testing.assert_allclose(
        embed_prompt("low:0.7 + high:0.3", tiny_pipeline.text),
        expected / np.linalg.norm(expected),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "prompt",
    ["ratio 4:3", "synth + bass", "drums: kick + snare:2 hits", "low:0.5", '"low:1 + high:1"'],
)
def test_colons_and_plus_signs_of_plain_words_stay_words(
    tiny_pipeline: Pipeline, prompt: str
) -> None:
    plain = tiny_pipeline.text(prompt.strip('"'))
    np.testing.assert_array_equal(embed_prompt(prompt, tiny_pipeline.text), plain)


def test_a_blend_that_cancels_out_is_refused(tiny_pipeline: Pipeline) -> None:
    with pytest.raises(InvalidRequest, match="cancel out"):
        tiny_pipeline.render(TextToAudio(prompt="low:1 + low:-1"))


def test_an_audio_prompt_is_followed_and_blends_with_words(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    low = tiny_pipeline.render(TextToAudio(prompt="low", seed=4))[0]
    clip = tmp_path / "low.wav"
    clip.write_bytes(low.encode())
    like_it = tiny_pipeline.render(TextToAudio(audio_prompt=str(clip), seed=5))[0]
    assert similarity(tiny_pipeline, like_it.waveform, "low") > 0.6
    nearness = []
    for weight in (0.0, 0.5, 1.0):
        request = TextToAudio(prompt="high", audio_prompt=str(clip), audio_prompt_weight=weight)
        nearness.append(
            float(condition(request, tiny_pipeline.context({})) @ tiny_pipeline.text("high"))
        )
    assert nearness[0] == pytest.approx(1.0, abs=1e-6)
    assert nearness[0] > nearness[1] > nearness[2]


def test_takes_are_ranked_by_score_and_all_are_kept(tiny_pipeline: Pipeline) -> None:
    takes = tiny_pipeline.render(
        TextToAudio(prompt="comb", num_waveforms_per_prompt=6, seed=10, num_inference_steps=2)
    )
    scores = [take.measures["score"] for take in takes]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 6
    assert [take.measures["rank"] for take in takes] == [1, 2, 3, 4, 5, 6]
    assert sorted(take.recipe.request.seed or 0 for take in takes) == list(range(10, 16))
    for take in takes:
        score = similarity(tiny_pipeline, take.waveform, "comb")
        assert take.measures["score"] == pytest.approx(score, abs=1e-6)


def test_of_candidates_the_best_is_kept_and_is_a_take_of_its_own(tiny_pipeline: Pipeline) -> None:
    wanted = TextToAudio(prompt="high hiss", seed=40, num_inference_steps=2)
    every = tiny_pipeline.render(msgspec.structs.replace(wanted, num_waveforms_per_prompt=6))
    chosen = tiny_pipeline.render(
        msgspec.structs.replace(wanted, num_waveforms_per_prompt=2, num_candidates=3)
    )
    assert [take.recipe.request.seed for take in chosen] == [
        take.recipe.request.seed for take in every[:2]
    ]
    again = tiny_pipeline.render(chosen[0].recipe.request)
    assert len(again) == 1
    np.testing.assert_allclose(
        again[0].waveform.samples, chosen[0].waveform.samples, rtol=0, atol=1e-4
    )


def test_a_model_may_choose_among_candidates_where_the_seed_is_open(tiny_folder: Path) -> None:
    manifest = Manifest.load(tiny_folder)
    defaults = msgspec.structs.replace(manifest.defaults, num_candidates=3)
    manifest = msgspec.structs.replace(manifest, defaults=defaults)
    assert resolve(TextToAudio(prompt="low"), manifest).num_candidates == 3
    assert resolve(TextToAudio(prompt="low", seed=1), manifest).num_candidates == 1
    many = TextToAudio(prompt="low", num_waveforms_per_prompt=2)
    assert resolve(many, manifest).num_candidates == 1
    assert resolve(TextToAudio(prompt="low", num_candidates=1), manifest).num_candidates == 1
    with pytest.raises(InvalidRequest, match="at most 64"):
        validate(msgspec.structs.replace(many, num_candidates=33))


def test_a_negative_prompt_is_led_away_from(tiny_pipeline: Pipeline) -> None:
    plain = TextToAudio(prompt="mid", seed=3, guidance_scale=3.0)
    away = TextToAudio(prompt="mid", negative_prompt="low", seed=3, guidance_scale=3.0)
    without, less_low = (tiny_pipeline.render(request)[0] for request in (plain, away))
    assert similarity(tiny_pipeline, less_low.waveform, "low") < similarity(
        tiny_pipeline, without.waveform, "low"
    )


def test_guidance_may_end_early(tiny_pipeline: Pipeline) -> None:
    def rendered(**settings: float) -> tuple[Samples, list[int]]:
        wanted = TextToAudio(prompt="high hiss", seed=3, num_inference_steps=4)
        rows: list[int] = []

        def counting(call: UnetCall) -> Latents:
            rows.append(len(call))
            return tiny_pipeline.unet(call)

        changed = msgspec.structs.replace(wanted, **settings)
        resolved = resolve(changed, tiny_pipeline.manifest)
        work = tiny_pipeline.rendering(resolved, lambda *_: None)
        return finished(work, counting)[0].waveform.samples, rows

    whole, rows = rendered(guidance_scale=3.0)
    assert rows == [2, 2, 2, 2]
    half, rows = rendered(guidance_scale=3.0, guidance_end=0.5)
    assert rows == [2, 2, 1, 1]
    never, rows = rendered(guidance_scale=3.0, guidance_end=0.0)
    assert rows == [1, 1, 1, 1]
    without, _ = rendered(guidance_scale=1.0)
    np.testing.assert_array_equal(never, without)
    assert np.abs(whole - half).max() > 1e-4
    assert np.abs(half - never).max() > 1e-4


@pytest.mark.parametrize(
    "request_",
    [
        TextToAudio(prompt="comb", num_waveforms_per_prompt=4, seed=100),
        TextToAudio(prompt="comb", num_waveforms_per_prompt=4, seed=100, sampler="dpmpp_2m"),
        TextToAudio(
            prompt="comb", num_waveforms_per_prompt=4, seed=7, eta=1.0, width=0.5, loop=True
        ),
        Morph(prompt="low > high", num_waveforms_per_prompt=4, seed=1, audio_length_in_s=4.0),
    ],
    ids=["text", "dpmpp", "stochastic stereo loop", "morph"],
)
def test_a_seed_is_the_same_sound_alone_in_a_batch_and_from_the_recipe(
    tiny_pipeline: Pipeline, tmp_path: Path, request_: TextToAudio
) -> None:
    for take in tiny_pipeline.render(request_):
        path = tmp_path / "take.wav"
        path.write_bytes(take.encode())
        recipe = Recipe.read(path)
        assert recipe.request.num_waveforms_per_prompt == 1
        again = tiny_pipeline.render(recipe.request)[0]
        assert np.abs(again.waveform.samples - take.waveform.samples).max() <= 1e-4
    seeds = {take.waveform.samples.tobytes() for take in tiny_pipeline.render(request_)}
    assert len(seeds) == 4, "different seeds are different sounds"


def test_a_longer_take_begins_with_the_same_noise(tiny_pipeline: Pipeline) -> None:
    short, long = (
        tiny_pipeline.render(TextToAudio(prompt="mid", seed=5, audio_length_in_s=s))[0]
        for s in (1.0, 2.0)
    )
    both = np.stack([t.waveform.samples[: round(0.6 * 48000), 0] for t in (short, long)])
    assert np.corrcoef(both)[0, 1] > 0.9


def test_key_and_tempo_are_said_only_when_asked() -> None:
    request = TextToAudio(prompt="bass", bars=2, bpm=174.0, key="F# minor", say_tempo=True)
    assert key_and_tempo(request) == ", in F# minor, 174 bpm"
    assert key_and_tempo(TextToAudio(prompt="bass", bars=2, bpm=174.0)) == ""


def test_progress_counts_every_step_and_cancel_ends_the_run_at_once(
    tiny_pipeline: Pipeline,
) -> None:
    seen: list[tuple[int, int]] = []
    tiny_pipeline.render(
        TextToAudio(prompt="low", num_inference_steps=5), lambda *step: seen.append(step)
    )
    assert seen == [(k, 5) for k in range(1, 6)]

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        raise Cancelled("enough")

    seen.clear()
    with pytest.raises(Cancelled):
        tiny_pipeline.render(TextToAudio(prompt="low", num_inference_steps=50), stop)
    assert seen == [(1, 50)]


def test_what_is_missing_or_wrong_is_said_before_anything_is_rendered(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    for request, why in (
        (TextToAudio(), "prompt is empty"),
        (TextToAudio(audio_prompt=str(tmp_path / "no.wav")), "does not exist"),
        (TextToAudio(prompt="a", width=0.5, delivery=Delivery(channels=1)), "2 channels, not 1"),
        (TextToAudio(prompt="a", bars=4), "tempo"),
        (TextToAudio(prompt="a", bars=4, bpm=120, audio_length_in_s=8.0), "one of them"),
        (TextToAudio(prompt="a", bars=0.125, bpm=999), "0.3 to 600"),
        (TextToAudio(prompt="a", key="H dur"), "A minor"),
        (TextToAudio(prompt="a", loop=True, delivery=Delivery(fade_in_s=0.1)), "fades"),
        (TextToAudio(prompt="a", loop=True, delivery=Delivery(trim=True)), "trim"),
        (TextToAudio(prompt="a", say_tempo=True), "tempo"),
    ):
        with pytest.raises((InvalidRequest, UnreadableAudio), match=why):
            tiny_pipeline.render(request)


def test_a_folder_of_any_prediction_and_size_renders(tmp_path: Path) -> None:
    """No number of AudioLDM's is built in; the parity tests do the same for its architecture."""
    from tiny_model import make_tiny_folder

    for prediction, sampler in itertools.product(
        ("epsilon", "v_prediction"), ("ddim", "dpmpp_2m", "unipc")
    ):
        folder = make_tiny_folder(tmp_path / prediction, prediction)  # type: ignore[arg-type]
        pipeline = Pipeline(folder, "cpu", 1)
        take = pipeline.render(
            TextToAudio(prompt="low", sampler=sampler, num_inference_steps=10, seed=1)  # type: ignore[arg-type]
        )[0]
        assert similarity(pipeline, take.waveform, "low") > 0.5
        assert Manifest.load(folder).schedule.prediction == prediction


def test_a_long_audio_prompt_is_embedded_as_a_whole(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    half = noise(15.0)
    clip = write(tmp_path / "long.wav", np.concatenate([half, 0 * half]))
    take = tiny_pipeline.render(TextToAudio(audio_prompt=clip, seed=1))[0]
    assert not take.measures["silent"]
