"""A Ray cluster of a head and two nodes on this machine; one is killed under load."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_log import SLOW, EngineLog

from server.jobs.job import JobState
from server.requests.request import TextToAudio

ray = pytest.importorskip("ray", reason="needs pip install -e '.[cluster]'")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(600),
]

LONG = msgspec.structs.replace(SLOW, num_waveforms_per_prompt=2)
QUICK = TextToAudio(prompt="low hum", num_inference_steps=3, audio_length_in_s=0.5)


AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "runtime_env_agent_port",
    "dashboard_agent_listen_port",
)


def node(num_cpus: int) -> dict[str, Any]:
    """What a node is started with.

    Ray gives up on a node whose agents do not name their ports within 15 s, which a busy machine
    may not manage; so the ports are chosen here.
    """
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in AGENTS]
        ports = {name: taken.getsockname()[1] for name, taken in zip(AGENTS, free, strict=True)}
    return {"num_cpus": num_cpus, "object_store_memory": 100 * 2**20, **ports}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_agent_register_timeout_ms", "300000")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    cluster = Cluster()
    try:
        cluster.add_node(include_dashboard=False, **node(num_cpus=0))
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_node_dies_under_load_and_no_job_is_lost(
    cluster: Any, tiny_folder: Path, tmp_path: Path
) -> None:
    from server.remote.cluster import RayReplicas
    from server.remote.cluster_engine import ClusterEngine

    nodes = [cluster.add_node(**node(num_cpus=1)) for _ in range(2)]

    async def scenario() -> None:
        replicas = RayReplicas(
            tiny_folder, address=cluster.address, num_replicas=2, device="cpu", threads=1
        )
        engine = ClusterEngine(tiny_folder, tmp_path / "takes", replicas)
        log = EngineLog(engine)
        await engine.start()
        try:
            slow = [
                await engine.submit(msgspec.structs.replace(LONG, seed=seed))
                for seed in (1, 2, 3, 4)
            ]
            quick = [await engine.submit(msgspec.structs.replace(QUICK, seed=s)) for s in range(20)]
            for job in slow[:2]:
                await log.step(job.id)
            own = ray.get_runtime_context().get_node_id()  # without which this program is lost too
            doomed = next(one for one in nodes if one.node_id != own)
            await asyncio.to_thread(cluster.remove_node, doomed, False)
            for job in (*slow, *quick):
                done = await log.final(job.id)
                assert done.state is JobState.DONE, done.error
                assert len(done.takes) == job.request.num_waveforms_per_prompt
                assert all(take.path.stat().st_size for take in done.takes)
                assert [s for s in log.states(job.id) if s == "done"] == ["done"]
            assert engine.status().restarts > 0
            cancelled = await engine.submit(
                msgspec.structs.replace(SLOW, num_waveforms_per_prompt=64)
            )
            await log.step(cancelled.id)
            assert (await engine.cancel(cancelled.id)).state is JobState.CANCELLED
        finally:
            await engine.close()

    asyncio.run(scenario())
