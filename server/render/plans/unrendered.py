"""Plans without a denoising run: what comes out is known before."""

from __future__ import annotations

from server.audio.waveform import Waveform
from server.model.noise import same_noise
from server.render.conditioning import condition
from server.render.plan import Finished, Plan, RenderContext
from server.render.windows import Windows
from server.requests.resolved import WithSettings

__all__ = ["unrendered"]


def unrendered(
    request: WithSettings, context: RenderContext, finished: Finished, own: Waveform
) -> Plan:
    """The plan that delivers ``finished``; ``own`` is the clip that takes are scored against."""
    frames = context.manifest.latent.time_multiple
    noise = same_noise(context.manifest.latent, frames)
    nothing = context.text.unconditional()
    return Plan(
        settings=request,
        windows=Windows.over(frames, frames),
        condition=nothing[None],
        unconditional=nothing,
        noise=noise,
        finish=lambda latents: finished,
        target=condition(request, context, own=own),
        start=lambda seed: noise(0, 0),
        strength=0.0,
    )
