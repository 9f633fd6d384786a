"""Metrics for Prometheus."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from server.engine.engine import Engine
from server.jobs.job import Job

__all__ = ["Metrics"]

# Every label makes a series that stays: what clients choose is taken from closed lists.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS"})
_STATUSES: Final = frozenset(int(status) for status in HTTPStatus)


class Metrics:
    """Counts jobs and HTTP answers."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry()
        self._jobs = Counter(
            "audioldm_jobs", "Jobs by how they ended", ["state"], registry=self._registry
        )
        self._render = Histogram(
            "audioldm_render_seconds",
            "From the start of a job to its takes",
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300),
            registry=self._registry,
        )
        self._http = Histogram(
            "audioldm_http_seconds",
            "Time to the head of the answer",
            ["method", "route", "status"],
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
            registry=self._registry,
        )
        self._gauge("audioldm_queued_jobs", "Jobs waiting", lambda: engine.status().queued)
        self._gauge("audioldm_running_jobs", "Jobs rendering", lambda: engine.status().running)
        self._gauge("audioldm_worker_restarts", "Workers lost", lambda: engine.status().restarts)
        self._gauge("audioldm_ready", "1 when ready", lambda: int(engine.status().state == "ready"))
        self.unlisten = engine.listen(self._count)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record an HTTP answer; methods and statuses that nobody knows are counted together."""
        known = status if status in _STATUSES else 0
        self._http.labels(method if method in _METHODS else "other", route, str(known)).observe(
            seconds
        )

    def expose(self) -> tuple[bytes, str]:
        """The metrics as text, and their media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _gauge(self, name: str, text: str, read: object) -> None:
        Gauge(name, text, registry=self._registry).set_function(read)  # type: ignore[arg-type]

    def _count(self, job: Job) -> None:
        if job.state.final:
            self._jobs.labels(job.state.value).inc()
            if job.takes:
                self._render.observe(job.finished_s - job.started_s)
