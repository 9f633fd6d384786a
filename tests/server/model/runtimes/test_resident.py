"""Buffers on the device: the same runs with the CPU provider, and CUDA graphs with a stand-in."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import TensorProto, helper

from server.model import session
from server.model.runtimes import resident
from server.model.runtimes.provider_options import OPTIONS, PROVIDERS, Provider
from server.model.runtimes.resident import Place, ResidentSession, opened

CUDA = PROVIDERS["cuda"]


def doubling() -> onnxruntime.InferenceSession:
    """A session that doubles ``x`` and adds 1 to it."""
    x, *outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", "frames"])
        for name in ("x", "double", "more")
    )
    nodes = [
        helper.make_node("Add", ["x", "x"], ["double"]),
        helper.make_node("Exp", ["x"], ["more"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "doubling", [x], outputs),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


class Recorder:
    """A session that notes the CUDA graph of each run; ``fails`` cannot record."""

    def __init__(self, *, fails: bool = False) -> None:
        self._session = doubling()
        self._fails = fails
        self.graph_ids: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        graph_id = options.get_run_config_entry("gpu_graph_id")
        self.graph_ids.append(graph_id)
        if self._fails and graph_id != "-1":
            raise RuntimeError("capture failed")
        self._session.run_with_iobinding(binding, options)


def ramp(rows: int, frames: int) -> npt.NDArray[np.float32]:
    return np.arange(rows * frames, dtype=np.float32).reshape(rows, frames)


def check(bound: ResidentSession, x: npt.NDArray[np.float32]) -> None:
    for result, expected in zip(bound.run(None, {"x": x}), (x + x, np.exp(x)), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_every_shape_has_buffers_of_its_own() -> None:
    bound = ResidentSession(doubling(), Place())
    for factor in (1, 2, 3):
        for shape in ((1, 4), (2, 4), (1, 8)):
            check(bound, ramp(*shape) / np.float32(factor))
    check(bound, ramp(4, 2).T)


def test_results_are_the_callers() -> None:
    bound = ResidentSession(doubling(), Place())
    results = [bound.run(None, {"x": np.full((1, 2), n, np.float32)})[0] for n in range(4)]
    assert [result[0, 0] for result in results] == [0, 2, 4, 6]


def test_a_shape_is_recorded_at_its_second_run() -> None:
    recorder = Recorder()
    bound = ResidentSession(recorder, Place(), records=True)
    for frames in (2, 2, 2, 3, 2, 3, 4):
        check(bound, ramp(1, frames))
    assert recorder.graph_ids == ["-1", "1", "1", "-1", "1", "2", "-1"]


def test_recording_ends_where_it_fails_and_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(fails=True)
    bound = ResidentSession(recorder, Place(), records=True)
    for _ in range(3):
        check(bound, ramp(1, 2))
    assert recorder.graph_ids == ["-1", "1", "-1", "-1"]

    monkeypatch.setattr(resident, "_MOST_RECORDED", 1)
    recorder = Recorder()
    bound = ResidentSession(recorder, Place(), records=True)
    for frames in (2, 2, 3, 3):
        check(bound, ramp(1, frames))
    assert recorder.graph_ids == ["-1", "1", "-1", "-1"]


def test_buffers_of_old_shapes_give_way_and_are_recorded_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resident, "_MOST_SHAPES", 2)
    recorder = Recorder()
    bound = ResidentSession(recorder, Place(), records=True)
    for frames in (2, 2, 3, 4, 2, 2):
        check(bound, ramp(1, frames))
    assert recorder.graph_ids == ["-1", "1", "-1", "-1", "-1", "2"]


class Made:
    """A session that says which providers it has."""

    def __init__(self, *providers: str) -> None:
        self._providers = list(providers)

    def get_providers(self) -> list[str]:
        return self._providers


def test_cuda_falls_back_step_by_step() -> None:
    wanted: list[Provider] = [(CUDA, {"device_id": "1"}), "CPUExecutionProvider"]
    asked: list[Any] = []

    def make(refused: bool, came_up: bool, providers: Any) -> Made:
        asked.append(providers)
        if refused and "enable_cuda_graph" in providers[0][1]:
            raise RuntimeError("a part of the graph is left to the CPU")
        return Made(*([CUDA] if came_up else []), "CPUExecutionProvider")

    assert isinstance(
        opened(lambda providers: make(False, True, providers), wanted), ResidentSession
    )
    assert asked.pop()[0] == (CUDA, {"device_id": "1", "enable_cuda_graph": "1"})
    assert isinstance(
        opened(lambda providers: make(True, True, providers), wanted), ResidentSession
    )
    assert asked[-1] == wanted
    assert isinstance(opened(lambda providers: make(False, False, providers), wanted), Made)
    assert isinstance(opened(lambda providers: Made(), ["CPUExecutionProvider"]), Made)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_the_options_are_known_to_this_onnx_runtime(device: str) -> None:
    library = f"libonnxruntime_providers_{device}.so"
    path = Path(onnxruntime.__file__).parent / "capi" / library
    if not path.exists():
        pytest.skip(f"this ONNX Runtime has no {library}")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
        names = {*OPTIONS[device], *(["enable_cuda_graph"] if device == "cuda" else [])}
        assert [name for name in names if code.find(b"\0%s\0" % name.encode()) < 0] == []


def test_the_cpu_runs_without_buffers(tiny_folder: Path) -> None:
    graph = session.Graph(tiny_folder / "unet.onnx", ["CPUExecutionProvider"], 1)
    assert isinstance(graph.load(), onnxruntime.InferenceSession)


def test_a_unet_computes_the_same_with_buffers(tiny_folder: Path) -> None:
    plain = session.Graph(tiny_folder / "unet.onnx", ["CPUExecutionProvider"], 1).load()
    bound = ResidentSession(plain, Place())
    random = np.random.default_rng(0)
    sizes = {
        put.name: [size if isinstance(size, int) else 2 for size in put.shape]
        for put in plain.get_inputs()
    }
    for frames in (8, 16, 8):
        sizes["sample"][0], sizes["sample"][2] = 2, frames
        inputs = {
            name: random.standard_normal(size).astype(np.float32) for name, size in sizes.items()
        }
        assert np.array_equal(bound.run(None, inputs)[0], plain.run(None, inputs)[0])
