"""An edit of a clip, and what is finished of it; see :mod:`server.render.plans.editing`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from server.audio.clip import Clip
from server.audio.metadata.carried import Metadata
from server.audio.metadata.points import Move
from server.audio.splice import Span
from server.audio.waveform import Samples, Waveform
from server.render.conditioning import prompted, wants_sound
from server.render.plan import Finished, RenderContext
from server.render.plans.alone import alone_plan
from server.render.plans.splicing import Excerpt
from server.requests.resolved import ResolvedContinue, ResolvedInpaint, ResolvedUpscale

__all__ = ["Edit", "EditRequest", "finished_edit"]

EditRequest = ResolvedInpaint | ResolvedContinue | ResolvedUpscale


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

    @property
    def crossfade(self) -> int:
        """Length of a crossfade in samples."""
        return round(self.crossfade_s * self.sound.sample_rate)

    @property
    def metadata(self) -> Metadata:
        """What came with the clip, moved with its samples."""
        clip, sound = self.clip.waveform, self.sound
        move = Move(
            shift=self.begins,
            ratio=sound.sample_rate / clip.sample_rate,
            frames=sound.frames,
            stretch=sound.seconds / clip.seconds,
        )
        moves = self.begins or move.ratio != 1.0 or sound.frames != clip.frames
        return self.clip.metadata.moved(move) if moves else self.clip.metadata


def finished_edit(
    request: EditRequest,
    context: RenderContext,
    edit: Edit,
    excerpts: list[Excerpt],
    *,
    samples: Samples,
    measures: dict[str, float],
) -> Finished:
    """The edited sound; its silent parts can be planned again alone.

    Args:
        request: what was asked.
        context: the model.
        edit: the edit.
        excerpts: the parts of the sound that were rendered.
        samples: the edited sound.
        measures: of its seams.
    """
    clip_db = max(excerpt.around.rms_db for excerpt in excerpts)
    around = [excerpt.around.rms_db for excerpt in excerpts if excerpt.has_kept]
    whole = all(span.covers_all(edit.sound.frames) for span in edit.spans)
    finished = Finished(
        edit.sound.with_samples(samples),
        edit.clip.file_format,
        {**edit.measures, **measures},
        keeps_clip=True,
        exact=edit.clip.exact and edit.clip.exact.moved(edit.begins),
        metadata=edit.metadata,
        new=edit.spans,
        around_db=max(around, default=None),
        highest_peak=max(1.0, edit.sound.peak) if whole else math.inf,
        sound_wanted=wants_sound(request, clip_db),
    )
    if not prompted(request) or not all(span.whole_band for span in edit.spans):
        return finished
    alone = partial(alone_plan, request, context, finished, excerpts, edit.crossfade)
    return replace(finished, alone=alone)
