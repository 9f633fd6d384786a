"""Which jobs have the device, decided anew at each step.

Live jobs always go before bulk jobs, so that a bulk job costs a live one no more than the step
that has begun. Within a priority what began first is finished first, joined by jobs whose next
call has the same length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.jobs.job import TakeInfo
from server.render.denoise import UnetCall, Work
from server.worker.protocol import Render

__all__ = ["Running", "next_on_device"]


@dataclass
class Running:
    """A job in the worker. Without a ``call`` its next piece of work is not the unet's."""

    order: Render
    work: Work[tuple[TakeInfo, ...]]
    call: UnetCall | None = None


def next_on_device(jobs: Sequence[Running], frames_a_call: int) -> list[Running]:
    """The jobs, of those in the order of their beginning, whose next piece of work is done now.

    Where it is not a unet call it is one job: it plans, or decodes a take. Otherwise all calls
    have one length and together at most ``frames_a_call`` frames, or are a single one.
    """
    live = any(job.order.live for job in jobs)
    rivals = [job for job in jobs if job.order.live is live]
    first = next((job for job in rivals if job.call is None), rivals[0])
    if first.call is None:
        return [first]
    chosen, room = [first], frames_a_call - first.call.size
    for job in rivals:
        if job is first or job.call is None or job.call.frames != first.call.frames:
            continue
        if job.call.size <= room:
            chosen.append(job)
            room -= job.call.size
    return chosen
