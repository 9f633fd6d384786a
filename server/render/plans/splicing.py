"""Excerpts of a clip around the spans that an edit replaces, and their replacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from server.audio.level_match import level_matched, spectrum_matched
from server.audio.seam import seam_db
from server.audio.splice import Mask, Span, matched, replaced, scaled_down
from server.audio.waveform import Samples, Waveform
from server.model.schedule import Latents
from server.render.channels import Channels
from server.render.plan import RenderContext

__all__ = ["Excerpt", "kept_samples", "seams_of", "spliced", "worst_of"]

_MIN_KEPT_S: Final = 0.2
"""Shortest kept sound that can condition the unet."""
_NUM_REFERENCES: Final = 48
"""Places away from the spans that a seam is compared with."""


@dataclass(frozen=True)
class Excerpt:
    """A part of the sound, its spans, and its place in the latent."""

    start: int
    sound: Waveform
    spans: tuple[Span, ...]
    channels: Channels
    frames: slice
    unprompted: bool
    """There is no prompt; the clip alone conditions the unet."""

    @property
    def new(self) -> slice:
        """From the first span to the last one."""
        return slice(self.spans[0].start, max(span.end for span in self.spans))

    @property
    def has_kept(self) -> bool:
        """True where enough of the clip stays around the spans."""
        return kept_samples(self.sound, self.spans) is not None

    @property
    def around(self) -> Waveform:
        """The kept samples; all of them where they are shorter than 0.2 s."""
        kept = kept_samples(self.sound, self.spans)
        return self.sound if kept is None else self.sound.with_samples(self.sound.samples[kept])

    def decoded(self, context: RenderContext, latents: Latents) -> list[Samples]:
        """The rendered channels at the model's rate, from ``latents`` [channels, C, T, F]."""
        own = latents[: len(self.channels)]
        return [context.autoencoder.decode(channel[:, self.frames]) for channel in own]


def kept_samples(sound: Waveform, spans: tuple[Span, ...]) -> Mask | None:
    """True for the samples that ``spans`` leave as they are; None where they are too few."""
    kept = np.ones(sound.frames, bool)
    for span in spans:
        kept[span.start : span.end] &= not span.whole_band
    return None if kept.sum() <= _MIN_KEPT_S * sound.sample_rate else kept


def spliced(
    context: RenderContext, excerpt: Excerpt, raw: Waveform, fade: int
) -> tuple[Waveform, dict[str, float]]:
    """The excerpt with its spans replaced by ``raw``, and the measures of its seams.

    They are compared with those of a plain cut without matching.
    """
    spans, done, naive = list(excerpt.spans), excerpt.sound, excerpt.sound
    better = matched(raw, excerpt.sound, spans, context.manifest.sample_rate / 2)
    for span in spans:
        middle, made = (span.start + span.end) // 2, better
        if excerpt.unprompted:
            made = spectrum_matched(better, excerpt.sound, span, spans)
        made = scaled_down(made, excerpt.sound, span)
        for edge in (span.start, span.end):
            made = level_matched(made, excerpt.sound, edge, middle)
        done = replaced(done, made, span, fade)
        naive = replaced(naive, raw, span, 0)
    return done, seams_of(excerpt, done, naive)


def worst_of(seams: list[dict[str, float]]) -> dict[str, float]:
    """The largest value of each measure."""
    names = {name for seam in seams for name in seam}
    return {name: max(seam[name] for seam in seams if name in seam) for name in sorted(names)}


def seams_of(excerpt: Excerpt, done: Waveform, naive: Waveform) -> dict[str, float]:
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


def _elsewhere(excerpt: Excerpt) -> list[int]:
    """Evenly spaced places of the excerpt away from all spans."""
    sound = excerpt.sound
    guard = round(0.1 * sound.sample_rate)
    places = np.linspace(guard, max(guard, sound.frames - guard), _NUM_REFERENCES).astype(int)
    return [
        int(place)
        for place in places
        if not any(span.start - guard <= place <= span.end + guard for span in excerpt.spans)
    ]
