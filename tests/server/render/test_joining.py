"""Jobs that share the device: their order, what is joined, and that takes stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from server.config import built_in_model
from server.errors import TooLarge
from server.jobs.job import TakeInfo
from server.model.session import Graph, OutOfMemory
from server.render.denoise import UnetCall, Work
from server.render.joining import JoinedUnet, joined, parted
from server.render.pipeline import Pipeline
from server.render.take import Take
from server.render.working_memory import FreeMemory
from server.requests.request import TextToAudio
from server.requests.resolved import resolve
from server.worker.device_schedule import Running, next_on_device
from server.worker.protocol import Render

SHORT = TextToAudio(prompt="low", seed=1, num_inference_steps=4, audio_length_in_s=0.5)


def call(rows: int, frames: int) -> UnetCall:
    return UnetCall(
        np.zeros((rows, 1, frames, 1), np.float32),
        np.zeros(rows, np.float32),
        np.zeros((rows, 1), np.float32),
    )


def nothing() -> Work[tuple[TakeInfo, ...]]:
    yield None
    return ()


def running(name: str, live: bool, next_call: UnetCall | None) -> Running:
    return Running(Render(name, SHORT, Path(), name, live), nothing(), next_call)


def names(jobs: list[Running], frames_a_call: int) -> str:
    return "".join(job.order.job_id for job in next_on_device(jobs, frames_a_call))


def test_live_jobs_go_first_and_calls_of_one_length_go_together() -> None:
    a, b = running("a", False, call(2, 32)), running("b", False, call(2, 32))
    c, d = running("c", False, call(2, 64)), running("d", False, call(2, 32))
    assert names([a, b, c, d], 512) == "abd"
    assert names([a, b, c, d], 128) == "ab"
    assert names([a, b, c, d], 1) == "a", "a lone call may be larger than the device likes"
    planning = running("e", False, None)
    assert names([a, b, planning], 512) == "e", "so that it can join at the next step"
    live = running("x", True, call(2, 32))
    assert names([a, planning, live], 512) == "x", "bulk work does not slow down a live step"
    assert names([a, live, running("y", True, call(2, 32))], 512) == "xy"


def test_a_live_job_waits_for_no_more_than_the_call_that_has_begun(
    tiny_pipeline: Pipeline,
) -> None:
    bulk = Running(Render("bulk", SHORT, Path(), "", live=False), work(tiny_pipeline, SHORT))
    live = Running(Render("live", SHORT, Path(), "", live=True), work(tiny_pipeline, SHORT))
    jobs, turns = [bulk], []
    while jobs:
        (job,) = next_on_device(jobs, tiny_pipeline.unet.frames_a_call)
        turns.append(job.order.job_id)
        if len(turns) == 3:
            jobs.append(live)
        answer = None if job.call is None else tiny_pipeline.unet(job.call)
        try:
            job.call = job.work.send(answer)
        except StopIteration:
            jobs.remove(job)
    first = turns.index("live")
    assert first == 3
    assert set(turns[first : turns.count("live") + first]) == {"live"}


def work(pipeline: Pipeline, request: TextToAudio) -> Any:
    return pipeline.rendering(resolve(request, pipeline.manifest), lambda done, total: None)


def together(pipeline: Pipeline, requests: list[TextToAudio]) -> tuple[list[list[Take]], int]:
    """The takes of all requests, begun one step after the other, and the most rows of a call."""
    results: dict[str, list[Take]] = {}
    waiting = [
        Running(Render(str(k), request, Path(), "", live=True), work(pipeline, request))
        for k, request in enumerate(requests)
    ]
    jobs: list[Running] = []
    most = 0
    while waiting or jobs:
        if waiting:
            jobs.append(waiting.pop(0))
        chosen = next_on_device(jobs, 10_000)
        calls = [job.call for job in chosen if job.call is not None]
        answers: list[Any] = [None]
        if calls:
            one = joined(calls)
            most = max(most, len(one))
            answers = parted(pipeline.unet(one), calls)
        for job, answer in zip(chosen, answers, strict=True):
            try:
                job.call = job.work.send(answer)
            except StopIteration as end:
                results[job.order.job_id] = end.value
                jobs.remove(job)
    return [results[str(k)] for k in range(len(requests))], most


@pytest.mark.parametrize("model", ["tiny graphs", "built in"])
@pytest.mark.integration
def test_a_take_sounds_the_same_alone_and_joined(tiny_pipeline: Pipeline, model: str) -> None:
    pipeline = tiny_pipeline if model == "tiny graphs" else Pipeline(built_in_model(), "cpu", 1)
    requests = [
        SHORT,
        msgspec.structs.replace(SHORT, prompt="high hiss", seed=2, num_inference_steps=6),
        msgspec.structs.replace(SHORT, guidance_scale=1.0, seed=3, sampler="dpmpp_2m"),
        msgspec.structs.replace(SHORT, num_waveforms_per_prompt=3, eta=0.5, sampler="ddim"),
    ]
    found, most = together(pipeline, requests)
    assert most >= 2 + 2 + 1
    for request, takes in zip(requests, found, strict=True):
        alone = pipeline.render(request)
        for a, b in zip(alone, takes, strict=True):
            assert a.recipe == b.recipe
            difference = np.abs(a.waveform.samples - b.waveform.samples).max()
            assert difference <= 1e-4, f"{difference:.1e}"


class SmallDevice(Graph):
    """Has memory for ``rows`` rows and no more."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked: list[int] = []

    def __call__(self, **inputs: Any) -> list[Any]:
        self.asked.append(len(inputs["sample"]))
        if self.asked[-1] > self.rows:
            raise OutOfMemory("unet failed: Failed to allocate memory")
        return [inputs["sample"] + inputs["timestep"][:, None, None, None]]


def test_a_full_device_gets_half_as_much_from_then_on() -> None:
    device = SmallDevice(rows=2)
    unet = JoinedUnet(device, on_cpu=True)
    rows = UnetCall(
        np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1) * np.ones((1, 1, 16, 1), np.float32),
        np.arange(8, dtype=np.float32),
        np.zeros((8, 1), np.float32),
    )
    np.testing.assert_array_equal(unet(rows)[:, 0, 0, 0], 2 * np.arange(8))
    assert device.asked == [8, 4, 2, 2, 4, 2, 2]
    assert unet.frames_a_call == 2 * 16
    device.rows = 0
    with pytest.raises(OutOfMemory, match="16 latent frames are too many at a time even alone"):
        unet(rows)


def test_onnx_runtime_says_that_the_memory_is_full_and_goes_on(tmp_path: Path) -> None:
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [1])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N"])
    node = helper.make_node("ConstantOfShape", ["shape"], ["out"])
    graph = helper.make_graph([node], "hungry", [shape], [out])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "hungry.onnx")
    hungry = Graph(tmp_path / "hungry.onnx", ["CPUExecutionProvider"], 1)
    with pytest.raises(OutOfMemory, match="hungry failed"):
        hungry(shape=np.array([2**55], np.int64))
    assert hungry(shape=np.array([3], np.int64))[0].shape == (3,)


def test_what_does_not_fit_is_split_and_then_refused(tiny_folder: Path) -> None:
    free = FreeMemory(2**40)
    pipeline = Pipeline(tiny_folder, "cpu", 1, free=lambda on_cpu: free)
    request = msgspec.structs.replace(SHORT, num_waveforms_per_prompt=4)
    plenty = pipeline.render(request)
    free = FreeMemory(1_700_000)
    seen: list[tuple[int, int]] = []
    split = pipeline.render(request, lambda *step: seen.append(step))
    assert len(seen) > 3 + 4, "it was denoised in groups"
    assert seen == sorted(seen)
    assert seen[-1] == (4, 4)
    for a, b in zip(plenty, split, strict=True):
        np.testing.assert_allclose(a.waveform.samples, b.waveform.samples, atol=1e-4)
    free = FreeMemory(400_000)
    with pytest.raises(TooLarge, match=r"4 x 1 s need about .* MiB .* and 0 MiB are free"):
        pipeline.render(request)


def test_every_take_has_its_clap_embedding(tiny_pipeline: Pipeline) -> None:
    (take,) = tiny_pipeline.render(SHORT)
    assert take.embedding is not None
    np.testing.assert_allclose(take.embedding, tiny_pipeline.audio(take.waveform), atol=1e-6)
