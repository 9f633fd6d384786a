"""A PyTorch checkpoint file: its tensors by name, and clear sentences when it is not one."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from server.errors import ModelError

__all__ = ["TorchFile"]


@dataclass(frozen=True, eq=False)
class TorchFile:
    """The state dict of ``path``; tensors stay on disk until they are used."""

    path: Path
    tensors: dict[str, torch.Tensor]

    @classmethod
    def read(cls, path: Path, *, trust: bool = False) -> TorchFile:
        """Read ``path`` without running code from it.

        Args:
            path: written by ``torch.save``: a state dict, or a dict with a ``state_dict``.
            trust: unpickle arbitrary objects, which can run code.

        Raises:
            ModelError: not a checkpoint, truncated, or in need of ``trust``.
        """
        try:
            # Only the zip format of torch >= 1.6 can be mapped instead of read.
            mapped = zipfile.is_zipfile(path)
            content = torch.load(path, map_location="cpu", mmap=mapped, weights_only=not trust)
        except pickle.UnpicklingError as error:
            raise ModelError(_explanation(path, error)) from error
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ModelError(
                f"{path} cannot be read as a PyTorch checkpoint: it is truncated or of another "
                f"kind ({reason})"
            ) from error
        tensors = _state_dict(content)
        if not tensors:
            raise ModelError(f"{path} holds no state dict, so it is no model checkpoint")
        return cls(path, tensors)

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self.tensors:
            raise ModelError(
                f"{self.path} is foreign or incomplete: {name} is not among its "
                f"{len(self.tensors)} tensors"
            )
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def walk(self, pattern: str, start: int = 0, step: int = 1) -> Iterator[torch.Tensor]:
        """The tensors ``pattern`` with ``{}`` = start, start + step, ... as far as they exist.

        The first one must exist.
        """
        yield self[pattern.format(start)]
        while (name := pattern.format(start := start + step)) in self.tensors:
            yield self.tensors[name]


def _state_dict(content: Any) -> dict[str, torch.Tensor]:
    tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    return {name: value for name, value in tensors.items() if torch.is_tensor(value)}


def _explanation(path: Path, error: pickle.UnpicklingError) -> str:
    if "GLOBAL" in str(error):
        return (
            f"{path} holds Python objects besides its weights, and reading those can run code; "
            "if you trust where it comes from, add --trust-pickle"
        )
    return f"{path} is no PyTorch checkpoint, or it is truncated"
