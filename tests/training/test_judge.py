"""The judge learns from labelled clips, takes any length and is read back as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_sounds import CLASSES, band_noise

from server.errors import InvalidRequest, ModelError
from training.evaluation.judge import FRAMES, Judge, JudgeNet, loud_windows, normalise, spectrogram
from training.evaluation.judge_training import load_examples, train_judge
from training.evaluation.prompt_list import HELD_BACK, PromptList
from training.evaluation.sound_classes import label_clips, load_rules
from training.sounds.folder import held_out

pytestmark = pytest.mark.integration


def test_it_classifies_new_clips(trained: Judge) -> None:
    for name in CLASSES:
        verdict = trained.classify(band_noise(name, 4.0, seed=99))
        assert trained.classes[verdict.top(1)[0]] == name
        assert verdict.probabilities.sum() == pytest.approx(1.0, abs=1e-5)


def test_it_does_not_hear_gain(trained: Judge) -> None:
    clip = band_noise("mid", 1.0, seed=5)
    loud, soft = trained.classify(clip), trained.classify(0.05 * clip)
    np.testing.assert_allclose(loud.probabilities, soft.probabilities, atol=1e-4)


def test_it_is_read_back_as_it_was(trained: Judge, tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    trained.save(path, note="test")
    loaded = Judge.load(path)
    clip = band_noise("high", 0.7, seed=3)
    assert loaded.classes == trained.classes
    # Stored as float16.
    np.testing.assert_allclose(
        loaded.classify(clip).probabilities, trained.classify(clip).probabilities, atol=5e-3
    )


def test_files_that_are_no_judge_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    path.write_bytes(b"not a judge at all")
    with pytest.raises(ModelError, match="judge_training"):
        Judge.load(path)
    with pytest.raises(ModelError, match="is no judge"):
        Judge.load(tmp_path / "missing.safetensors")


def test_it_goes_on_from_a_judge_of_the_same_classes(trained: Judge, sounds: Path) -> None:
    clips = label_clips(sounds, load_rules(sounds / "rules.yaml"))
    some = load_examples([clip for clip in clips if clip.label != "mid"])
    with pytest.raises(InvalidRequest, match="other classes"):
        train_judge(some, steps=1, start=trained)
    fresh = train_judge(some, steps=1, batch_size=4)
    weights = {name: value.clone() for name, value in fresh.net.state_dict().items()}
    assert train_judge(some, steps=1, batch_size=4, start=fresh).net is fresh.net
    assert any((fresh.net.state_dict()[name] != value).any() for name, value in weights.items())


def test_one_seed_makes_one_judge(sounds: Path) -> None:
    clips = label_clips(sounds, load_rules(sounds / "rules.yaml"))[::4]
    first, second = (train_judge(load_examples(clips), steps=2, batch_size=4) for _ in range(2))
    clip = band_noise("low", 0.5, seed=0)
    np.testing.assert_array_equal(first.classify(clip).embedding, second.classify(clip).embedding)


@pytest.mark.parametrize("frames", [0, 1, 500, 16000, 100_000])
def test_any_length_is_classified(frames: int) -> None:
    judge = Judge(JudgeNet(3), "abc")
    verdict = judge.classify(np.zeros(frames, np.float32))
    assert np.isfinite(verdict.embedding).all()
    assert verdict.probabilities.shape == (3,)


def test_quiet_windows_are_not_listened_to() -> None:
    samples = np.concatenate((band_noise("low", 3.0, seed=1), np.zeros(16000 * 9, np.float32)))
    windows = loud_windows(spectrogram(samples))
    assert 1 <= len(windows) <= 3
    assert all(window.shape == (FRAMES, 80) for window in windows)
    assert float(normalise(torch.stack(windows)).max()) == pytest.approx(1.0)


def test_groups_are_never_on_two_sides(sounds: Path) -> None:
    clips = label_clips(sounds, load_rules(sounds / "rules.yaml"))
    assert len(clips) == 60
    sides = {clip.group: clip.split for clip in clips}
    assert all(sides[clip.group] == clip.split for clip in clips)
    assert [list(sides.values()).count(name) for name in ("train", "validation", "held_out")] == [
        21,
        3,
        6,
    ]


def test_what_the_generator_holds_out_the_judge_holds_out_first(sounds: Path) -> None:
    clips = label_clips(sounds, load_rules(sounds / "rules.yaml"))
    kept_back = {clip.group for clip in clips if held_out(clip.group)}
    assert kept_back, "the names of the test's groups should include some"
    assert kept_back <= {clip.group for clip in clips if clip.split == "held_out"}


def test_ambiguous_clips_and_small_classes_are_left_out(sounds: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "noise: {in: [test], is: 'noise', not: 'high|number 1$'}\n"
        "lows: {in: [test], is: 'LOW'}\n"
        "elsewhere: {in: [other], is: 'noise'}\n"
        "one: {in: [test], is: 'high noise number 1$'}\n",
        encoding="utf-8",
    )
    labels = [clip.label for clip in label_clips(sounds, load_rules(rules))]
    # Low clips fit two classes but for number 1; `one` has one group only.
    assert labels == ["noise"] * 19


def test_rules_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("kick: {is: 'kick'}\n", encoding="utf-8")
    with pytest.raises(InvalidRequest, match="kick"):
        load_rules(rules)
    rules.write_text("kick: {in: [drum], is: '(kick'}\n", encoding="utf-8")
    with pytest.raises(InvalidRequest, match="kick"):
        load_rules(rules)


def test_every_class_has_prompts_and_the_held_back_ones_are_others() -> None:
    names = {rule.name for rule in load_rules()}
    assert len(names) >= 30
    shown, kept = PromptList.load(), PromptList.load(name=HELD_BACK)
    assert set(shown.classes) == set(kept.classes) == names
    assert all(len(texts) >= 2 for texts in kept.classes.values())
    for label in names:
        assert not set(shown.classes[label]) & set(kept.classes[label])
    assert not {note.prompt for note in shown.notes} & {note.prompt for note in kept.notes}
