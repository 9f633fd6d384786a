"""A client that plays, submits, cancels and sends nonsense at random, and counts its jobs."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.endurance.soak_report import Report
from osc_bridge.client.client import Client

__all__ = ["PROMPTS", "RandomClient"]


PROMPTS: Final = ("rain", "wind in trees", "bells", "a river", "thunder", "birds at dawn")
FINISH_S: Final = 180.0


class RandomClient:
    """An OSC client that acts at random and counts its jobs."""

    def __init__(self, port: int, draw: random.Random, report: Report) -> None:
        self._port = port
        self._draw = draw
        self._report = report
        self._open: dict[str, float] = {}
        self._numbers = 0
        self.actions: Counter[str] = Counter()

    def run(self, until_s: float, stop: threading.Event) -> None:
        """Act until ``until_s``, then wait for the unfinished jobs."""
        with Client(port=self._port, transport="tcp") as client:
            client.query("/ldm/notify", 0)
            while time.monotonic() < until_s and not stop.is_set():
                self._act(client)
                self._receive(client, self._draw.uniform(0.02, 0.3))
            deadline = time.monotonic() + FINISH_S
            while self._open and time.monotonic() < deadline and not stop.is_set():
                self._receive(client, 0.2)
        self._report.lost = sorted(self._open)

    def _act(self, client: Client) -> None:
        acts: list[tuple[int, str, Callable[[Client], None]]] = [
            (30, "hit a pad", self._hit),
            (8, "submit a job", self._submit),
            (4, "cancel a job", self._cancel),
            (6, "move the stream", self._move),
            (2, "change the stream's prompt", self._change_prompt),
            (2, "refresh a pad", self._refresh),
            (3, "change the tempo", self._tempo),
            (20, "set a value", self._set),
            (2, "capture", self._capture),
            (3, "nonsense", self._nonsense),
        ]
        _, name, act = self._draw.choices(acts, [weight for weight, *_ in acts])[0]
        self.actions[name] += 1
        act(client)

    def _hit(self, client: Client) -> None:
        client.send("/ldm/pad/hit", self._draw.choice(("hit", "bed", "air")), self._draw.random())

    def _submit(self, client: Client) -> None:
        if len(self._open) > 6:
            return
        self._numbers += 1
        request_id = f"soak-{self._numbers}"
        seconds = self._draw.uniform(0.5, 3.0)
        self._open[request_id] = time.monotonic()
        prompt = self._draw.choice(PROMPTS)
        client.send(
            "/ldm/text", request_id, prompt, "num_inference_steps", self._draw.randint(1, 6),
            "audio_length_in_s", seconds,
        )  # fmt: skip

    def _cancel(self, client: Client) -> None:
        if self._open:
            client.send("/ldm/job/cancel", self._draw.choice(list(self._open)))

    def _move(self, client: Client) -> None:
        client.send("/ldm/stream/xy", self._draw.random(), self._draw.random())

    def _change_prompt(self, client: Client) -> None:
        client.send("/ldm/stream/prompt", self._draw.choice(PROMPTS), self._draw.uniform(0.0, 4.0))

    def _refresh(self, client: Client) -> None:
        client.send("/ldm/pad/refresh", self._draw.choice(("hit", "bed")))

    def _tempo(self, client: Client) -> None:
        client.send("/ldm/transport/tempo", self._draw.uniform(90.0, 150.0))

    def _set(self, client: Client) -> None:
        client.send("/ldm/set/guidance_scale", self._draw.uniform(1.0, 6.0))

    def _capture(self, client: Client) -> None:
        client.send("/ldm/capture/save", 1.0, "played", "soak.wav")

    def _nonsense(self, client: Client) -> None:
        client.send(self._draw.choice(("/ldm/pad/hit", "/ldm/nothing", "/ldm/text")), "x", -1.0)

    def _receive(self, client: Client, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            message = client.receive(left)
            if message is None:
                return
            if message.address == "/ldm/capture/saved":
                Path(message.arguments[0]).unlink(missing_ok=True)
            final = message.address in ("/ldm/job/done", "/ldm/job/fail")
            if final and self._open.pop(str(message.arguments[0]), 0.0):
                self._report.jobs += 1
                done = message.address == "/ldm/job/done"
                self._report.done += done
                self._report.failed_with_message += not done
