"""Edits of a clip: spans of it are rendered anew, the rest stays.

Only excerpts around the spans are encoded. They lie side by side in one latent, each with its
own windows. So a clip may be an hour long and its spans far apart. The known part is reset to
the clip before every step, as in section 4.4 of the AudioLDM paper (arXiv:2301.12503) and in
RePaint (arXiv:2201.09865).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from server.audio.clip import Clip
from server.audio.level_match import level_matched, spectrum_matched
from server.audio.seam import seam_db
from server.audio.splice import Mask, Span, matched, peak_limited, replaced
from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.model.mel import latent_bin_edges_hz
from server.model.noise import same_noise
from server.model.schedule import Latents
from server.render.channels import Channels
from server.render.conditioning import condition, notation_of, unconditional
from server.render.plan import Finished, Known, Plan, RenderContext
from server.render.plans.sound import longest_window
from server.render.windows import Windows
from server.requests.new_sound import MAX_SECONDS
from server.requests.resolved import ResolvedContinue, ResolvedInpaint, ResolvedUpscale

__all__ = ["Edit", "edit_plan"]

EditRequest = ResolvedInpaint | ResolvedContinue | ResolvedUpscale

_MARGIN: Final = 1
"""Latent frames on either side of a span that count as unknown: they still encode its sound."""
_MIN_KEPT_S: Final = 0.2
"""Shortest kept sound that can condition the unet."""
_MAX_PEAK: Final = 0.9
_NUM_REFERENCES: Final = 48
"""Places away from the spans that a seam is compared with."""


@dataclass(frozen=True)
class Edit:
    """Spans of ``sound`` to render anew."""

    clip: Clip
    sound: Waveform
    spans: tuple[Span, ...]
    crossfade_s: float = 0.0
    measures: dict[str, Any] = field(default_factory=dict)
    """Measures of the take besides the seams."""
    begins: int = 0
    """Sample of ``sound`` at which the clip begins."""


@dataclass(frozen=True)
class _Excerpt:
    """A part of the sound, its spans, and its place in the latent."""

    start: int
    sound: Waveform
    spans: tuple[Span, ...]
    channels: Channels
    frames: slice
    alone: bool
    """There is no prompt; the clip alone conditions the unet."""


def edit_plan(request: EditRequest, context: RenderContext, edit: Edit) -> Plan:
    """The plan that renders the spans of ``edit``.

    Raises:
        InvalidRequest: the spans are longer than ten minutes together.
    """
    manifest = context.manifest
    excerpts = _excerpts(context, edit, alone=not (request.prompt.strip() or request.audio_prompt))
    total = excerpts[-1].frames.stop
    if total > manifest.latent_frames(MAX_SECONDS + 2 * manifest.defaults.audio_length_in_s):
        raise InvalidRequest(
            f"{request.clip}: more than {MAX_SECONDS:.0f} s would be rendered at once; "
            "name shorter regions"
        )
    lengths = [excerpt.frames.stop - excerpt.frames.start for excerpt in excerpts]
    parts = [Windows.over(length, longest_window(manifest)) for length in lengths]
    wanted = [condition(request, context, own=_around(excerpt)) for excerpt in excerpts]
    channels = max(len(excerpt.channels) for excerpt in excerpts)
    return Plan(
        settings=request,
        windows=Windows.joined(parts),
        condition=np.concatenate(
            [np.repeat(w[None], len(part), axis=0) for w, part in zip(wanted, parts, strict=True)]
        ),
        unconditional=unconditional(request, context),
        noise=same_noise(manifest.latent, total, channels),
        finish=partial(_finish, context, edit, excerpts),
        target=wanted[0],
        known=_known(context, excerpts, channels),
        notation=notation_of(request),
    )


def _excerpts(context: RenderContext, edit: Edit, alone: bool) -> list[_Excerpt]:
    """Each span with the context that the model needs; spans that are near share one excerpt."""
    rate = edit.sound.sample_rate
    around = round(context.manifest.defaults.audio_length_in_s * rate / 2)
    groups: list[tuple[int, int, list[Span]]] = []
    for span in sorted(edit.spans, key=lambda span: span.start):
        first, last = max(0, span.start - around), min(edit.sound.frames, span.end + around)
        if groups and first <= groups[-1][1]:
            begun, end, spans = groups[-1]
            groups[-1] = (begun, max(end, last), [*spans, span])
        else:
            groups.append((first, last, [span]))
    excerpts, frame = [], 0
    for first, last, spans in groups:
        sound = Waveform(edit.sound.samples[first:last], rate)
        frames = slice(frame, frame + context.manifest.latent_frames(sound.seconds))
        moved = tuple(span.moved(-first) for span in spans)
        channels = Channels.of(sound, context.manifest.sample_rate)
        excerpts.append(_Excerpt(first, sound, moved, channels, frames, alone))
        frame = frames.stop
    return excerpts


def _around(excerpt: _Excerpt) -> Waveform:
    """The kept samples of an excerpt; all of it where they are shorter than 0.2 s."""
    kept = np.ones(excerpt.sound.frames, bool)
    for span in excerpt.spans:
        kept[span.start : span.end] &= span.low_hz is not None or span.high_hz is not None
    rate = excerpt.sound.sample_rate
    if kept.sum() <= _MIN_KEPT_S * rate:
        return excerpt.sound
    return Waveform(excerpt.sound.samples[kept], rate)


def _known(context: RenderContext, excerpts: list[_Excerpt], channels: int) -> Known:
    hop = context.manifest.samples_per_latent_frame
    latents, masks = [], []
    for excerpt in excerpts:
        frames = excerpt.frames.stop - excerpt.frames.start
        clean = excerpt.channels.encode(context.autoencoder, frames * hop)
        latents.append(np.repeat(clean, channels // len(clean), axis=0))
        masks.append(_mask(context, excerpt, frames))
    return Known(np.concatenate(latents, axis=2), np.concatenate(masks))


def _mask(context: RenderContext, excerpt: _Excerpt, frames: int) -> Mask:
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
    context: RenderContext, edit: Edit, excerpts: list[_Excerpt], latents: Latents
) -> Finished:
    rate = edit.sound.sample_rate
    samples = edit.sound.samples.copy()
    seams: list[dict[str, float]] = []
    for excerpt in excerpts:
        rendered = [
            context.autoencoder.decode(channel[:, excerpt.frames])
            for channel in latents[: len(excerpt.channels)]
        ]
        raw = excerpt.channels.restored(rendered)
        done, naive = _spliced(context, excerpt, raw, round(edit.crossfade_s * rate))
        samples[excerpt.start :][: done.frames] = done.samples
        seams.append(_seams(excerpt, done, naive))
    names = {name for seam in seams for name in seam}
    worst = {name: max(seam[name] for seam in seams if name in seam) for name in sorted(names)}
    sound = Waveform(samples, rate)
    exact = edit.clip.exact and edit.clip.exact.moved(edit.begins)
    measures = {**edit.measures, **worst}
    return Finished(sound, edit.clip.file_format, measures, keeps_clip=True, exact=exact)


def _spliced(
    context: RenderContext, excerpt: _Excerpt, raw: Waveform, fade: int
) -> tuple[Waveform, Waveform]:
    """The excerpt with its spans replaced; and for comparison, a plain cut without matching."""
    spans, done, naive = list(excerpt.spans), excerpt.sound, excerpt.sound
    better = matched(raw, excerpt.sound, spans, context.manifest.sample_rate / 2)
    for span in spans:
        middle = (span.start + span.end) // 2
        made = spectrum_matched(better, excerpt.sound, span, spans) if excerpt.alone else better
        made = peak_limited(made, span, max(_MAX_PEAK, min(1.0, excerpt.sound.peak)))
        for edge in (span.start, span.end):
            made = level_matched(made, excerpt.sound, edge, middle)
        done = replaced(done, made, span, fade)
        naive = replaced(naive, raw, span, 0)
    return done, naive


def _seams(excerpt: _Excerpt, done: Waveform, naive: Waveform) -> dict[str, float]:
    """The largest seam of the splice and of the plain cut, relative to the rest of the sound."""
    ends = {place for span in excerpt.spans for place in (span.start, span.end)}
    joins = sorted(place for place in ends if 0 < place < done.frames)
    if not joins:
        return {}
    usual = _elsewhere(excerpt)
    return {
        "seam_db": seam_db(done, joins, usual),
        "naive_seam_db": seam_db(naive, joins, usual),
    }


def _elsewhere(excerpt: _Excerpt) -> list[int]:
    """Evenly spaced places of the excerpt away from all spans."""
    sound = excerpt.sound
    guard = round(0.1 * sound.sample_rate)
    places = np.linspace(guard, max(guard, sound.frames - guard), _NUM_REFERENCES).astype(int)
    return [
        int(place)
        for place in places
        if not any(span.start - guard <= place <= span.end + guard for span in excerpt.spans)
    ]
