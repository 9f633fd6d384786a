"""Long work can be interrupted: a cancel at any of its points ends the job there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from server.audio.interruption import set_interruption
from server.audio.waveform import Waveform
from server.errors import Cancelled
from server.render.pipeline import Pipeline
from server.requests.request import AnyRequest, Continue, Inpaint, TextToAudio, Transfer, Upscale
from server.worker.main import store

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    yield
    set_interruption(lambda: None)


def clip(folder: Path, seconds: float, rate: int = 44100) -> str:
    noise = np.random.default_rng(1).normal(0, 0.1, (round(seconds * rate), 2))
    (folder / "clip.wav").write_bytes(Waveform(noise.astype(np.float32), rate).encode("wav16"))
    return str(folder / "clip.wav")


def requests(folder: Path) -> dict[str, AnyRequest]:
    path = clip(folder, 2.0)
    return {
        "text": TextToAudio(prompt="a", seed=1, num_inference_steps=1, audio_length_in_s=1.0),
        "transfer": Transfer(prompt="a", clip=path, seed=1, num_inference_steps=1),
        "inpaint": Inpaint(prompt="a", clip=path, regions="1:1.5", seed=1, num_inference_steps=1),
        "continue": Continue(prompt="a", clip=path, seed=1, num_inference_steps=1),
        "upscale": Upscale(clip=path, cutoff_hz=3000.0, seed=1, num_inference_steps=1),
    }


def points_of(work: Callable[[], object], last: int = 0) -> int:
    """How many points ``work`` has; at the last one it is cancelled."""
    count = 0

    def point() -> None:
        nonlocal count
        count += 1
        if count == last:
            raise Cancelled("cancelled")

    set_interruption(point)
    work()
    return count


@pytest.mark.parametrize("kind", ["text", "transfer", "inpaint", "continue", "upscale"])
def test_a_cancel_ends_the_work_wherever_it_is(
    tiny_pipeline: Pipeline, tmp_path: Path, kind: str
) -> None:
    request = requests(tmp_path)[kind]

    def work() -> None:
        for take in tiny_pipeline.render(request):
            store(take, tmp_path / "take.wav")

    work()  # embeds the prompt, once
    total = points_of(work)
    assert total > 10
    (tmp_path / "take.wav").unlink()
    for last in {1, 2, 3, *range(4, total, max(1, total // 8)), total - 1, total}:
        with pytest.raises(Cancelled):
            points_of(work, last)
        assert not (tmp_path / "take.wav").exists()
    assert points_of(work) == total


@pytest.mark.slow
def test_no_pass_over_ten_minutes_is_long(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    """Of processor time; all of it takes five times as long."""
    request = Inpaint(
        prompt="a", clip=clip(tmp_path, 600.0), regions="1:1.2", seed=1, num_inference_steps=1
    )
    passes: list[float] = []

    def point() -> None:
        passes.append(time.thread_time())

    set_interruption(point)
    for take in tiny_pipeline.render(request):
        store(take, tmp_path / "take.wav")
    assert np.diff(passes).max() < 3.0
