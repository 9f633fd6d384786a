"""The CLAP towers of a model folder, for searching the library by sound.

They are loaded outside of the worker, on the CPU, when somebody first searches, and stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.model.manifest import Manifest

if TYPE_CHECKING:
    from server.model.text import Embedding

__all__ = ["ClapTowers"]


class ClapTowers:
    """The text and the audio tower in ``folder``; both are slow, so call them in a thread.

    Raises:
        ModelError: the folder is no model folder.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        from server.model.clap_audio import ClapAudio
        from server.model.session import Graph, providers_for
        from server.model.text import TextEncoder

        manifest = Manifest.load(folder)
        self.tower = manifest.files["audio_encoder.onnx"].sha256
        """Embeddings of one tower mean nothing to another."""
        providers = providers_for("cpu")
        text = Graph(folder / "text_encoder.onnx", providers, threads)
        audio = Graph(folder / "audio_encoder.onnx", providers, threads)
        self._text = TextEncoder(folder, manifest, text)
        self._audio = ClapAudio(manifest, audio)

    def words(self, text: str) -> Embedding:
        """The unit-length embedding [D] of ``text``."""
        return self._text(text)

    def sound(self, path: Path) -> Embedding:
        """The unit-length embedding [D] of an audio file; zero where it is silent.

        Raises:
            UnreadableAudio: it is gone, or no audio.
            RenderError: the tower failed.
        """
        from server.audio.waveform import Waveform

        return self._audio(Waveform.read(path))
