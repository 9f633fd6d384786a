"""The types of audio file that can be written. This module needs no numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args

from server.errors import InvalidRequest

__all__ = ["FORMATS", "FileFormat", "file_format_of", "fitting"]

FileFormat = Literal["wav8", "wav16", "wav24", "wav32", "wav32f", "wav64f", "flac", "flac16"]

FORMATS: Final[dict[FileFormat, tuple[str, str]]] = {
    "wav8": ("WAV", "PCM_U8"),
    "wav16": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "wav32": ("WAV", "PCM_32"),
    "wav32f": ("WAV", "FLOAT"),
    "wav64f": ("WAV", "DOUBLE"),
    "flac": ("FLAC", "PCM_24"),
    "flac16": ("FLAC", "PCM_16"),
}


def file_format_of(path: Path, bits: int = 24) -> FileFormat:
    """Return the format for the ending of ``path``.

    Raises:
        InvalidRequest: the ending is neither .wav nor .flac, or ``bits`` is not 16, 24 or 32.
    """
    if path.suffix.lower() == ".flac":
        return "flac"
    if path.suffix.lower() != ".wav":
        raise InvalidRequest(f"{path.name!r}: write to a name ending in .wav or .flac")
    formats: dict[int, FileFormat] = {16: "wav16", 24: "wav24", 32: "wav32f"}
    if bits not in formats:
        raise InvalidRequest(f"bits {bits}: choose 16, 24 or 32 (float)")
    return formats[bits]


_IN_THE_OTHER: Final[dict[FileFormat, FileFormat]] = {
    "wav8": "flac16",
    "wav16": "flac16",
    "wav24": "flac",
    "wav32": "flac",
    "wav32f": "flac",
    "wav64f": "flac",
    "flac16": "wav16",
    "flac": "wav24",
}


def fitting(file_format: FileFormat, path: Path) -> FileFormat:
    """Return ``file_format``, or its equivalent in bits for the ending of ``path``."""
    fits = FORMATS[file_format][0] == FORMATS[file_format_of(path)][0]
    return file_format if fits else _IN_THE_OTHER[file_format]


assert set(FORMATS) == set(get_args(FileFormat))
