"""Previews: the estimate of the clean latent after some steps, decoded as sound."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from server.audio.waveform import FileFormat, Waveform
from server.errors import AudioLDMError
from server.model.schedule import Latents
from server.render.denoise import UnetCall, Work
from server.render.finishing.delivery import deliver
from server.render.plan import Plan
from server.render.samplers import OnEstimate

__all__ = ["PREVIEW_FORMAT", "OnPreview", "preview_steps", "previewing"]

log = logging.getLogger("audioldm.worker")

PREVIEW_FORMAT: Final[FileFormat] = "wav16"

OnPreview = Callable[[int, Waveform], None]
"""Receives the number of steps done and the preview after them."""


def preview_steps(previews: int, num_steps: int) -> frozenset[int]:
    """The steps after which there is a preview: evenly spaced, never the last one.

    >>> sorted(preview_steps(4, 20)), sorted(preview_steps(8, 3))
    ([4, 8, 12, 16], [1, 2])
    """
    steps = (round(k * num_steps / (previews + 1)) for k in range(1, previews + 1))
    return frozenset(steps) - {0, num_steps}


def previewing(
    planned: Plan, previews: int, num_steps: int, on_preview: OnPreview
) -> OnEstimate[UnetCall | None]:
    """A callback that decodes the estimate [channels, C, T, F] after some of the steps.

    A preview that fails is logged and left out; the job continues.
    """
    at = preview_steps(previews, num_steps)

    def on_estimate(estimate: Latents, done: int) -> Work[None]:
        if done not in at:
            return
        yield None  # more urgent jobs go first
        try:
            delivered = deliver(planned.finish(estimate), planned.settings.delivery, PREVIEW_FORMAT)
            on_preview(done, delivered.sound)
        except (AudioLDMError, MemoryError) as error:
            log.warning("no preview after step %d: %s", done, error)

    return on_estimate
