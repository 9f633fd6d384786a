"""Samplers against diffusers' schedulers, step by step."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest

from server.model.manifest import NoiseSchedule
from server.model.schedule import Latents, alphas_cumprod, make_steps, steps_run
from server.render.samplers import SAMPLERS, SPACINGS, sample

torch = pytest.importorskip("torch")

SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",
}


def network(x: Latents, t: float) -> Latents:
    """Stands for a unet: smooth, and different at each timestep."""
    return np.tanh(x * np.float32(0.7 + t / 2000)) + np.float32(0.05 * np.sin(t / 100))


def theirs(name: str, num_steps: int, prediction: str, start: Latents) -> list[Latents]:
    import diffusers

    config = {**SCHEDULER, "prediction_type": prediction}
    if name == "ddim":
        scheduler = diffusers.DDIMScheduler(
            **config, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        )
    elif name == "dpmpp_2m":
        scheduler = diffusers.DPMSolverMultistepScheduler(**config)
    else:
        scheduler = diffusers.UniPCMultistepScheduler(**config)
    scheduler.set_timesteps(num_steps)
    x, trail = torch.from_numpy(start), []
    for t in scheduler.timesteps:
        output = torch.from_numpy(network(x.numpy(), float(t)))
        x = scheduler.step(output, t, x).prev_sample
        trail.append(x.numpy().copy())
    return trail


def ours(name: str, num_steps: int, prediction: str, start: Latents) -> list[Latents]:
    schedule = NoiseSchedule(prediction=prediction)  # type: ignore[arg-type]
    steps = make_steps(schedule, num_steps, SPACINGS[name])
    advance, trail, x = SAMPLERS[name](steps, 0.0, no_noise), [], start
    for i in range(num_steps):
        clean = steps.to_clean(x, network(x, float(steps.timesteps[i])), i)
        x = advance(x, clean, i)
        trail.append(x)
    return trail


def no_noise(step: int) -> Latents:
    raise AssertionError(f"step {step} drew noise with eta 0")


# diffusers hands torch scalars to NumPy in a way that NumPy 2 warns about.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("num_steps", [1, 2, 4, 10, 20, 25, 200])
@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "unipc"])
def test_every_step_equals_diffusers(name: str, num_steps: int, prediction: str) -> None:
    start = np.random.default_rng(7).standard_normal((2, 8, 16, 16), np.float32)
    expected = theirs(name, num_steps, prediction, start)
    found = ours(name, num_steps, prediction, start)
    for i, (a, b) in enumerate(zip(expected, found, strict=True)):
        error = np.linalg.norm(a - b) / np.linalg.norm(a)
        assert error < 2e-4, f"{name} departs at step {i} of {num_steps}: {error:.1e}"


def test_published_noise_levels() -> None:
    """Latent diffusion's table of the "linear" schedule, by the definition in its paper."""
    kept = alphas_cumprod(NoiseSchedule())
    assert kept[0] == pytest.approx(1 - 0.0015)
    assert kept[-1] == pytest.approx(
        float(np.prod(1 - np.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2))
    )
    assert np.all(np.diff(kept) < 0)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_a_perfect_flow_network_gives_the_clean_latent(name: str) -> None:
    rng = np.random.default_rng(0)
    clean, noise = rng.standard_normal((2, 1, 8, 8, 16), np.float32)
    steps = make_steps(NoiseSchedule(prediction="flow"), 8, SPACINGS[name])

    def denoise(x: Latents, i: int) -> Generator[Latents, Latents, Latents]:
        network_output = yield x
        return steps.to_clean(x, network_output, i)

    seen: list[tuple[int, int]] = []
    run = sample(
        denoise,
        noise,
        steps,
        SAMPLERS[name](steps, 0.0, no_noise),
        on_step=lambda *step: seen.append(step),
    )
    next(run)
    for _ in range(7):
        run.send(noise - clean)
    with pytest.raises(StopIteration) as end:
        run.send(noise - clean)
    found = end.value.value
    assert seen == [(k, 8) for k in range(1, 9)]
    np.testing.assert_allclose(found, clean, atol=1e-4)


def test_a_shifted_flow_spends_its_steps_where_it_is_noisy() -> None:
    even = make_steps(NoiseSchedule(prediction="flow"), 4, "linspace")
    assert even.sigmas == (1.0, 0.75, 0.5, 0.25, 0.0)
    shifted = make_steps(NoiseSchedule(prediction="flow", shift=3.0), 4, "linspace")
    assert shifted.sigmas == pytest.approx((1.0, 0.9, 0.75, 0.5, 0.0))
    assert shifted.alphas == pytest.approx((0.0, 0.1, 0.25, 0.5, 1.0))


def test_the_number_of_steps_follows_the_strength() -> None:
    assert steps_run(0.0, 20) == 0
    assert steps_run(1.0, 20) == 20
    assert steps_run(0.5, 20) == 10
    assert steps_run(0.001, 20) == 1, "any strength does something"
    for num_steps in (1, 4, 10, 25, 200):
        run = [steps_run(k / 100, num_steps) for k in range(101)]
        assert run == sorted(run)
        assert run[0] == 0
        assert run[-1] == num_steps


def test_a_part_of_a_run_is_its_end() -> None:
    whole = make_steps(NoiseSchedule(), 20, "leading")
    part = make_steps(NoiseSchedule(), 20, "leading", 0.3)
    assert (part.timesteps, part.sigmas) == (whole.timesteps[14:], whole.sigmas[14:])
    assert make_steps(NoiseSchedule(), 20, "leading", 0.0).sigmas == whole.sigmas[20:]


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("strength", [5e-324, 1e-280, 1e-7])
def test_the_smallest_strengths_stay_numbers(sampler: str, strength: float) -> None:
    steps = make_steps(NoiseSchedule(prediction="flow"), 1, SPACINGS[sampler], strength)
    assert len(steps) == 1
    x = steps.add_noise(np.ones((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32), 0)
    np.testing.assert_allclose(x, 1.0, atol=1e-3)
    assert 1e-5 < steps.timesteps[0] / 1000 < 1e-3


def test_a_flow_begins_exactly_at_its_strength() -> None:
    """Four steps, and still a fader of the strength moves without jumps."""
    schedule = NoiseSchedule(prediction="flow")
    begun = [make_steps(schedule, 4, "linspace", k / 100).sigmas[0] for k in range(101)]
    np.testing.assert_allclose(begun, np.arange(101) / 100)
    half = make_steps(schedule, 4, "linspace", 0.5)
    assert half.sigmas == make_steps(schedule, 4, "linspace").sigmas[2:]


def test_ddim_on_a_flow_is_euler() -> None:
    start = np.random.default_rng(1).standard_normal((1, 8, 8, 16), np.float32)
    steps = make_steps(NoiseSchedule(prediction="flow"), 10, "linspace")
    x, euler = start, start
    advance = SAMPLERS["ddim"](steps, 0.0, no_noise)
    for i in range(10):
        t, t_next = steps.sigmas[i], steps.sigmas[i + 1]
        x = advance(x, steps.to_clean(x, network(x, 1000 * t), i), i)
        euler = euler + np.float32(t_next - t) * network(euler, 1000 * t)
    np.testing.assert_allclose(x, euler, rtol=1e-4, atol=1e-4)


def test_eta_one_keeps_the_noise_level() -> None:
    """However much noise is fresh, each step leaves exactly sigma of it around the clean latent."""
    steps = make_steps(NoiseSchedule(), 50, "leading")
    rng = np.random.default_rng(3)
    clean, x = rng.standard_normal((2, 1, 8, 512, 16), np.float32)
    x = steps.add_noise(clean, x, 0)
    advance = SAMPLERS["ddim"](steps, 1.0, lambda i: rng.standard_normal(x.shape, np.float32))
    for i in range(len(steps)):
        x = advance(x, clean, i)
        left = float((x - steps.alphas[i + 1] * clean).std())
        assert left == pytest.approx(steps.sigmas[i + 1], rel=0.02)
