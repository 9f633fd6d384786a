"""The published algorithms, written again in torch from their descriptions, against ours.

The real architecture with random weights: noise schedule, DDIM timesteps, guidance, style
transfer and masked generation as the AudioLDM paper (arXiv:2301.12503) and its code describe
them. Where the original is off by one, the test follows the description and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import stored, tones, write

from server.model.noise import FIRST_STEP_STREAM, INITIAL_STREAM, KNOWN_STREAM
from server.render.pipeline import Pipeline
from server.render.plan import Plan
from server.render.plans import plan
from server.requests.request import Inpaint, Request, TextToAudio, Transfer, Upscale
from server.requests.resolved import resolve

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800, func_only=True)]
SEED, GUIDANCE = 11, 2.5


class Model:
    """One architecture twice: as the pipeline has it, and in torch."""

    def __init__(self, folder: Path, sizes: Any) -> None:
        from onnx_export.export import export_source
        from onnx_export.sources.random_source import RandomSource
        from onnx_export.sources.source import component

        source = RandomSource(sizes, "random", seed=3)
        export_source(folder, source)
        self.pipeline = Pipeline(folder, "cpu", 1)
        self.unet = source.network("unet")
        self.vae_encoder = component(source, "vae_encoder")

    def planned(self, request: Request) -> Plan:
        return plan(resolve(request, self.pipeline.manifest), self.pipeline.context({}))

    def eps(self, x: Any, t: int, planned: Plan) -> Any:
        """Classifier-free guidance: uncond + g * (cond - uncond)."""
        cond, uncond = (
            torch.from_numpy(np.ascontiguousarray(e))[None].expand(len(x), -1)
            for e in (planned.condition[0], planned.unconditional)
        )
        steps = torch.full((len(x),), t)
        with torch.no_grad():
            toward = self.unet(x, steps, encoder_hidden_states=None, class_labels=cond).sample
            without = self.unet(x, steps, encoder_hidden_states=None, class_labels=uncond).sample
        return without + GUIDANCE * (toward - without)


@pytest.fixture(scope="module", params=["narrow", pytest.param("s", marks=pytest.mark.slow)])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    from narrow_model import NARROW

    from server.checkpoints.architecture import VARIANTS

    sizes = {"narrow": NARROW, "s": VARIANTS["s"]}[request.param]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Model(tmp_path_factory.mktemp(request.param) / "model", sizes)
    torch.set_num_threads(threads)
    return made


def kept_signal() -> Any:
    betas = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1.0 - betas, dim=0)


def ddim_indices(num_steps: int) -> list[int]:
    """1, 1 + c, 1 + 2c, ... with c = 1000 // num_steps, in the order of training time."""
    return [t + 1 for t in range(0, 1000, 1000 // num_steps)]


def ddim(  # noqa: PLR0917
    model: Model,
    planned: Plan,
    x: Any,
    num_steps: int,
    eta: float,
    step_noise: Callable[[int], Any],
    last: int | None = None,
    before: Callable[[Any, float, int], Any] = lambda x, kept, i: x,
) -> Any:
    """Equation 12 of arXiv:2010.02502 over the ``last`` indices, noisiest first."""
    kept, indices = kept_signal(), ddim_indices(num_steps)
    previous = [float(kept[0]), *(float(kept[t]) for t in indices[:-1])]
    run = list(zip(indices, previous, strict=True))[: last or num_steps]
    for i, (t, a_prev) in enumerate(reversed(run)):
        a = float(kept[t])
        x = before(x, a, i)
        e = model.eps(x.float(), t, planned).double()
        sigma = eta * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)) ** 0.5
        clean = (x - (1 - a) ** 0.5 * e) / a**0.5
        x = a_prev**0.5 * clean + (1 - a_prev - sigma**2) ** 0.5 * e + sigma * step_noise(i)
    return x


def noise_of(planned: Plan) -> Callable[[int], Any]:
    return lambda stream: torch.from_numpy(planned.noise(SEED, stream)).double()


def ours(model: Model, planned: Plan) -> Any:
    latents = model.pipeline.denoise(planned, [SEED], lambda done, total: None)
    return torch.from_numpy(latents[0]).double()


def assert_close(found: Any, expected: Any) -> None:
    error = float((found - expected).norm() / expected.norm())
    assert error < 2e-3, f"relative error {error:.1e}"
    assert float(expected.std()) > 0.1, "there is something to compare"


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return write(tmp_path / "in.wav", tones(1.2))


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("num_steps", [5, 10])
def test_text_to_audio(model: Model, num_steps: int, eta: float) -> None:
    planned = model.planned(
        TextToAudio(
            prompt="rain",
            negative_prompt="wind",
            sampler="ddim",
            num_inference_steps=num_steps,
            guidance_scale=GUIDANCE,
            eta=eta,
            audio_length_in_s=0.6,
        )
    )
    noise = noise_of(planned)
    expected = ddim(
        model,
        planned,
        noise(INITIAL_STREAM),
        num_steps,
        eta,
        lambda i: noise(FIRST_STEP_STREAM + i),
    )
    assert_close(ours(model, planned), expected)


def test_the_clip_s_latent_is_the_scaled_posterior_mean(model: Model, clip: str) -> None:
    planned = model.planned(Transfer(prompt="rain", clip=clip, strength=0.5))
    manifest = model.pipeline.manifest
    samples = stored(clip, "float32")[:, 0]
    samples = 0.5 * samples / np.abs(samples).max()
    frames = planned.windows.total * manifest.samples_per_latent_frame
    padded = np.pad(samples, (0, frames - len(samples))).astype(np.float32)
    with torch.no_grad():
        mean, _ = model.vae_encoder(torch.from_numpy(padded)[None])
    assert planned.start is not None
    found = torch.from_numpy(planned.start(0)).double()
    assert_close(found, manifest.latent.scale_factor * mean.double())


@pytest.mark.parametrize(("strength", "run"), [(0.1, 1), (0.5, 5), (0.9, 9), (1.0, 10)])
def test_style_transfer(model: Model, clip: str, strength: float, run: int) -> None:
    """``t_enc = int(strength * S)`` steps are run, from the noise level of the first of them.

    The original noises to the level one index above, and has none to noise to at strength 1.
    """
    planned = model.planned(
        Transfer(
            prompt="rain",
            clip=clip,
            strength=strength,
            sampler="ddim",
            num_inference_steps=10,
            guidance_scale=GUIDANCE,
            eta=1.0,
        )
    )
    noise, kept = noise_of(planned), kept_signal()
    start = noise(INITIAL_STREAM)
    if planned.start is not None:
        a = float(kept[ddim_indices(10)[run - 1]])
        start = a**0.5 * torch.from_numpy(planned.start(0)).double() + (1 - a) ** 0.5 * start
    expected = ddim(
        model, planned, start, 10, 1.0, lambda i: noise(FIRST_STEP_STREAM + i), last=run
    )
    assert_close(ours(model, planned), expected)


@pytest.mark.parametrize(
    "edit", [{"regions": "0.5:0.8"}, {"regions": "hz:3000:8000"}], ids=["time", "band"]
)
def test_masked_generation(model: Model, clip: str, edit: dict[str, str]) -> None:
    """Before every step the known part is replaced by the clip's latent at that noise level.

    The original leaves it at that; here the known part ends as the clip's own latent.
    """
    planned = model.planned(
        Inpaint(
            prompt="rain",
            clip=clip,
            sampler="ddim",
            num_inference_steps=5,
            guidance_scale=GUIDANCE,
            eta=1.0,
            **edit,
        )
    )
    assert planned.known is not None
    noise = noise_of(planned)
    clean = torch.from_numpy(planned.known.clean).double()
    mask = torch.from_numpy(planned.known.mask)
    assert 0 < int(mask.sum()) < mask.numel()

    def hold(x: Any, a: float, i: int) -> Any:
        noisy = a**0.5 * clean + (1 - a) ** 0.5 * noise(KNOWN_STREAM + i)
        return torch.where(mask, noisy, x)

    expected = ddim(
        model,
        planned,
        noise(INITIAL_STREAM),
        5,
        1.0,
        lambda i: noise(FIRST_STEP_STREAM + i),
        before=hold,
    )
    found = ours(model, planned)
    known = mask.expand_as(found)
    assert_close(found[~known], expected[~known])
    assert torch.equal(found[known], clean[known])


def test_masks_lie_where_the_mel_bands_lie(model: Model, clip: str) -> None:
    """Against librosa's Slaney filters: a latent bin is known if none of its bands is replaced."""
    librosa_hz = pytest.importorskip("librosa").mel_frequencies(66, fmin=0.0, fmax=8000.0)
    cutoff = 3000.0
    planned = model.planned(Upscale(clip=clip, cutoff_hz=cutoff))
    assert planned.known is not None
    bins = planned.known.mask[2]
    for k, known in enumerate(bins):
        upper = librosa_hz[4 * k + 5]
        assert bool(known) == bool(upper <= cutoff)
    latent_s = 640 / 16000
    planned = model.planned(Inpaint(clip=clip, regions="0.48:0.72", prompt="rain"))
    assert planned.known is not None
    unknown = np.flatnonzero(~planned.known.mask[:, 0])
    inside = unknown[unknown < 1.2 / latent_s]
    assert inside[0] == 0.48 / latent_s - 1
    assert inside[-1] == 0.72 / latent_s
