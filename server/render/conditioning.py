"""From prompts and sounds to the embedding that conditions the unet, all in CLAP's space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from server.audio.peaks import at_peak
from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.model.manifest import Manifest
from server.model.text import Embedding, TextEncoder, unit
from server.render.plan import RenderContext, SeedVariation
from server.requests.audio_embedding import AudioEmbedding
from server.requests.notation import Notation, read_key, read_notation
from server.requests.prompt import parse_blend, parse_stages
from server.requests.request import Morph, NewSound, Request, TextToAudio

__all__ = [
    "condition",
    "embed_prompt",
    "embedded",
    "key_and_tempo",
    "names_tempo",
    "notation_of",
    "prompt_embedding",
    "prompted",
    "seed_variation",
    "unconditional",
    "wants_sound",
]

_SILENCE_DB: Final = -100.0
_QUIET_DB: Final = -60.0
_LOWEST_PEAK: Final = 0.05
"""Softer sounds are raised to this peak before they are embedded; CLAP hears silence in them."""
_SILENT_WORDS: Final = frozenset({"silence", "silent", "nothing", "mute", "muted"})


def embed_prompt(prompt: str, text: Callable[[str], Embedding], words: str = "") -> Embedding:
    """The embedding [D] of a prompt; the parts of a blend are mixed and scaled to unit length.

    Args:
        prompt: words, or a blend of several parts.
        text: embeds one part.
        words: appended to each part.

    Raises:
        InvalidRequest: the parts of a blend cancel out.
    """
    parts = parse_blend(prompt)
    if len(parts) == 1:
        return text(parts[0].text + words)
    mixed = np.sum([part.weight * text(part.text + words) for part in parts], axis=0)
    if np.linalg.norm(mixed) < 1e-3:
        raise InvalidRequest(f"prompt = {prompt!r}: the parts of the blend cancel out")
    return unit(mixed)


def condition(
    request: Request, context: RenderContext, prompt: str | None = None, own: Waveform | None = None
) -> Embedding:
    """The conditioning embedding [D] of a request.

    It comes from the prompt, from the audio prompt, or from both mixed by
    ``audio_prompt_weight``. A request with neither takes the embedding of ``own``.

    Args:
        request: what is asked.
        context: the model.
        prompt: replaces the request's own prompt.
        own: the clip that the job works on.

    Raises:
        InvalidRequest: there is no prompt, no audio prompt and no clip.
        UnreadableAudio: the audio prompt cannot be read.
    """
    prompt = request.prompt if prompt is None else prompt
    text = _text_embedding(prompt, request, context)
    audio = _audio_embedding(request, context) if request.resembles_sound else None
    if text is None and audio is None and own is not None:
        # Silence conditions nothing: the unet then runs unconditionally.
        return embedded(own, context) if own.rms_db > _SILENCE_DB else context.text.unconditional()
    if text is None or audio is None:
        found = audio if text is None else text
        if found is None:
            raise InvalidRequest("prompt is empty: say what it should sound like")
        return found
    weight = request.audio_prompt_weight
    return unit(weight * audio + (1.0 - weight) * text)


def seed_variation(request: TextToAudio, context: RenderContext) -> SeedVariation | None:
    """The embedding that each seed adds to the condition; None where there is an audio prompt."""
    known, prompt = context.known_sounds, request.prompt
    if known is None or request.resembles_sound or not prompt.strip():
        return None
    words = key_and_tempo(request)

    def drawn(seed: int) -> Embedding:
        return embed_prompt(prompt, lambda part: known.draw_sound(context.text(part), seed), words)

    return drawn


def prompted(request: Request) -> bool:
    """True where words or a sound say what is wanted."""
    return bool(request.prompt.strip()) or request.resembles_sound


def wants_sound(request: Request, clip_db: float | None = None) -> bool:
    """False where silence is what ``request`` asks for.

    Args:
        request: what is asked.
        clip_db: level of the clip that it works on, in dBFS.
    """
    if set(request.prompt.lower().split()) & _SILENT_WORDS:
        return False
    return prompted(request) or clip_db is None or clip_db > _QUIET_DB


def _text_embedding(prompt: str, request: Request, context: RenderContext) -> Embedding | None:
    if not prompt.strip():
        return None
    return embed_prompt(prompt, context.condition, key_and_tempo(request))


def _audio_embedding(request: Request, context: RenderContext) -> Embedding:
    """The embedding of the audio prompt, or the one that stands for it."""
    if request.audio_embedding is not None:
        return _given(AudioEmbedding.of_values(request.audio_embedding), context.manifest)
    sound = context.clips(request.audio_prompt).checked().waveform
    if sound.rms_db <= _SILENCE_DB:
        raise InvalidRequest(f"audio_prompt {request.audio_prompt} is silent")
    return embedded(sound, context)


def _given(embedding: AudioEmbedding, manifest: Manifest) -> Embedding:
    """The embedding [D] of a request, for the model that ``manifest`` describes.

    Raises:
        InvalidRequest: another model's tower made it, or it has no direction.
    """
    values = np.frombuffer(embedding.data, "<f2").astype(np.float32)
    if embedding.audio_tower != manifest.audio_tower or len(values) != manifest.embedding_dim:
        raise InvalidRequest(
            f"audio_embedding {embedding.of!r} is not of the audio tower of the model "
            f"{manifest.name}; name a sound file as audio_prompt instead"
        )
    if not np.isfinite(values).all() or not values.any():
        raise InvalidRequest(f"audio_embedding {embedding.of!r} points in no direction")
    return unit(values)


def embedded(sound: Waveform, context: RenderContext) -> Embedding:
    """The CLAP embedding of a sound, brought to a usual peak where it is very soft or too loud."""
    peak = min(max(sound.peak, _LOWEST_PEAK), 1.0)
    return context.audio(sound if peak == sound.peak else at_peak(sound, peak))


def unconditional(request: Request, context: RenderContext) -> Embedding:
    """The embedding that guidance leads away from, [D]."""
    if request.negative_prompt.strip():
        return embed_prompt(request.negative_prompt, context.condition)
    return context.text.unconditional()


def prompt_embedding(request: Request, text: TextEncoder) -> Embedding | None:
    """The prompt's own embedding [D], not the unet's condition; None without a prompt."""
    if not request.prompt.strip():
        return None
    stages = parse_stages(request.prompt) if isinstance(request, Morph) else ()
    parts = [stage.prompt for stage in stages] or [request.prompt]
    words = key_and_tempo(request)
    return unit(np.mean([embed_prompt(part, text, words) for part in parts], axis=0))


def notation_of(request: Request) -> Notation:
    """The note that the prompt names, and the request's tempo and key, else the prompt's.

    Jobs on clips have no tempo, because the positions of a clip's beats are unknown.
    """
    notation = read_notation(request.prompt)
    if not isinstance(request, NewSound):
        return notation.at_tempo(0.0)
    notation = replace(notation, key=request.key or read_key(request.prompt))
    return notation if request.bpm is None else notation.at_tempo(request.bpm)


def names_tempo(request: Request) -> bool:
    """True where the words name the tempo; else it may only give the length of the bars."""
    said = isinstance(request, NewSound) and request.say_tempo
    return said or bool(read_notation(request.prompt).bpm)


def key_and_tempo(request: Request) -> str:
    """Key and tempo as words for the prompt; empty where the request adds none."""
    if not isinstance(request, NewSound):
        return ""
    tempo = f", {request.bpm:g} bpm" if request.say_tempo and request.bpm is not None else ""
    return (f", in {request.key}" if request.key else "") + tempo
