"""An unfinished sound: what the clean estimate of a denoising step would sound like."""

from __future__ import annotations

import logging
from collections.abc import Callable

from server.audio.waveform import Waveform
from server.errors import AudioLDMError
from server.model.schedule import Latents
from server.render.delivery import deliver
from server.render.denoise import UnetCall, Work
from server.render.plan import Plan
from server.render.samplers import Hear

__all__ = ["OnPreview", "preview_steps", "previewing"]

log = logging.getLogger("audioldm.worker")

OnPreview = Callable[[int, Waveform], None]
"""Given the steps done and the sound after them."""


def preview_steps(previews: int, num_steps: int) -> frozenset[int]:
    """After how many steps the sound is heard: evenly spaced, never after all of them.

    >>> sorted(preview_steps(4, 20)), sorted(preview_steps(8, 3))
    ([4, 8, 12, 16], [1, 2])
    """
    steps = (round(k * num_steps / (previews + 1)) for k in range(1, previews + 1))
    return frozenset(steps) - {0, num_steps}


def previewing(
    planned: Plan, previews: int, num_steps: int, on_preview: OnPreview
) -> Hear[UnetCall | None]:
    """Decodes and delivers a take's latent [lanes, C, T, F] as its end will be, now and then.

    A sound that fails is left out: it is not what was asked for.
    """
    at = preview_steps(previews, num_steps)

    def hear(latent: Latents, done: int) -> Work[None]:
        if done not in at:
            return
        yield None  # who is more urgent goes first
        try:
            sound, _ = deliver(planned.finish(latent), planned.settings.delivery)
            on_preview(done, sound)
        except (AudioLDMError, MemoryError) as error:
            log.warning("no preview after step %d: %s", done, error)

    return hear
