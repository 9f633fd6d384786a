"""A program that answers each line on its input with a line on its output."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


class Talking:
    """The running program; what it prints as errors goes to `log`."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=folder,
                text=True, env={**os.environ, **(environment or {})},
            )  # fmt: skip

    def ask(self, command: str) -> str:
        """The answer to a command."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer, f"it died at {command}: {self.errors()}"
        assert not answer.startswith("error"), f"{command}: {answer}\n{self.errors()}"
        return answer

    def close(self) -> int:
        """End it; its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(60)
        self.process.stdout.close()
        return status

    def errors(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-6000:]
