"""What the arguments of the messages may be: types with ranges, units and descriptions."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from osc_bridge.stage.transport import MAX_BPM, MIN_BPM

SOFTEST_DB: Final = -80.0
Level = Annotated[float, Meta(ge=SOFTEST_DB, le=24.0, description="level", extra={"unit": "dB"})]
Fade = Annotated[float, Meta(ge=0.0, le=60.0, description="fade-out", extra={"unit": "s"})]
Over = Annotated[float, Meta(ge=0.0, le=600.0, extra={"unit": "s"})]
PadName = Annotated[str, Meta(min_length=1, max_length=60, description="number from 1, or name")]
Voice = Annotated[int, Meta(ge=0, description="number of the sounding take")]
Bpm = Annotated[float, Meta(ge=MIN_BPM, le=MAX_BPM, description="tempo", extra={"unit": "bpm"})]
Path = Annotated[str, Meta(max_length=4000, description="a sound file", extra={"file": True})]
Prompt = Annotated[str, Meta(max_length=2000, description="what it should sound like")]
Words = Annotated[str, Meta(max_length=4000)]
Seconds = Annotated[float, Meta(extra={"unit": "s"})]
Frame = Annotated[int, Meta(ge=0, description="frame at which it begins, modulo 2^31; 0: at once")]
Count = Annotated[int, Meta(ge=0)]
Axis = Annotated[float, Meta(ge=0.0, le=1.0)]
RequestId = Annotated[str, Meta(max_length=200, description="the id that the client chose")]
JobId = Annotated[str, Meta(max_length=200, description="the server's id of the job")]
EitherId = Annotated[str, Meta(max_length=200, description="request id or job id")]
Token = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1, description="sent back as it is")]
ErrorCode = Annotated[str, Meta(description="error code, the same as over HTTP")]
Sentence = Annotated[str, Meta(description="what went wrong and what to do")]
TakeIndex = Annotated[int, Meta(ge=0, description="which take, from 0")]
TakePath = Annotated[str, Meta(description="the finished file")]
Length = Annotated[float, Meta(ge=0, description="length", extra={"unit": "s"})]
