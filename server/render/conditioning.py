"""From words and sounds to the embedding that conditions the unet, all in CLAP's one space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.model.text import Embedding, TextEncoder, unit
from server.render.plan import RenderContext, SeedVariation
from server.requests.notation import Notation, read_notation
from server.requests.prompt import parse_blend, parse_stages
from server.requests.request import Morph, NewSound, Request, TextToAudio

__all__ = [
    "condition",
    "embed_prompt",
    "meaning",
    "musical_words",
    "notation_of",
    "nuance",
    "unconditional",
]

_SILENCE_DB: Final = -100.0


def embed_prompt(prompt: str, text: Callable[[str], Embedding], words: str = "") -> Embedding:
    """The embedding [D] of a prompt; a blend is mixed here and brought back to unit length.

    ``text`` embeds a part; ``words`` are said after each.

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
    """What a request should sound like, [D].

    Words alone, its audio prompt alone, or both mixed by ``audio_prompt_weight``; where it has
    neither, the embedding of ``own``, the clip that is worked on. ``prompt`` replaces the words.

    Raises:
        InvalidRequest: nothing says what it should sound like.
        UnreadableAudio: the audio prompt cannot be read.
    """
    prompt = request.prompt if prompt is None else prompt
    said = _said(prompt, request, context)
    heard = _heard(request.audio_prompt, context) if request.audio_prompt else None
    if said is None and heard is None and own is not None:
        # Silence is no wish: the unet then runs free.
        return context.audio(own) if own.rms_db > _SILENCE_DB else context.text.unconditional()
    if said is None or heard is None:
        found = heard if said is None else said
        if found is None:
            raise InvalidRequest("prompt is empty: say what it should sound like")
        return found
    weight = request.audio_prompt_weight
    return unit(weight * heard + (1.0 - weight) * said)


def nuance(request: TextToAudio, context: RenderContext) -> SeedVariation | None:
    """What takes of words alone lean to, each to another; None where a sound is given as well."""
    known, prompt = context.known, request.prompt
    if known is None or request.audio_prompt or not prompt.strip():
        return None
    words = musical_words(request)

    def drawn(seed: int) -> Embedding:
        return embed_prompt(prompt, lambda part: known.sound_like(context.text(part), seed), words)

    return drawn


def _said(prompt: str, request: Request, context: RenderContext) -> Embedding | None:
    if not prompt.strip():
        return None
    return embed_prompt(prompt, context.told, musical_words(request))


def _heard(name: str, context: RenderContext) -> Embedding:
    sound = context.clips(name).checked().waveform
    if sound.rms_db <= _SILENCE_DB:
        raise InvalidRequest(f"audio_prompt {name} is silent")
    return context.audio(sound)


def unconditional(request: Request, context: RenderContext) -> Embedding:
    """What guidance leads away from, [D]."""
    if request.negative_prompt.strip():
        return embed_prompt(request.negative_prompt, context.told)
    return context.text.unconditional()


def meaning(request: Request, text: TextEncoder) -> Embedding | None:
    """What the words mean, [D], whatever the unet is told for them; None where there are none."""
    if not request.prompt.strip():
        return None
    stages = parse_stages(request.prompt) if isinstance(request, Morph) else ()
    parts = [stage.prompt for stage in stages] or [request.prompt]
    words = musical_words(request)
    return unit(np.mean([embed_prompt(part, text, words) for part in parts], axis=0))


def notation_of(request: Request) -> Notation:
    """The note that the words name, and the request's tempo, or theirs where it has none.

    Where the beats of a clip lie is not known: jobs on clips have no tempo.
    """
    notation = read_notation(request.prompt)
    if not isinstance(request, NewSound):
        return notation.at_tempo(0.0)
    return notation if request.bpm is None else notation.at_tempo(request.bpm)


def musical_words(request: Request) -> str:
    """Key and tempo as the prompt says them; empty where none is to be said."""
    if not isinstance(request, NewSound):
        return ""
    tempo = f", {request.bpm:g} bpm" if request.say_tempo and request.bpm is not None else ""
    return (f", in {request.key}" if request.key else "") + tempo
