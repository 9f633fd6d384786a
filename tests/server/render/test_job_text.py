"""Text to audio: blends, audio prompts, ranked takes, seeds, recipes, honest prompts."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sounds import likeness, noise, write

from server.audio.waveform import Samples
from server.errors import Cancelled, InvalidRequest, UnreadableAudio
from server.model.known_sounds import KnownSounds, Lens
from server.model.manifest import Manifest
from server.model.schedule import Latents
from server.model.text import Embedding, unit
from server.render.conditioning import condition, embed_prompt, musical_words, unconditional
from server.render.denoise import UnetCall, finished
from server.render.pipeline import Pipeline
from server.render.plans import plan
from server.render.recipe import Recipe
from server.requests.request import Delivery, Morph, Request, TextToAudio, Vary, validate
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
    assert likeness(tiny_pipeline, like_it.waveform, "low") > 0.6
    nearness = []
    for weight in (0.0, 0.5, 1.0):
        request = TextToAudio(prompt="high", audio_prompt=str(clip), audio_prompt_weight=weight)
        nearness.append(
            float(condition(request, tiny_pipeline.context({})) @ tiny_pipeline.text("high"))
        )
    assert nearness[0] == pytest.approx(1.0, abs=1e-6)
    assert nearness[0] > nearness[1] > nearness[2]


def test_takes_are_ranked_by_what_is_heard_and_all_are_kept(tiny_pipeline: Pipeline) -> None:
    takes = tiny_pipeline.render(
        TextToAudio(prompt="comb", num_waveforms_per_prompt=6, seed=10, num_inference_steps=2)
    )
    scores = [take.measures["score"] for take in takes]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 6
    assert [take.measures["rank"] for take in takes] == [1, 2, 3, 4, 5, 6]
    assert sorted(take.recipe.request.seed or 0 for take in takes) == list(range(10, 16))
    for take in takes:
        heard = likeness(tiny_pipeline, take.waveform, "comb")
        assert take.measures["score"] == pytest.approx(heard, abs=1e-6)


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
    assert likeness(tiny_pipeline, less_low.waveform, "low") < likeness(
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
    assert musical_words(request) == ", in F# minor, 174 bpm"
    assert musical_words(TextToAudio(prompt="bass", bars=2, bpm=174.0)) == ""


def test_how_far_a_prompt_is_from_the_training_sounds(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    assert "prompt_distance" not in render_one(folder, "low").measures
    text = Pipeline(folder, "cpu", 1).text
    captions = ["low", "mid", "low hum"]
    np.savez(
        folder / "known_sounds.npz",
        captions=np.array(captions),
        embeddings=np.stack([text(caption) for caption in captions]).astype(np.float16),
        distances=np.array([0.0, 0.1, 0.3, 0.4], np.float32),
    )
    known, unknown = render_one(folder, "low").measures, render_one(folder, "high").measures
    assert known["prompt_distance"] == pytest.approx(0.0, abs=1e-3)
    assert known["nearest_sounds"][0] == "low"
    assert known["prompt_is_known"] is True
    assert unknown["prompt_distance"] > 0.3
    assert unknown["prompt_is_known"] is False


def mean(embeddings: Embedding, near: Embedding) -> Embedding:
    return unit(np.exp(20.0 * (embeddings @ near)) @ embeddings)


def test_a_prompt_is_told_as_the_nearest_captions(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    text = Pipeline(folder, "cpu", 1).text
    captions = [*[f"low {k}" for k in range(8)], *[f"high {k}" for k in range(8)]]
    embeddings = np.stack([text(caption) for caption in captions])
    np.savez(folder / "known_sounds.npz", captions=np.array(captions), embeddings=embeddings)
    context = Pipeline(folder, "cpu", 1).context({})
    low, high = mean(embeddings[:8], text("low")), mean(embeddings[8:], text("high"))
    np.testing.assert_allclose(condition(TextToAudio(prompt="low"), context), low, atol=1e-6)
    away = unconditional(TextToAudio(prompt="low", negative_prompt="high"), context)
    np.testing.assert_allclose(away, high, atol=1e-6)
    # A blend is told as the blend of what its parts are told as, so that a fader moves evenly.
    blend = condition(TextToAudio(prompt="low:0.5 + high:0.5"), context)
    np.testing.assert_allclose(blend, unit(low + high), atol=1e-6)
    few = KnownSounds(("low 0",), embeddings[:1], None, np.empty(0, np.float32))
    np.testing.assert_array_equal(few.told(text("high")), text("high"))


def test_each_seed_leans_to_a_sound_of_its_own(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    text = Pipeline(folder, "cpu", 1).text
    captions = np.array([f"low {k}" for k in range(40)])
    embeddings = np.stack([text(caption) for caption in captions])
    heard = np.random.default_rng(0).standard_normal(embeddings.shape).astype(np.float32)
    np.savez(
        folder / "known_sounds.npz",
        captions=captions,
        embeddings=embeddings,
        heard_embeddings=heard,
    )
    pipeline = Pipeline(folder, "cpu", 1)

    def told(request: Request, seed: int) -> Embedding:
        resolved = resolve(request, pipeline.manifest)
        return plan(resolved, pipeline.context({})).conditions(seed)[0]

    request = TextToAudio(prompt="low", seed=1)
    assert not np.allclose(told(request, 1), told(request, 2))
    np.testing.assert_array_equal(told(request, 1), told(request, 1))
    assert np.linalg.norm(told(request, 1)) == pytest.approx(1.0, abs=1e-5)
    # Without variety all seeds are told the words alone.
    plain = msgspec.structs.replace(request, variety=0.0)
    np.testing.assert_array_equal(told(plain, 1), told(plain, 2))
    np.testing.assert_allclose(told(plain, 1), condition(plain, pipeline.context({})), atol=1e-6)
    # A variation that goes nowhere leans where its origin does, whatever its own seed.
    take = pipeline.render(msgspec.structs.replace(request, audio_length_in_s=0.5))[0]
    recipe = msgspec.to_builtins(take.recipe)
    still = Vary(clip="gone.wav", recipe=recipe, distance=0.0, seed=9)
    np.testing.assert_allclose(told(still, 9), told(request, 1), atol=1e-6)
    far = Vary(clip="gone.wav", recipe=recipe, distance=1.0, seed=9)
    np.testing.assert_allclose(told(far, 9), told(request, 9), atol=1e-6)


def test_through_the_lens_small_differences_count() -> None:
    """Captions that mostly differ in how loudly something is played: a prompt names what plays."""
    loudness, kind = np.linspace(-1, 1, 40)[:, None], np.repeat([[-0.2], [0.2]], 20, axis=0)
    basis = np.eye(8, dtype=np.float32)[:2]
    coordinates = np.concatenate([loudness, kind], axis=1)
    scales = np.full((40, 1), 1 / 127)
    lens = Lens.of(
        {
            "embeddings": np.round(coordinates / scales).astype(np.int8),
            "scales": scales,
            "basis": basis,
            "mean": np.zeros(8, np.float32),
        }
    )
    assert lens is not None
    assert Lens.of({"embeddings": coordinates}) is None
    likeness = lens.likeness(np.array([0.1, 0.2, 0, 0, 0, 0, 0, 0], np.float32))
    assert likeness[20:].max() > likeness[:20].max() + 0.1
    np.testing.assert_allclose(np.linalg.norm(lens.keys, axis=1), 1.0, atol=1e-6)
    weights = coordinates.std(axis=0) ** -0.5
    expected = [0.1, 0.2] * weights / np.linalg.norm([0.1, 0.2] * weights)
    np.testing.assert_allclose(likeness, lens.keys @ expected, atol=5e-3)


def test_the_nearest_sounds_do_not_say_the_same_twice(tiny_pipeline: Pipeline) -> None:
    captions = ("low", "low", "low", "high", "mid")
    embeddings = np.stack([tiny_pipeline.text(caption) for caption in captions])
    known = KnownSounds(captions, embeddings, None, np.empty(0, np.float32))
    named = known.nearest(tiny_pipeline.text("low"))["nearest_sounds"]
    assert named[0] == "low"
    assert sorted(named) == sorted(set(named))


def render_one(folder: Path, prompt: str):  # type: ignore[no-untyped-def]
    return Pipeline(folder, "cpu", 1).render(TextToAudio(prompt=prompt, audio_length_in_s=0.5))[0]


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
        (TextToAudio(prompt="a", width=0.5, delivery=Delivery(channels=1)), "channels 2"),
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
        assert likeness(pipeline, take.waveform, "low") > 0.5
        assert Manifest.load(folder).schedule.prediction == prediction


def test_a_long_audio_prompt_is_heard_as_a_whole(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    half = noise(15.0)
    clip = write(tmp_path / "long.wav", np.concatenate([half, 0 * half]))
    take = tiny_pipeline.render(TextToAudio(audio_prompt=clip, seed=1))[0]
    assert not take.measures["silent"]
