"""The CLAP towers of a model folder, outside of the worker, for the search by sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.model.manifest import Manifest

if TYPE_CHECKING:
    from server.model.text import Embedding

__all__ = ["ClapTowers"]


class ClapTowers:
    """The text tower and the audio tower in ``folder``, on the CPU.

    Both take long; call them in a thread. Graphs are loaded at their first use.

    Raises:
        ModelError: the folder is no model folder.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        from server.model.clap_audio import ClapAudio
        from server.model.session import Graph, providers_for
        from server.model.text import TextEncoder

        manifest = Manifest.load(folder)
        self.audio_tower = manifest.audio_tower
        """Identity of the audio tower; embeddings of different towers are not comparable."""
        providers = providers_for("cpu")
        text = Graph(folder / "text_encoder.onnx", providers, threads)
        audio = Graph(folder / "audio_encoder.onnx", providers, threads)
        self._text = TextEncoder(folder, manifest, text)
        self._audio = ClapAudio(manifest, audio)

    def embed_text(self, text: str) -> Embedding:
        """The unit-length embedding [D] of ``text``."""
        return self._text(text)

    def embed_file(self, path: Path) -> Embedding:
        """The unit-length embedding [D] of an audio file; zeros where the tower gives zeros.

        Raises:
            UnreadableAudio: the file is gone, or not audio.
            RenderError: the tower fails on it.
        """
        from server.audio.waveform import Waveform

        return self._audio(Waveform.read(path))
