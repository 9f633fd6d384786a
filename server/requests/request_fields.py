"""The fields that all kinds of request share, with their ranges.

Each range is declared once, in the class of its field. Validation, ``--help``, the OSC table, the
OSCQuery tree, the panel and the HTTP schema read it from there. Names are those of diffusers.
``extra`` holds more facts:

- ``label``: the name for people; ``unit``: the unit of a number;
- ``flag``: a short word for the command line; ``repeat``: joins repeated flags;
- ``hint``: what to do about a refused value;
- ``file``: the text names a file.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from server.requests.audio_embedding import AudioEmbedding
from server.requests.delivery import Delivery
from server.requests.prompt import parse_blend

__all__ = ["MAX_SEED", "MAX_TAKES", "ClipRequest", "Delivery", "File", "Prompt", "Request"]

MAX_TAKES: Final = 64
MAX_SEED: Final = 2**63 - 1

Sampler = Literal["ddim", "dpmpp_2m", "unipc"]
Prompt = Annotated[
    str,
    Meta(
        max_length=2000,
        description="what it should sound like; 'rain:0.7 + wind:0.3' blends two sounds",
        extra={"label": "Prompt"},
    ),
]
File = Annotated[str, Meta(max_length=4000, extra={"file": True})]


class Request(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What all jobs share. None means: the model's own default."""

    label: ClassVar[str] = ""
    """Name of the kind for people."""
    layouts: ClassVar[tuple[int | None, ...]] = (None, 1, 2)
    """Numbers of channels that it can be delivered with."""

    prompt: Prompt = ""
    negative_prompt: Annotated[
        str,
        Meta(
            max_length=2000,
            description="what it should not sound like",
            extra={"label": "Avoid"},
        ),
    ] = ""
    audio_prompt: Annotated[
        File,
        Meta(
            description="a sound it should resemble; library:FOLDER for the mean of a folder",
            extra={"label": "Sound to resemble"},
        ),
    ] = ""
    audio_embedding: Annotated[
        dict[str, Any] | None,
        Meta(
            description="an embedding it should resemble, in place of audio_prompt; "
            "library:FOLDER becomes one",
            extra={"label": "Embedding to resemble"},
        ),
    ] = None
    audio_prompt_weight: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="weight of that sound against the prompt",
            extra={"label": "Weight of that sound"},
        ),
    ] = 0.5
    num_inference_steps: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=1000,
                description="denoising steps; more take longer and sound better up to a point",
                extra={"label": "Steps", "flag": "steps"},
            ),
        ]
        | None
    ) = None
    guidance_scale: (
        Annotated[
            float,
            Meta(
                ge=0.0,
                le=50.0,
                description="guidance scale; higher follows the prompt more strictly",
                extra={"label": "How closely to follow the prompt", "flag": "guidance"},
            ),
        ]
        | None
    ) = None
    guidance_end: (
        Annotated[
            float,
            Meta(
                ge=0.0,
                le=1.0,
                description="share of the steps with guidance; the rest runs twice as fast",
                extra={"label": "Guided share of the steps"},
            ),
        ]
        | None
    ) = None
    num_waveforms_per_prompt: Annotated[
        int,
        Meta(
            ge=1,
            le=MAX_TAKES,
            description="takes to render, best first",
            extra={"label": "Takes", "flag": "takes"},
        ),
    ] = 1
    num_candidates: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_TAKES,
                description="candidates to render for each take; the best one is returned "
                "(default: the model's, for one text take without a seed)",
                extra={"label": "Candidates for each take", "flag": "candidates"},
            ),
        ]
        | None
    ) = None
    sampler: (
        Annotated[
            Sampler,
            Meta(description="method that removes the noise", extra={"label": "Sampler"}),
        ]
        | None
    ) = None
    eta: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="fresh noise in each step (ddim only)",
            extra={"label": "Fresh noise in each step"},
        ),
    ] = 0.0
    seed: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_SEED,
                description="same seed, same sound",
                extra={"label": "Seed", "hint": "leave it out for a new one"},
            ),
        ]
        | None
    ) = None
    bandwidth: (
        Annotated[
            Literal["full", "model"],
            Meta(
                description="full: up to 20 kHz, where the sample rate allows; model: what the "
                "model itself renders (default: full, a variation as its take)",
                extra={"label": "Bandwidth"},
            ),
        ]
        | None
    ) = None
    model: Annotated[
        str,
        Meta(
            max_length=200,
            description="which model renders (default: the take's own, else the first)",
            extra={"label": "Model"},
        ),
    ] = ""
    priority: (
        Annotated[
            Literal["live", "bulk"],
            Meta(
                description="live jobs go before bulk jobs (default: live for one take)",
                extra={"label": "Priority"},
            ),
        ]
        | None
    ) = None
    previews: Annotated[
        int,
        Meta(
            ge=0,
            le=8,
            description="previews of the first take while it renders, at most",
            extra={"label": "Previews"},
        ),
    ] = 0
    delivery: Delivery = Delivery()

    @property
    def resembles_sound(self) -> bool:
        """True where a sound, or an embedding, says what it should be like."""
        return bool(self.audio_prompt or self.audio_embedding)

    @property
    def live(self) -> bool:
        """True for jobs that go before bulk jobs."""
        if self.priority is None:
            return self.num_waveforms_per_prompt == 1
        return self.priority == "live"

    @property
    def num_renders(self) -> int:
        """Number of renders, of which ``num_waveforms_per_prompt`` are kept."""
        return self.num_waveforms_per_prompt * (self.num_candidates or 1)

    def contradictions(self) -> str:
        """Say which values contradict each other; empty where none do."""
        parse_blend(self.prompt)
        parse_blend(self.negative_prompt)
        if self.audio_embedding is not None:
            AudioEmbedding.of_values(self.audio_embedding)
            if self.audio_prompt:
                return "audio_prompt and audio_embedding both say what it should resemble"
        if self.delivery.channels not in self.layouts:
            allowed = ", ".join(str(number) for number in self.layouts if number)
            return f"channels {self.delivery.channels}: this job delivers {allowed}"
        if self.eta and self.sampler not in (None, "ddim"):
            return f"eta {self.eta} works with the ddim sampler only, not with {self.sampler}"
        if self.num_renders > MAX_TAKES:
            return (
                f"{self.num_waveforms_per_prompt} takes of {self.num_candidates} candidates are "
                f"{self.num_renders} renders; one job has at most {MAX_TAKES}"
            )
        if self.seed is not None and self.seed + self.num_renders - 1 > MAX_SEED:
            return f"seed {self.seed} is too large: the seed of the last take exceeds {MAX_SEED}"
        return ""


class ClipRequest(Request, frozen=True, kw_only=True):
    """A job on an existing clip."""

    clip: Annotated[
        File, Meta(min_length=1, description="the sound file to work on", extra={"label": "Clip"})
    ]
