"""Silent new parts of an edit, rendered alone: each begins at its first latent frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from server.audio.splice import Span, replaced
from server.model.manifest import Manifest
from server.model.noise import mixed_noise
from server.model.schedule import Latents
from server.render.conditioning import condition, notation_of, unconditional
from server.render.finishing.measures import is_silent
from server.render.plan import Finished, Plan, RenderContext
from server.render.plans.sound import longest_window
from server.render.plans.splicing import Excerpt, seams_of, worst_of
from server.render.windows import Windows
from server.requests.resolved import ResolvedContinue, ResolvedInpaint, ResolvedUpscale

__all__ = ["alone_plan"]


@dataclass(frozen=True)
class _Part:
    """A silent span of an excerpt, with the crossfade after it, and its place in the latent."""

    excerpt: Excerpt
    span: Span
    samples: int
    frames: slice

    @property
    def rendered(self) -> Excerpt:
        """The excerpt, whose channels are decoded from this part of the latent."""
        return replace(self.excerpt, frames=self.frames)


def alone_plan(
    request: ResolvedInpaint | ResolvedContinue | ResolvedUpscale,
    context: RenderContext,
    finished: Finished,
    excerpts: list[Excerpt],
    crossfade: int,
) -> Plan:
    """The plan that renders the silent new parts of ``finished``, without what is around them.

    Args:
        request: what was asked.
        context: the model.
        finished: the edited sound.
        excerpts: where its new parts are.
        crossfade: length of a crossfade in samples.
    """
    manifest = context.manifest
    parts = _silent_parts(finished, excerpts, crossfade, manifest)
    lengths = [part.frames.stop - part.frames.start for part in parts]
    windows = [Windows.over(length, longest_window(manifest)) for length in lengths]
    wanted = [condition(request, context, own=part.excerpt.around) for part in parts]
    channels = max(len(part.excerpt.channels) for part in parts)
    mixing = [part.excerpt.channels.mixing(channels) for part in parts]
    return Plan(
        settings=request,
        windows=Windows.joined(windows),
        condition=np.concatenate(
            [np.repeat(w[None], len(own), axis=0) for w, own in zip(wanted, windows, strict=True)]
        ),
        unconditional=unconditional(request, context),
        noise=mixed_noise(manifest.latent, list(zip(lengths, mixing, strict=True))),
        finish=partial(_finish, context, finished, parts, crossfade),
        target=wanted[0],
        notation=notation_of(request),
    )


def _silent_parts(
    finished: Finished, excerpts: list[Excerpt], crossfade: int, manifest: Manifest
) -> list[_Part]:
    """The silent spans; all of them where none is silent before delivery."""
    sound, rate = finished.sound, finished.sound.sample_rate
    spans = [(excerpt, span) for excerpt in excerpts for span in excerpt.spans]
    silent = [
        (excerpt, span)
        for excerpt, span in spans
        if is_silent(sound, span.moved(excerpt.start), "wav64f", finished.around_db)
    ]
    parts, frame = list[_Part](), 0
    for excerpt, span in silent or spans:
        samples = min(excerpt.sound.frames, span.end + crossfade) - span.start
        frames = slice(frame, frame + manifest.latent_frames(samples / rate))
        parts.append(_Part(excerpt, span, samples, frames))
        frame = frames.stop
    return parts


def _finish(
    context: RenderContext,
    finished: Finished,
    parts: list[_Part],
    crossfade: int,
    latents: Latents,
) -> Finished:
    samples = finished.sound.samples.copy()
    seams: list[dict[str, float]] = []
    for part in parts:
        excerpt, start = part.excerpt, part.span.start
        decoded = part.rendered.decoded(context, latents)
        made = excerpt.channels.restored(decoded, part.samples).samples
        new = np.zeros_like(excerpt.sound.samples)
        new[start : start + part.samples] = made
        place = slice(excerpt.start, excerpt.start + excerpt.sound.frames)
        old = finished.sound.with_samples(samples[place])
        done, naive = (
            replaced(old, finished.sound.with_samples(new), part.span, fade)
            for fade in (crossfade, 0)
        )
        samples[place] = done.samples
        seams.append(seams_of(replace(excerpt, spans=(part.span,)), done, naive))
    measures = {**finished.measures, **worst_of(seams)}
    sound = finished.sound.with_samples(samples)
    return replace(finished, sound=sound, measures=measures, alone=None)
