"""The process that renders: one a device, so that a crash, a hang or a full memory stays in it.

Commands come on standard input and events leave on standard output (:mod:`server.wire`). When
the input closes, the engine is gone and so is this process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from server.errors import AudioLDMError, Cancelled, ModelError, StorageFull
from server.jobs import TakeInfo
from server.pipeline import Pipeline, Take
from server.wire import (
    Cancel,
    Done,
    Failed,
    FromWorker,
    Ready,
    Render,
    Started,
    Step,
    read_command,
    write_event,
)

__all__ = ["main", "store"]

_NICENESS = 5
"""Rendering yields to the sound card and to the DAW."""


class Worker:
    """Renders one job after the other and tells the engine."""

    def __init__(self, pipeline: Pipeline, commands: BinaryIO, events: BinaryIO) -> None:
        self._pipeline = pipeline
        self._events = events
        self._jobs: queue.SimpleQueue[Render] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        threading.Thread(target=self._listen, args=(commands,), daemon=True).start()

    def run(self) -> None:
        """Render until the engine is gone."""
        self._tell(Ready(tuple(self._pipeline.graphs["unet"].providers)))
        while True:
            job = self._jobs.get()
            self._tell(Started(job.job_id))
            self._tell(self._outcome(job))
            self._cancelled.discard(job.job_id)

    def _outcome(self, job: Render) -> Done | Failed:
        try:
            return Done(job.job_id, self._render(job))
        except AudioLDMError as error:
            return Failed(job.job_id, error.code, str(error))
        except MemoryError:
            return Failed(job.job_id, "render_error", "out of memory; ask for less at a time")
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            return Failed(job.job_id, "render_error", message)

    def _render(self, job: Render) -> tuple[TakeInfo, ...]:
        def on_step(done: int, total: int) -> None:
            if job.job_id in self._cancelled:
                raise Cancelled(f"job {job.job_id} was cancelled at step {done} of {total}")
            self._tell(Step(job.job_id, done, total))

        takes = self._pipeline.render(job.request, on_step)
        return tuple(
            store(take, job.folder / f"{job.stem}-{k}.{take.extension}")
            for k, take in enumerate(takes, 1)
        )

    def _listen(self, commands: BinaryIO) -> None:
        while (command := read_command(commands)) is not None:
            if isinstance(command, Cancel):
                self._cancelled.add(command.job_id)
            else:
                self._jobs.put(command)
        os._exit(0)

    def _tell(self, event: FromWorker) -> None:
        try:
            write_event(self._events, event)
        except BrokenPipeError:
            os._exit(0)


def store(take: Take, path: Path) -> TakeInfo:
    """Write a take so that it appears whole or not at all, also after a power cut."""
    # The process id keeps a worker that is about to die off the file of its successor.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.write(take.encode())
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageFull(f"{path} cannot be written: {error.strerror}") from error
    sound = take.waveform
    return TakeInfo(
        path=path,
        seed=take.recipe.request.seed or 0,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        frames=sound.frames,
        score=take.measures.get("score"),
        measures=take.measures,
    )


def _sync_folder(folder: Path) -> None:
    """A file's name is durable when its folder is."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def main() -> None:
    """Entry point of ``python -m server.worker``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    # Ctrl-C in a terminal reaches every process of the group; the engine decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a library prints must not end up among the events.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    try:
        pipeline = Pipeline(options.model, options.device, options.threads)
        pipeline.warm_up()
    except AudioLDMError as error:
        write_event(events, Failed("", error.code, str(error)))
        sys.exit(1)
    except Exception as error:
        write_event(events, Failed("", ModelError.code, f"{options.model}: {error!r}"))
        raise
    Worker(pipeline, sys.stdin.buffer, events).run()


if __name__ == "__main__":
    main()
