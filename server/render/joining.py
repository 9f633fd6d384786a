"""Unet calls of several jobs in one batch, up to the size from which the device gains nothing.

Rows of a call are independent, so that batching does not change a take.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import numpy as np

from server.model.schedule import Latents
from server.model.session import Graph, OutOfMemory
from server.render.denoise import UnetCall

__all__ = ["JoinedUnet", "joined", "parted"]

log = logging.getLogger("audioldm.worker")

_CPU_FRAMES: Final = 512
"""Latent frames in a call beyond which a CPU gains nothing (docs/performance.md, Scale)."""
_DEVICE_FRAMES: Final = 8192
"""Sixteen guided takes of 10.24 s; estimated, not measured."""


def joined(calls: Sequence[UnetCall]) -> UnetCall:
    """Join ``calls`` with equal numbers of frames into one."""
    if len(calls) == 1:
        return calls[0]
    return UnetCall(
        np.concatenate([call.sample for call in calls]),
        np.concatenate([call.timestep for call in calls]),
        np.concatenate([call.embedding for call in calls]),
    )


def parted(output: Latents, calls: Sequence[UnetCall]) -> list[Latents]:
    """Split the output of a joined call into the outputs of ``calls``."""
    ends = np.cumsum([len(call) for call in calls])
    return np.split(output, ends[:-1])


class JoinedUnet:
    """A model's unet. It halves calls that exceed the device's memory."""

    def __init__(self, graph: Graph, on_cpu: bool) -> None:
        self._graph = graph
        self.frames_a_call = _CPU_FRAMES if on_cpu else _DEVICE_FRAMES

    def __call__(self, call: UnetCall) -> Latents:
        """The unet's output [B, C, T, F].

        Raises:
            OutOfMemory: even one row does not fit.
            RenderError: ONNX Runtime failed.
        """
        try:
            return self._graph(
                sample=call.sample, timestep=call.timestep, embedding=call.embedding
            )[0]
        except OutOfMemory as error:
            if len(call) == 1:
                raise OutOfMemory(
                    f"{error}; {call.frames} latent frames are too many at a time even alone: "
                    "ask for a shorter sound, or close what else uses the memory"
                ) from error
            half = len(call) // 2
            self.frames_a_call = min(self.frames_a_call, half * call.frames)
            log.warning("no memory for %d rows of %d frames; halved", len(call), call.frames)
            return np.concatenate(
                [self(call.rows(slice(None, half))), self(call.rows(slice(half, None)))]
            )
