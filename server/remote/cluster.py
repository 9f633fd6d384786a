"""Replicas on a Ray cluster, as a Ray Serve deployment: Ray places, watches and replaces them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from server.config import Config
from server.errors import EngineUnavailable, ModelError
from server.extras import install_extra
from server.jobs.acceptance import Limits
from server.jobs.journal import Journal
from server.model.manifest import Manifest
from server.remote.cluster_engine import ClusterEngine
from server.remote.cluster_replica import Part, Replica
from server.requests.resolved import AnyResolved

__all__ = ["RayReplicas", "make_cluster_engine"]

_APP: Final = "audioldm"
_ONGOING: Final = 8
"""More than the engine sends to a replica, also while another one is being replaced."""


def make_cluster_engine(config: Config, address: str, num_replicas: int) -> ClusterEngine:
    """An engine whose replicas run on the Ray cluster at ``address``.

    Raises:
        ModelError: the model folder cannot be used.
        EngineUnavailable: Ray is not installed.
    """
    replicas = RayReplicas(
        config.model_folder,
        address=address,
        num_replicas=num_replicas,
        device=config.devices[0],
        threads=config.threads,
    )
    return ClusterEngine(
        config.model_folder,
        config.roots[0],
        replicas,
        max_queued=config.max_queued,
        limits=Limits.of(config),
        journal=Journal(config.journal_file),
    )


class RayReplicas:
    """Implements :class:`server.remote.cluster_renderer.Replicas`.

    ``address`` is what ``ray.init`` takes: ``auto`` finds the cluster of this machine, ``local``
    starts one. ``num_replicas`` 0 means one a GPU, or one a node where there is no GPU; every
    node needs the model folder at the same path.
    """

    def __init__(
        self, model: Path, *, address: str, num_replicas: int = 0, device: str, threads: int
    ) -> None:
        try:
            import ray
            from ray import serve
        except ModuleNotFoundError as error:
            raise EngineUnavailable(f"Ray is missing; {install_extra('cluster')}") from error
        self._ray, self._serve = ray, serve
        self._model, self._address = model, address
        self._digest = Manifest.load(model).digest
        self._num_replicas = num_replicas
        self._device, self._threads = device, threads
        self._handle: Any = None

    async def start(self) -> int:
        """Deploy; returns when the first replica can render.

        Raises:
            EngineUnavailable: there is no such cluster.
            ModelError: no replica could load the model.
        """
        return await asyncio.to_thread(self._deploy)

    async def render(self, request: AnyResolved, files: Mapping[str, bytes]) -> AsyncIterator[Part]:
        """See :meth:`server.remote.cluster_replica.Replica.render`.

        Raises:
            ConnectionError: the replica is gone.
        """
        parts = self._handle.options(stream=True).render.remote(request, dict(files))
        ended = False
        try:
            async for part in parts:
                yield part
            ended = True
        except self._ray.exceptions.RayError as error:
            raise ConnectionError(f"{type(error).__name__}: {error}"[:300]) from error
        finally:
            if not ended:
                with contextlib.suppress(Exception):
                    parts.cancel()

    async def close(self) -> None:
        """Take the deployment away and leave the cluster."""
        await asyncio.to_thread(self._leave)

    def _deploy(self) -> int:
        ray, serve = self._ray, self._serve
        if not ray.is_initialized():
            try:
                ray.init(address=self._address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, ValueError) as error:
                raise EngineUnavailable(f"Ray at {self._address!r}: {error}") from error
        serve.start(proxy_location="Disabled")
        gpus = int(ray.cluster_resources().get("GPU", 0))
        wanted = self._num_replicas or gpus or sum(node["Alive"] for node in ray.nodes())
        options: dict[str, Any] = {"num_gpus": 1} if gpus else {"num_cpus": max(1, self._threads)}
        deployment = serve.deployment(
            Replica,
            name="Replica",
            num_replicas=wanted,
            max_ongoing_requests=_ONGOING,
            ray_actor_options=options,
            health_check_period_s=5,
            health_check_timeout_s=30,
            graceful_shutdown_timeout_s=10,
        )
        app = deployment.bind(str(self._model), self._digest, self._device, self._threads)
        try:
            self._handle = serve.run(app, name=_APP, route_prefix=None)
        except RuntimeError as error:
            raise ModelError(f"no replica came up: {error}") from error
        return wanted

    def _leave(self) -> None:
        if self._ray.is_initialized():
            if self._handle is not None:
                with contextlib.suppress(Exception):
                    self._serve.delete(_APP)
            self._ray.shutdown()
