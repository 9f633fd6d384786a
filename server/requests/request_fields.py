"""The fields that several kinds of request share, with their ranges.

A range stands here or in :mod:`server.requests.request` and nowhere else: validation, ``--help``,
the OSC table, the OSCQuery tree and the HTTP schema are read from these fields. Names are
diffusers' own; ``extra={"flag": ...}`` is the short word for a command line, and
``extra={"file": True}`` says that the text names a file.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from server.audio.formats import FileFormat
from server.requests.prompt import parse_blend

__all__ = ["MAX_SEED", "MAX_TAKES", "ClipRequest", "Delivery", "NewSound", "Request"]

MAX_TAKES: Final = 64
MAX_SEED: Final = 2**63 - 1
MIN_SECONDS: Final = 0.3
MAX_SECONDS: Final = 600.0
_KEY: Final = re.compile(r"[A-G](#|b|♯|♭)? (major|minor)")

Sampler = Literal["ddim", "dpmpp_2m", "unipc"]
Prompt = Annotated[
    str,
    Meta(
        max_length=2000,
        description="what it should sound like; 'rain:0.7 + wind:0.3' blends",
    ),
]
Seconds = Annotated[
    float,
    Meta(
        ge=MIN_SECONDS,
        le=MAX_SECONDS,
        description="length",
        extra={"unit": "s", "flag": "seconds"},
    ),
]
Bpm = Annotated[float, Meta(ge=10.0, le=999.0, description="tempo", extra={"unit": "bpm"})]
FadeSeconds = Annotated[float, Meta(ge=0.0, le=60.0, extra={"unit": "s"})]
File = Annotated[str, Meta(max_length=4000, extra={"file": True})]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How takes are handed over. None means: as the clip has it, where there is a clip."""

    sample_rate: (
        Annotated[
            int,
            Meta(
                ge=8000,
                le=192000,
                description="rate of the file (default: the clip's own, else 48000)",
                extra={"unit": "Hz"},
            ),
        ]
        | None
    ) = None
    channels: (
        Annotated[int, Meta(ge=1, le=2, description="mono or stereo (default: as it was rendered)")]
        | None
    ) = None
    file_format: (
        Annotated[FileFormat, Meta(description="file type (default: the clip's own, else wav24)")]
        | None
    ) = None
    loudness_lufs: (
        Annotated[
            float,
            Meta(ge=-60.0, le=-5.0, description="integrated loudness to reach, below the ceiling"),
        ]
        | None
    ) = None
    ceiling_dbfs: (
        Annotated[
            float,
            Meta(ge=-30.0, le=0.0, description="highest peak (default: -1, edits keep theirs)"),
        ]
        | None
    ) = None
    fade_in_s: Annotated[FadeSeconds, Meta(description="fade at the beginning")] = 0.0
    fade_out_s: Annotated[FadeSeconds, Meta(description="fade at the end")] = 0.0
    trim: Annotated[bool, Meta(description="cut silence off both ends")] = False

    @property
    def processes(self) -> bool:
        """True where samples are asked to be changed on the way out."""
        return bool(
            self.loudness_lufs is not None
            or self.ceiling_dbfs is not None
            or self.fade_in_s
            or self.fade_out_s
            or self.trim
        )


class Request(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What all jobs share. None means: the model's own default."""

    prompt: Prompt = ""
    negative_prompt: Annotated[
        str, Meta(max_length=2000, description="what it should not sound like")
    ] = ""
    audio_prompt: Annotated[File, Meta(description="a sound it should be like")] = ""
    audio_prompt_weight: Annotated[
        float, Meta(ge=0.0, le=1.0, description="how much the sound counts against the words")
    ] = 0.5
    num_inference_steps: (
        Annotated[int, Meta(ge=1, le=1000, description="denoising steps", extra={"flag": "steps"})]
        | None
    ) = None
    guidance_scale: (
        Annotated[
            float,
            Meta(
                ge=0.0,
                le=50.0,
                description="how strictly the prompt is followed",
                extra={"flag": "guidance"},
            ),
        ]
        | None
    ) = None
    guidance_end: (
        Annotated[
            float,
            Meta(
                ge=0.0, le=1.0, description="share of the steps that is guided; the rest is quicker"
            ),
        ]
        | None
    ) = None
    num_waveforms_per_prompt: Annotated[
        int,
        Meta(
            ge=1, le=MAX_TAKES, description="takes to render, best first", extra={"flag": "takes"}
        ),
    ] = 1
    num_candidates: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_TAKES,
                description="renders a take is the best of (default: the model's, for one take "
                "of words without a seed)",
                extra={"flag": "candidates"},
            ),
        ]
        | None
    ) = None
    sampler: Annotated[Sampler, Meta(description="how noise is taken away")] | None = None
    eta: Annotated[float, Meta(ge=0.0, le=1.0, description="fresh noise a step (ddim only)")] = 0.0
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="same seed, same sound")] | None = None
    model: Annotated[
        str,
        Meta(
            max_length=200,
            description="which model renders (default: the take's own, else the first)",
        ),
    ] = ""
    priority: (
        Annotated[
            Literal["live", "bulk"],
            Meta(description="live goes before bulk (default: live where it is one take)"),
        ]
        | None
    ) = None
    previews: Annotated[
        int,
        Meta(
            ge=0,
            le=8,
            description="how often the first render is heard while it is unfinished, at most",
        ),
    ] = 0
    delivery: Delivery = Delivery()

    @property
    def live(self) -> bool:
        """True where somebody waits for it now; it goes before what is not."""
        if self.priority is None:
            return self.num_waveforms_per_prompt == 1
        return self.priority == "live"

    @property
    def num_renders(self) -> int:
        """Renders that are made, of which ``num_waveforms_per_prompt`` are kept."""
        return self.num_waveforms_per_prompt * (self.num_candidates or 1)

    def contradictions(self) -> str:
        """What is wrong with the values taken together; empty where nothing is."""
        parse_blend(self.prompt)
        parse_blend(self.negative_prompt)
        if self.eta and self.sampler not in (None, "ddim"):
            return f"eta {self.eta} belongs to the ddim sampler, not to {self.sampler}"
        if self.num_renders > MAX_TAKES:
            return (
                f"{self.num_waveforms_per_prompt} takes of {self.num_candidates} candidates are "
                f"{self.num_renders} renders; at most {MAX_TAKES} in one job"
            )
        if self.seed is not None and self.seed + self.num_renders - 1 > MAX_SEED:
            return f"seed {self.seed}: takes have rising seeds, and the last exceeds {MAX_SEED}"
        return ""


class NewSound(Request, frozen=True, kw_only=True):
    """A sound that did not exist before: its length, in seconds or bars, and its shape."""

    audio_length_in_s: Seconds | None = None
    bars: (
        Annotated[float, Meta(ge=0.125, le=256.0, description="length in bars; needs bpm")] | None
    ) = None
    bpm: Bpm | None = None
    beats_per_bar: Annotated[int, Meta(ge=1, le=32, description="beats a bar has")] = 4
    loop: Annotated[bool, Meta(description="end leads into beginning without a seam")] = False
    key: Annotated[
        str, Meta(max_length=12, description="musical key, said in the prompt: 'A minor'")
    ] = ""
    say_tempo: Annotated[bool, Meta(description="say the tempo in the prompt")] = False
    width: Annotated[
        float, Meta(ge=0.0, le=1.0, description="stereo width; 0 is mono, 1 independent sides")
    ] = 0.0

    @property
    def seconds(self) -> float:
        """Length in seconds, in bars or not; 0 where the model's default decides."""
        if self.bars is not None and self.bpm is not None:
            return self.bars * self.beats_per_bar * 60.0 / self.bpm
        return self.audio_length_in_s or 0.0

    def length_s(self, default: float) -> float:
        """Length in seconds; ``default`` where the request leaves it open."""
        return self.seconds or default

    def contradictions(self) -> str:
        """A prompt is needed, and one length."""
        if not self.prompt.strip() and not self.audio_prompt:
            return "prompt is empty: say what it should sound like"
        return self._wrong_length() or self._wrong_music() or super().contradictions()

    def _wrong_length(self) -> str:
        if self.bars is None:
            return ""
        if self.bpm is None:
            return f"bars {self.bars:g} needs a tempo (bpm)"
        if self.audio_length_in_s is not None:
            return (
                f"bars {self.bars:g} and audio_length_in_s {self.audio_length_in_s:g} both say "
                "how long it is; give one of them"
            )
        length = self.seconds
        if not MIN_SECONDS <= length <= MAX_SECONDS:
            return (
                f"bars {self.bars:g} at bpm {self.bpm:g} last {length:g} s; "
                f"allowed are {MIN_SECONDS:g} to {MAX_SECONDS:g} s"
            )
        return ""

    def _wrong_music(self) -> str:
        if self.key and not _KEY.fullmatch(self.key):
            return f"key = {self.key!r}: write it as 'A minor', 'F# major' or 'Bb minor'"
        if self.say_tempo and self.bpm is None:
            return "say_tempo needs a tempo (bpm)"
        if self.loop and (self.delivery.fade_in_s or self.delivery.fade_out_s):
            return "a loop has no fades: they would be heard at every repetition"
        if self.delivery.trim and (self.loop or self.bars is not None):
            return "trim would change the length that loop and bars promise"
        if self.width and self.delivery.channels == 1:
            return f"width {self.width:g} needs delivery.channels 2"
        return ""


class ClipRequest(Request, frozen=True, kw_only=True):
    """A job on a clip that is there already."""

    clip: Annotated[File, Meta(min_length=1, description="the sound file to work on")]
