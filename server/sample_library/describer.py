"""A process of low priority that listens to one file after the other, within limits.

A file that crashes it, keeps it busy or fills its memory is noted as a problem; nothing else
happens. It is started as ``python -m server.sample_library.describer MODEL_FOLDER``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from server.audio.fence.child import Child, ChildLost, Poll, nothing
from server.audio.fence.inside import confine, parents_socket, questions, reply
from server.errors import AudioLDMError, UnreadableAudio, error_for
from server.sample_library.sample import Description
from server.worker.towers import AUDIO_TOWER, memory_limit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from server.audio.waveform import Waveform

__all__ = ["Describer", "LISTENED_S", "digest_of"]

LISTENED_S: Final = 60.0
"""So much of a long file is listened to, from its beginning."""
_CPU_S: Final = 20.0
"""A file may take so much time of the processor."""
_PATIENCE_S: Final = 300.0
"""And so much time in all; the processor may be busy with what is more urgent."""
_NICENESS: Final = 19
"""Everything else goes first, rendering and decoding too."""
_RATE: Final = 16000
_CHUNK_BYTES: Final = 2**20


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    about: Description | None = None
    embedding: bytes = b""
    """float32, little-endian."""
    code: str = ""
    error: str = ""


class Describer:
    """One such process, started at the first file; used from one thread."""

    def __init__(self, model_folder: Path) -> None:
        self._model_folder = model_folder
        self._child: Child | None = None

    def describe(
        self, path: Path, folder: Path, poll: Poll = nothing
    ) -> tuple[Description, npt.NDArray[np.float32]]:
        """Listen to the file at ``path``, which must lie in ``folder``.

        Returns:
            what it is, and its CLAP embedding [D].

        Raises:
            UnreadableAudio: it is no sound, too large, or takes too long.
            AudioLDMError: the model's audio tower fails on it.
        """
        if self._child is None or not self._child.alive:
            self.close()
            module, model = "server.sample_library.describer", str(self._model_folder)
            self._child = Child(module, model, niceness=_NICENESS)
        try:
            question = os.fsencode(path), os.fsencode(folder)
            answer = self._child.asked(question, _Answer, _PATIENCE_S, poll)
        except ChildLost as error:
            self.close()
            raise UnreadableAudio(f"{path} cannot be decoded within bounds") from error
        except BaseException:
            self.close()
            raise
        if answer.about is None:
            raise error_for(answer.code, answer.error)
        return answer.about, _floats(answer.embedding)

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._child = None


def digest_of(path: Path, folder: Path) -> bytes:
    """The digest of a file's content; see :class:`Description`.

    Raises:
        AudioLDMError: it cannot be read, or lies outside of ``folder``.
    """
    from server.audio.fence.regular import open_regular

    with open_regular(_inside(path, folder)) as descriptor:
        return _digest(descriptor)


def _floats(data: bytes) -> npt.NDArray[np.float32]:
    import numpy as np

    return np.frombuffer(data, "<f4").astype(np.float32)


def _inside(path: Path, folder: Path) -> Path:
    """``path``, if no link leads it out of ``folder``.

    Raises:
        UnreadableAudio: one does.
    """
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve(strict=True)) or path.is_symlink():
            raise UnreadableAudio(f"{path} is a link out of {folder}")
    except (OSError, RuntimeError) as error:
        raise UnreadableAudio(f"{path} cannot be opened: {error}") from error
    return real


def _digest(descriptor: int) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()


class _Listener:
    """Describes and embeds files, in the process of low priority."""

    def __init__(self, model_folder: Path) -> None:
        from server.model.clap_audio import ClapAudio
        from server.model.manifest import Manifest
        from server.model.session import Graph, providers_for

        manifest = Manifest.load(model_folder)
        graph = Graph(model_folder / AUDIO_TOWER, providers_for("cpu"), 1)
        self._audio = ClapAudio(manifest, graph)

    def answer(self, path: Path, folder: Path) -> _Answer:
        """Listen to one file.

        Raises:
            AudioLDMError: it cannot be used.
        """
        from server.audio.fence.regular import open_regular, under_its_descriptor

        inside = _inside(path, folder)
        with (
            open_regular(inside) as descriptor,
            under_its_descriptor(inside, descriptor, str(path)) as opened,
        ):
            sound, frames = _head(opened)
            digest = _digest(descriptor)
        return _Answer(
            about=_description(sound, frames, path.stem, digest),
            embedding=self._audio(sound).astype("<f4").tobytes(),
        )


def _head(path: Path) -> tuple[Waveform, int]:
    """The beginning of a sound file, and how many frames the whole has."""
    import numpy as np

    from server.audio.fence.checks import checked_file
    from server.audio.waveform import Waveform

    with checked_file(path) as file:
        rate = file.samplerate
        samples = file.read(round(LISTENED_S * rate), "float32", always_2d=True)
        frames = max(file.frames, len(samples))
    if not len(samples):
        raise UnreadableAudio("the file holds no samples")
    if not np.isfinite(samples).all():
        raise UnreadableAudio("the file holds samples that are not numbers")
    return Waveform(samples, rate), frames


def _description(sound: Waveform, frames: int, name: str, digest: bytes) -> Description:
    from server.audio.waveform import Waveform
    from server.render.finishing.loudness import integrated_lufs
    from server.sample_library.describe import bpm_of, character_of, note_of, peaks_of

    mono = Waveform.mono(sound.downmix(), sound.sample_rate).resample(_RATE).samples[:, 0]
    bpm = bpm_of(mono, name)
    return Description(
        digest=digest,
        seconds=frames / sound.sample_rate,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        bpm=bpm,
        note=note_of(mono),
        lufs=integrated_lufs(sound),
        character=character_of(mono, name, bpm),
        peaks=peaks_of(mono),
    )


def main() -> None:
    """Entry point of ``python -m server.sample_library.describer MODEL_FOLDER``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model_folder", type=Path)
    model_folder: Path = parser.parse_args().model_folder
    connection = parents_socket()
    confine("RLIMIT_DATA", memory_limit(model_folder, (AUDIO_TOWER,)))
    listener = _Listener(model_folder)
    for path, folder in questions(connection, tuple[bytes, bytes]):
        _limit_cpu(_CPU_S)
        try:
            answer = listener.answer(Path(os.fsdecode(path)), Path(os.fsdecode(folder)))
        except AudioLDMError as error:
            answer = _Answer(code=error.code, error=str(error))
        except (MemoryError, ValueError, ArithmeticError) as error:
            answer = _Answer(code=UnreadableAudio.code, error=f"it cannot be measured: {error!r}")
        _limit_cpu(0.0)
        reply(connection, answer)


def _limit_cpu(seconds: float) -> None:
    """End this process after so much more time of the processor; 0: no limit."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
