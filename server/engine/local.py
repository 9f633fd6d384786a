"""The engine of one model in one worker process."""

from __future__ import annotations

from pathlib import Path

from server.engine.fleet import Fleet
from server.engine.fleet_model import worker_executors
from server.jobs.acceptance import NO_LIMITS, Limits
from server.jobs.journal import Journal
from server.worker.renderer import NewRenderer

__all__ = ["LocalEngine"]


class LocalEngine(Fleet):
    """A fleet of one model on one device, which stays loaded.

    Without ``joining`` jobs never share a unet call. ``new_renderer`` starts something else in the
    place of a worker process.
    """

    def __init__(
        self,
        model: Path,
        takes_folder: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        max_queued: int = 256,
        limits: Limits = NO_LIMITS,
        step_timeout_s: float = 120.0,
        joining: bool = True,
        journal: Journal | None = None,
        new_renderer: NewRenderer | None = None,
    ) -> None:
        super().__init__(
            [model],
            takes_folder,
            devices=(device,),
            max_queued=max_queued,
            limits=limits,
            journal=journal,
            make_executors=worker_executors(
                (device,), threads, step_timeout_s, joining=joining, new_renderer=new_renderer
            ),
            stays_loaded=True,
        )
