"""The process that renders: one a device, so that a crash, a hang or a full memory stays in it.

Commands come on standard input and events leave on standard output (:mod:`server.worker.protocol`).
When the input closes, the engine is gone and so is this process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from server.audio.fence.child import NICENESS
from server.audio.interruption import interruptible, set_interruption
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, Cancelled, ModelError, RenderError, StorageFull
from server.jobs.job import TakeInfo, take_name
from server.jobs.storage import check_room, write_whole
from server.logs import set_up_logs
from server.model.schedule import Latents
from server.render.denoise import Work
from server.render.joining import joined, parted
from server.render.pipeline import WARM_UP_S, Pipeline
from server.render.preview import PREVIEW_FORMAT
from server.render.take import Take
from server.worker.device_schedule import Running, next_on_device
from server.worker.protocol import (
    Cancel,
    Done,
    Failed,
    FromWorker,
    Loading,
    OnDevice,
    Previewed,
    Ready,
    Render,
    Step,
    read_command,
    write_event,
)

__all__ = ["main", "store"]

_SIGN_OF_LIFE_S = 10.0
"""So often at least the engine is told that a piece of work goes on."""


class Worker:
    """Renders the jobs it is given, step by step, and reports to the engine."""

    def __init__(
        self, pipeline: Pipeline, commands: BinaryIO, events: BinaryIO, step_s: float = 0.0
    ) -> None:
        self._pipeline = pipeline
        self._step_s = step_s
        self._events = events
        self._orders: queue.SimpleQueue[Render] = queue.SimpleQueue()
        self._running: list[Running] = []
        self._on_device: tuple[str, ...] = ()
        self._cancelled: set[str] = set()
        self._under_way: list[Running] = []
        """The job whose piece of work has begun, and the live one that interrupted it."""
        self._interrupted: Running | None = None
        self._sent_s = 0.0
        set_interruption(self._between_passes)
        threading.Thread(target=self._read_commands, args=(commands,), daemon=True).start()

    def run(self) -> None:
        """Render until the engine is gone."""
        unet = self._pipeline.unet
        providers = tuple(self._pipeline.graphs["unet"].providers)
        self._send(Ready(providers, unet.frames_a_call, step_s=self._step_s, step_of_s=WARM_UP_S))
        while True:
            self._take_up()
            self._drop_cancelled()
            if self._running:
                self._advance(next_on_device(self._running, unet.frames_a_call))

    def _take_up(self) -> None:
        """New jobs; waits where there is nothing else to do."""
        while not (self._running and self._orders.empty()):
            order = self._orders.get()
            self._running.append(Running(order, self._rendering(order)))

    def _between_passes(self) -> None:
        """At a point of a piece of work, which may be long.

        Raises:
            Cancelled: the job is.
        """
        job = self._under_way[-1] if self._under_way else None
        if job is None or job is self._interrupted:
            return  # the run is a unet call, which is no part of a piece
        if time.monotonic() - self._sent_s > _SIGN_OF_LIFE_S:
            self._send(OnDevice((job.order.job_id,)))
        if not job.order.live:
            self._let_live_jobs_go_first(job)
        if job.order.job_id in self._cancelled:
            raise Cancelled("cancelled")

    def _let_live_jobs_go_first(self, interrupted: Running) -> None:
        self._interrupted = interrupted
        self._take_up()
        while live := [job for job in self._running if job.order.live]:
            self._advance(next_on_device(live, self._pipeline.unet.frames_a_call))
            self._take_up()
            self._drop_cancelled()
        self._interrupted = None
        self._put_on_device([interrupted])

    def _drop_cancelled(self) -> None:
        for job in tuple(self._running):
            if job.order.job_id in self._cancelled and job not in self._under_way:
                self._end(job, Failed(job.order.job_id, Cancelled.code, "cancelled"))

    def _advance(self, jobs: list[Running]) -> None:
        """One piece of work of each of ``jobs``, which share it where they are several."""
        self._put_on_device(jobs)
        calls = [job.call for job in jobs if job.call is not None]
        if not calls:
            self._go_on(jobs[0], None)
            return
        try:
            outputs = parted(self._pipeline.unet(joined(calls)), calls)
        except Exception as error:
            if len(jobs) == 1:
                self._end(jobs[0], _failure(jobs[0].order.job_id, error))
            else:
                # One of them may be the cause; the others go on.
                for job in jobs:
                    self._advance([job])
            return
        for job, output in zip(jobs, outputs, strict=True):
            self._go_on(job, output)

    def _put_on_device(self, jobs: list[Running]) -> None:
        on_device = tuple(job.order.job_id for job in jobs)
        if on_device != self._on_device:
            self._on_device = on_device
            self._send(OnDevice(on_device))

    def _go_on(self, job: Running, answer: Latents | None) -> None:
        job_id = job.order.job_id
        ended: Done | Failed | None = None
        self._under_way.append(job)
        try:
            job.call = job.work.send(answer)
        except StopIteration as end:
            ended = Done(job_id, end.value)
        except Exception as error:
            ended = _failure(job_id, error)
        finally:
            self._under_way.pop()
        if ended is not None:
            self._end(job, ended)

    def _end(self, job: Running, event: Done | Failed) -> None:
        job.work.close()
        self._running.remove(job)
        self._send(event)
        self._cancelled.discard(job.order.job_id)

    def _rendering(self, order: Render) -> Work[tuple[TakeInfo, ...]]:
        def on_step(done: int, total: int) -> None:
            self._send(Step(order.job_id, done, total))

        def on_preview(done: int, sound: Waveform) -> None:
            if order.preview is not None:
                data = sound.encode(PREVIEW_FORMAT)
                with contextlib.suppress(StorageFull):  # no room for it costs no take
                    check_room(order.preview.parent, len(data))
                    write_whole(order.preview, data)
                    self._send(Previewed(order.job_id, done))

        takes = yield from self._pipeline.rendering(order.request, on_step, on_preview)
        return tuple(
            store(take, order.folder / f"{_name(order, take, k)}.{take.extension}")
            for k, take in enumerate(takes, 1)
        )

    def _read_commands(self, commands: BinaryIO) -> None:
        while (command := read_command(commands)) is not None:
            if isinstance(command, Cancel):
                self._cancelled.add(command.job_id)
            else:
                self._orders.put(command)
        os._exit(0)

    def _send(self, event: FromWorker) -> None:
        self._sent_s = time.monotonic()
        try:
            write_event(self._events, event)
        except BrokenPipeError:
            os._exit(0)


def _name(order: Render, take: Take, number: int) -> str:
    return take_name(order.words, take.seed, order.job_id, number)


def _failure(job_id: str, error: Exception) -> Failed:
    if isinstance(error, MemoryError):
        return Failed(job_id, RenderError.code, "out of memory; ask for less at a time")
    if isinstance(error, AudioLDMError):
        return Failed(job_id, error.code, str(error))
    return Failed(job_id, RenderError.code, f"{type(error).__name__}: {error}")


def store(take: Take, path: Path) -> TakeInfo:
    """Write a take whole; returns its description."""
    encoded = take.encode()
    interruptible()
    write_whole(path, encoded)
    sound = take.waveform
    return TakeInfo(
        path=path,
        seed=take.seed,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        frames=sound.frames,
        score=take.measures.get("score"),
        measures=take.measures,
        warnings=take.warnings,
        embedding=b"" if take.embedding is None else take.embedding.astype("<f2").tobytes(),
        audio_tower=take.audio_tower,
    )


def main() -> None:
    """Entry point of ``python -m server.worker.main``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder of compiled graphs")
    options = parser.parse_args()
    # Ctrl-C in a terminal reaches every process of the group; the engine decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a library prints must not end up among the events.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    set_up_logs()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # The meter of loudness brings all of scipy.signal: half a second, in which the graphs load.
    threading.Thread(target=import_module, args=("pyloudnorm",), daemon=True).start()
    try:
        pipeline = Pipeline(options.model, options.device, options.threads, cache=options.cache)
        step_s = pipeline.warm_up(lambda done, total: write_event(events, Loading(done, total)))
    except AudioLDMError as error:
        write_event(events, Failed("", error.code, str(error)))
        sys.exit(1)
    except Exception as error:
        write_event(events, Failed("", ModelError.code, f"{options.model}: {error!r}"))
        raise
    Worker(pipeline, sys.stdin.buffer, events, step_s).run()


if __name__ == "__main__":
    main()
