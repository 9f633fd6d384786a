"""How takes are delivered: rate, channels, file type, level, fades."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.audio.formats import FileFormat

__all__ = ["Delivery"]

FadeSeconds = Annotated[float, Meta(ge=0.0, le=60.0, extra={"unit": "s"})]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How takes are delivered. None means: as the clip has it, where there is a clip."""

    sample_rate: (
        Annotated[
            int,
            Meta(
                ge=8000,
                le=192000,
                description="rate of the file (default: the clip's own, else 48000)",
                extra={"label": "Sample rate", "unit": "Hz"},
            ),
        ]
        | None
    ) = None
    channels: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=2,
                description="1 is mono, 2 is stereo (default: as it was rendered)",
                extra={"label": "Channels"},
            ),
        ]
        | None
    ) = None
    file_format: (
        Annotated[
            FileFormat,
            Meta(
                description="file type (default: the clip's own, else wav24)",
                extra={"label": "File type"},
            ),
        ]
        | None
    ) = None
    loudness_lufs: (
        Annotated[
            float,
            Meta(
                ge=-60.0,
                le=-5.0,
                description="integrated loudness, as far as the peak ceiling allows "
                "(default: unchanged)",
                extra={"label": "Loudness", "unit": "LUFS"},
            ),
        ]
        | None
    ) = None
    ceiling_dbfs: (
        Annotated[
            float,
            Meta(
                ge=-30.0,
                le=0.0,
                description="highest peak (default: -1; edits keep the clip's own)",
                extra={"label": "Peak ceiling", "unit": "dBFS"},
            ),
        ]
        | None
    ) = None
    fade_in_s: Annotated[
        FadeSeconds, Meta(description="fade at the beginning", extra={"label": "Fade in"})
    ] = 0.0
    fade_out_s: Annotated[
        FadeSeconds, Meta(description="fade at the end", extra={"label": "Fade out"})
    ] = 0.0
    trim: Annotated[
        bool, Meta(description="cut silence off both ends", extra={"label": "Trim silence"})
    ] = False

    bpm_in_name: Annotated[
        bool,
        Meta(
            description="write the tempo into the file's name, as in rain_120bpm.wav",
            extra={"label": "Tempo in the file's name"},
        ),
    ] = False

    @property
    def processes(self) -> bool:
        """True where delivery changes the samples themselves."""
        return bool(
            self.loudness_lufs is not None
            or self.ceiling_dbfs is not None
            or self.fade_in_s
            or self.fade_out_s
            or self.trim
        )
