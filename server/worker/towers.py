"""The CLAP towers of a model folder, for the search by sound: in a process with limits.

A model folder comes from anywhere, and ONNX Runtime does what its graphs say. So they never run in
the process that answers clients.
"""

from __future__ import annotations

import argparse
import threading
import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from server.audio.fence.child import Child, ChildLost
from server.audio.fence.inside import confine, parents_socket, questions, reply
from server.errors import AudioLDMError, ModelError, error_for
from server.model.manifest import Manifest

if TYPE_CHECKING:
    from server.model.text import Embedding

__all__ = ["AUDIO_TOWER", "ClapTowers", "memory_limit"]

_LOAD_S: Final = 120.0
_EMBED_S: Final = 60.0
AUDIO_TOWER: Final = "audio_encoder.onnx"
_TOWERS: Final = ("text_encoder.onnx", AUDIO_TOWER)
_BASE_BYTES: Final = 768 * 2**20
"""The process, a decoded take of ten minutes and its resampled copies."""
_FACTOR: Final = 7.0
"""Bytes in memory for each byte of a graph: int8 weights become float32 at load."""


class _Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    text: str = ""
    file: str = ""


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    embedding: bytes = b""
    """float32, little-endian."""
    code: str = ""
    error: str = ""


class ClapTowers:
    """The text tower and the audio tower in ``folder``, on the CPU of a process of their own.

    All methods wait; call them in a thread, or in several, which take turns. The process is started
    at the first question, and again after it has died.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asking = threading.Lock()
        self._child: Child | None = None
        self._end = weakref.finalize(self, lambda: None)

    @cached_property
    def audio_tower(self) -> str:
        """Identity of the audio tower; embeddings of different towers are not comparable.

        Raises:
            ModelError: the folder is no model folder, or a file of it is damaged.
        """
        manifest = Manifest.load(self._folder)
        manifest.verify(self._folder)
        return manifest.audio_tower

    def embed_text(self, text: str) -> Embedding:
        """The unit-length embedding [D] of ``text``.

        Raises:
            ModelError: the tower cannot be used.
        """
        with self._asking:
            return self._embedding(_Ask(text=text))

    def embed_file(self, path: Path) -> Embedding:
        """The unit-length embedding [D] of an audio file; zeros where the tower gives zeros.

        Raises:
            UnreadableAudio: the file is gone, or not audio.
            RenderError: the tower fails on it.
            ModelError: the tower cannot be used.
        """
        with self._asking:
            return self._embedding(_Ask(file=str(path)))

    def close(self) -> None:
        """End the process; it ends with this object and with the program, too."""
        self._child = None
        self._end()

    def _embedding(self, ask: _Ask) -> Embedding:
        import numpy as np

        patience_s = _EMBED_S
        if self._child is None or not self._child.alive:
            _ = self.audio_tower  # the folder has been verified
            self.close()
            self._child = Child("server.worker.towers", str(self._folder))
            self._end = weakref.finalize(self, self._child.close)
            patience_s = _LOAD_S
        try:
            answer = self._child.asked(ask, _Answer, patience_s)
        except ChildLost as error:
            self.close()
            raise ModelError(
                f"the CLAP towers of {self._folder} need more than "
                f"{memory_limit(self._folder) // 2**20} MiB or {patience_s:.0f} s, or crashed"
            ) from error
        if answer.error:
            raise error_for(answer.code, answer.error)
        return np.frombuffer(answer.embedding, "<f4").astype(np.float32)


def memory_limit(folder: Path, towers: Sequence[str] = _TOWERS) -> int:
    """Bytes that a process may take that runs these ``towers`` of a model folder."""
    return round(_BASE_BYTES + _FACTOR * sum((folder / name).stat().st_size for name in towers))


class _Towers:
    """Both towers, in the process with limits. Graphs are loaded at their first use."""

    def __init__(self, folder: Path) -> None:
        from server.model.clap_audio import ClapAudio
        from server.model.session import Graph, providers_for
        from server.model.text import TextEncoder

        manifest, providers = Manifest.load(folder), providers_for("cpu")
        text, audio = (Graph(folder / name, providers, 1) for name in _TOWERS)
        self._text = TextEncoder(folder, manifest, text)
        self._audio = ClapAudio(manifest, audio)

    def embedding(self, ask: _Ask) -> Embedding:
        """The embedding of a text or of a file."""
        from server.audio.fence.regular import open_regular, under_its_descriptor
        from server.audio.waveform import Waveform

        if not ask.file:
            return self._text(ask.text)
        path = Path(ask.file)
        with (
            open_regular(path) as descriptor,
            under_its_descriptor(path, descriptor) as opened,
        ):
            return self._audio(Waveform.read(opened))


def main() -> None:
    """Entry point of ``python -m server.worker.towers FOLDER``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    connection = parents_socket()
    confine("RLIMIT_DATA", memory_limit(folder))
    towers = _Towers(folder)
    for ask in questions(connection, _Ask):
        try:
            embedding = towers.embedding(ask).astype("<f4").tobytes()
            reply(connection, _Answer(embedding=embedding))
        except AudioLDMError as error:
            reply(connection, _Answer(code=error.code, error=str(error)))


if __name__ == "__main__":
    main()
