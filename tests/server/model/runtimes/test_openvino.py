"""Graphs on OpenVINO: results, errors, threads, compiled graphs on disk, and nothing sent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fleet_run import running_fleet
from product_graph import broken_graphs, product_graph

from server.engine.engine import ModelInfo
from server.engine.fleet_model import worker_executors
from server.errors import ModelError, RenderError
from server.model.runtimes.openvino import OpenVino, OpenVinoSession, devices
from server.model.runtimes.tolerance import TOLERANCE_DB, is_tolerable, snr_db
from server.model.session import Graph
from server.render.pipeline import Pipeline
from server.requests.request import TextToAudio

pytest.importorskip("openvino")

X = np.arange(8, dtype=np.float32).reshape(2, 4)
RUNTIMES = {"OpenVINO": OpenVino(), "ONNX Runtime": None}


@pytest.mark.parametrize("openvino", RUNTIMES.values(), ids=RUNTIMES)
def test_both_runtimes_compute_the_same(tmp_path: Path, openvino: OpenVino | None) -> None:
    graph = Graph(product_graph(tmp_path / "p.onnx"), ["CPUExecutionProvider"], 1, openvino)
    for rows in (2, 1, 2):  # shapes change
        (y,) = graph(x=X[:rows])
        np.testing.assert_allclose(y, X[:rows] @ np.ones((4, 4)), rtol=1e-6)


@pytest.mark.parametrize("openvino", RUNTIMES.values(), ids=RUNTIMES)
@pytest.mark.parametrize("data", broken_graphs().values(), ids=broken_graphs())
def test_what_is_no_usable_graph_is_refused(
    tmp_path: Path, data: bytes, openvino: OpenVino | None
) -> None:
    (tmp_path / "unet.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=r"unet\.onnx cannot be loaded: (?!Exception from|Check)"):
        Graph(tmp_path / "unet.onnx", ["CPUExecutionProvider"], 1, openvino).load()


@pytest.mark.parametrize("openvino", RUNTIMES.values(), ids=RUNTIMES)
def test_inputs_that_do_not_fit_are_an_error(tmp_path: Path, openvino: OpenVino | None) -> None:
    graph = Graph(product_graph(tmp_path / "p.onnx"), ["CPUExecutionProvider"], 1, openvino)
    for inputs in ({"x": X[:, :3]}, {"x": X, "z": X}, {}):
        with pytest.raises(RenderError, match="p failed"):
            graph(**inputs)


def test_threads_are_bounded_and_free_to_leave_a_core(tmp_path: Path) -> None:
    """The audio callback needs a core at once: no thread is pinned, none is added."""
    path = product_graph(tmp_path / "p.onnx")
    for threads in (1, 2):
        session = OpenVinoSession(path, OpenVino(), threads)
        session.run(None, {"x": X})
        compiled = session._requests[()].get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("NUM_STREAMS") == 1
        assert not compiled.get_property("ENABLE_CPU_PINNING")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_its_threads_are_as_low_in_priority_as_the_worker(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; os.nice(5); import numpy as np\n"
        "from server.model.runtimes.openvino import OpenVino, OpenVinoSession\n"
        "session = OpenVinoSession(Path(sys.argv[1]), OpenVino(), 2)\n"
        "session.run(None, {'x': np.ones((2, 4), np.float32)})\n"
        "nice = [os.getpriority(os.PRIO_PROCESS, int(t)) for t in os.listdir('/proc/self/task')]\n"
        "sent = [name for name in sys.modules if 'telemetry' in name]\n"
        "print(min(nice) == max(nice), sent)"
    )
    path = str(product_graph(tmp_path / "p.onnx"))
    done = subprocess.run((sys.executable, "-c", program, path), capture_output=True, check=True)
    assert done.stdout.decode().split("\n")[0] == "True []"


def test_compiled_graphs_are_kept_and_damaged_ones_made_again(tmp_path: Path) -> None:
    path, where = product_graph(tmp_path / "p.onnx"), OpenVino(cache=tmp_path / "cache" / "model")

    def is_from_cache() -> bool:
        session = OpenVinoSession(path, where, 1)
        np.testing.assert_allclose(session.run(None, {"x": X})[0], X @ np.ones((4, 4)))
        compiled = session._requests[()].get_compiled_model()
        return bool(compiled.get_property("LOADED_FROM_CACHE"))

    assert is_from_cache()  # what was compiled is let go for what was written
    (blob,) = (tmp_path / "cache" / "model").iterdir()
    size = blob.stat().st_size
    blob.chmod(0o600)
    os.truncate(blob, size // 2)
    assert is_from_cache()
    assert blob.stat().st_size == size


def test_bfloat16_is_used_where_it_is_near_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, where = product_graph(tmp_path / "unet.onnx"), OpenVino("CPU", "bf16", tmp_path / "kept")
    first = OpenVinoSession(path, where, 1)
    assert first.get_providers() == ["OpenVINO CPU bf16"]
    kept = msgspec.json.decode((tmp_path / "kept" / "bf16.json").read_bytes())
    assert kept["unet"] > TOLERANCE_DB["unet"]
    monkeypatch.setitem(TOLERANCE_DB, "unet", kept["unet"] + 1)
    second = OpenVinoSession(path, where, 1)
    assert second.get_providers() == ["OpenVINO CPU fp32"]
    np.testing.assert_allclose(second.run(None, {"x": X})[0], X @ np.ones((4, 4)), rtol=1e-6)


def test_a_ratio_that_is_no_number_is_none(tmp_path: Path) -> None:
    one, nan = np.ones(4, np.float32), np.full(4, np.nan, np.float32)
    assert snr_db(one, nan) < -100
    assert snr_db(one, one) > 100
    (tmp_path / "bf16.json").write_bytes(b"{")
    assert not is_tolerable("unet", tmp_path, lambda: snr_db(one, nan))
    assert not is_tolerable("unet", tmp_path, lambda: 99.0)  # what was measured is kept
    assert is_tolerable("vocoder", tmp_path, lambda: 99.0)


@pytest.mark.integration
def test_a_worker_says_how_far_loading_is(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> tuple[list[ModelInfo], tuple[str, ...]]:
        make = worker_executors(("openvino",), 1, 60.0, cache=tmp_path / "compiled")
        async with running_fleet([tiny_folder], tmp_path, make_executors=make) as (
            fleet,
            _,
            models,
        ):
            return models.events, fleet.status().providers

    events, providers = asyncio.run(scenario())
    shares = [
        e.done_bytes / e.total_bytes for e in events if e.stage == "loading" and e.total_bytes
    ]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert (events[-1].state, events[-1].stage, events[-1].total_bytes) == ("loaded", "", 0)
    assert providers[0].startswith("OpenVINO CPU")
    assert list((tmp_path / "compiled").glob("*/*.blob"))


def test_a_take_is_that_of_onnxruntime(tiny_folder: Path, tiny_pipeline: Pipeline) -> None:
    request = TextToAudio(prompt="a dog", seed=1, audio_length_in_s=1.0, num_inference_steps=4)
    other = Pipeline(tiny_folder, "openvino", 1).render(request)[0].waveform.samples
    wanted = tiny_pipeline.render(request)[0].waveform.samples
    error = np.sqrt(np.mean((other - wanted) ** 2) / np.mean(wanted**2))
    assert error < 0.1


def test_an_npu_gets_a_graph_for_each_shape(tmp_path: Path) -> None:
    """Tried on the CPU, which takes fixed shapes too."""
    session = OpenVinoSession(product_graph(tmp_path / "p.onnx"), OpenVino("NPU"), 1)
    session._where = OpenVino("CPU")
    for rows in (*range(1, 12), 2):
        assert session.run(None, {"x": np.ones((rows, 4), np.float32)})[0].shape == (rows, 4)
    assert len(session._requests) == 8


def test_the_cpu_is_among_the_devices() -> None:
    assert "CPU" in devices()
