"""Edits of a clip: spans of it are rendered anew, the rest stays.

Only excerpts around the spans are encoded. They lie side by side in one latent, each with its
own windows. So a clip may be an hour long and its spans far apart. The known part is reset to
the clip before every step, as in section 4.4 of the AudioLDM paper (arXiv:2301.12503) and in
RePaint (arXiv:2201.09865).
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from server.audio.splice import Mask, Span
from server.errors import InvalidRequest
from server.model.mel import latent_bin_edges_hz
from server.model.noise import mixed_noise
from server.model.schedule import Latents
from server.render.channels import Channels
from server.render.conditioning import condition, notation_of, prompted, unconditional
from server.render.plan import Finished, Known, Plan, RenderContext
from server.render.plans.edit import Edit, EditRequest, finished_edit
from server.render.plans.sound import longest_window
from server.render.plans.splicing import Excerpt, kept_samples, spliced, worst_of
from server.render.windows import Windows
from server.requests.new_sound import MAX_SECONDS

__all__ = ["edit_plan"]

_MARGIN: Final = 1
"""Latent frames on either side of a span that count as unknown: they still encode its sound."""


def edit_plan(request: EditRequest, context: RenderContext, edit: Edit) -> Plan:
    """The plan that renders the spans of ``edit``.

    Raises:
        InvalidRequest: the spans are longer than ten minutes together.
    """
    manifest = context.manifest
    excerpts = _excerpts(request, context, edit)
    total = excerpts[-1].frames.stop
    if total > manifest.latent_frames(MAX_SECONDS + 2 * manifest.defaults.audio_length_in_s):
        raise InvalidRequest(
            f"{request.clip}: more than {MAX_SECONDS:.0f} s would be rendered at once; "
            "name shorter regions"
        )
    lengths = [excerpt.frames.stop - excerpt.frames.start for excerpt in excerpts]
    parts = [Windows.over(length, longest_window(manifest)) for length in lengths]
    wanted = [condition(request, context, own=excerpt.around) for excerpt in excerpts]
    channels = max(len(excerpt.channels) for excerpt in excerpts)
    mixing = [excerpt.channels.mixing(channels) for excerpt in excerpts]
    return Plan(
        settings=request,
        windows=Windows.joined(parts),
        condition=np.concatenate(
            [np.repeat(w[None], len(part), axis=0) for w, part in zip(wanted, parts, strict=True)]
        ),
        unconditional=unconditional(request, context),
        noise=mixed_noise(manifest.latent, list(zip(lengths, mixing, strict=True))),
        finish=partial(_finish, request, context, edit, excerpts),
        target=wanted[0],
        known=_known(context, excerpts, channels),
        notation=notation_of(request),
    )


def _excerpts(request: EditRequest, context: RenderContext, edit: Edit) -> list[Excerpt]:
    """Each span with the context that the model needs; spans that are near share one excerpt."""
    rate = edit.sound.sample_rate
    beside = round(context.manifest.defaults.audio_length_in_s * rate / 2)
    groups: list[tuple[int, int, list[Span]]] = []
    for span in sorted(edit.spans, key=lambda span: span.start):
        first, last = max(0, span.start - beside), min(edit.sound.frames, span.end + beside)
        if groups and first <= groups[-1][1]:
            begun, end, spans = groups[-1]
            groups[-1] = (begun, max(end, last), [*spans, span])
        else:
            groups.append((first, last, [span]))
    excerpts, frame = [], 0
    for first, last, spans in groups:
        sound = edit.sound.with_samples(edit.sound.samples[first:last])
        frames = slice(frame, frame + context.manifest.latent_frames(sound.seconds))
        moved = tuple(span.moved(-first) for span in spans)
        channels = Channels.of(sound, context.manifest.sample_rate, kept_samples(sound, moved))
        excerpts.append(Excerpt(first, sound, moved, channels, frames, not prompted(request)))
        frame = frames.stop
    return excerpts


def _known(context: RenderContext, excerpts: list[Excerpt], channels: int) -> Known:
    hop = context.manifest.samples_per_latent_frame
    latents, masks = [], []
    for excerpt in excerpts:
        frames = excerpt.frames.stop - excerpt.frames.start
        clean = excerpt.channels.encode(context.autoencoder, frames * hop)
        latents.append(clean[np.arange(channels) % len(clean)])
        masks.append(_mask(context, excerpt, frames))
    return Known(np.concatenate(latents, axis=2), np.concatenate(masks))


def _mask(context: RenderContext, excerpt: Excerpt, frames: int) -> Mask:
    """True where the clip is known, [T, F]; padding is unknown."""
    manifest = context.manifest
    per_sample = (
        manifest.sample_rate / excerpt.sound.sample_rate / manifest.samples_per_latent_frame
    )
    known = np.ones((frames, manifest.latent.mel_bins), bool)
    known[int(excerpt.sound.frames * per_sample) :] = False
    low_hz, high_hz = latent_bin_edges_hz(manifest).T
    for span in excerpt.spans:
        first = max(0, int(span.start * per_sample) - _MARGIN)
        last = int(np.ceil(span.end * per_sample)) + _MARGIN
        low, high = span.low_hz or 0.0, span.high_hz or np.inf
        known[first:last, (high_hz > low) & (low_hz < high)] = False
    return known


def _finish(
    request: EditRequest,
    context: RenderContext,
    edit: Edit,
    excerpts: list[Excerpt],
    latents: Latents,
) -> Finished:
    samples = edit.sound.samples.copy()
    seams: list[dict[str, float]] = []
    for excerpt in excerpts:
        raw = excerpt.channels.restored(excerpt.decoded(context, latents), new=excerpt.new)
        done, measured = spliced(context, excerpt, raw, edit.crossfade)
        samples[excerpt.start :][: done.frames] = done.samples
        seams.append(measured)
    return finished_edit(
        request, context, edit, excerpts, samples=samples, measures=worst_of(seams)
    )
