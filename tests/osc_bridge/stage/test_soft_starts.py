"""Voices begin and change over without a step, whatever their first sample is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from stage_rig import RATE, stage_rig

from osc_bridge.audio.clips import Loop
from server.audio.waveform import Waveform

LEVEL = 0.5
LARGEST_STEP = 0.04
"""A 200 Hz wave of this level moves by 0.014 a sample; a millisecond's fade by 0.02."""


def abrupt(seconds: float = 1.0) -> Waveform:
    """A sound whose first sample is its peak."""
    time = np.arange(round(seconds * RATE)) / RATE
    return Waveform.mono((LEVEL * np.cos(2 * np.pi * 200 * time)).astype(np.float32), RATE)


def largest_step(heard: np.ndarray) -> float:
    return float(np.abs(np.diff(heard, axis=0, prepend=0.0)).max())


def test_a_sound_that_begins_at_its_peak_fades_in_within_a_millisecond(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            clip = await rig.stage.player.load(abrupt())
            rig.stage.pads._voices._launcher.start(clip, 0.0, looped=False)
            heard = await rig.run(0.2)
            assert largest_step(heard) < LARGEST_STEP
            first = int(np.flatnonzero(np.abs(heard).max(axis=1) > 1e-6)[0])
            assert np.abs(heard[first + RATE // 500 :]).max() > 0.9 * LEVEL

    asyncio.run(run())


def test_a_loop_that_replaces_another_one_makes_no_step(tiny_folder: Path, tmp_path: Path) -> None:
    """As pads do when the tempo changes: a new take in the choke group of the old one."""

    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            launcher = rig.stage.pads._voices._launcher
            clip = await rig.stage.player.load(abrupt(), Loop())
            launcher.start(clip, 0.0, choke=7)
            before = await rig.run(0.3)
            launcher.start(clip, 0.0, choke=7)
            after = await rig.run(0.3)
            assert largest_step(np.concatenate((before, after))) < 2 * LARGEST_STEP

    asyncio.run(run())


def test_a_sound_that_begins_at_nothing_keeps_its_edge(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            sound = abrupt()
            sound.samples[0] = 0.0
            assert (await rig.stage.player.load(sound)).soft_start_s == 0.0
            assert (await rig.stage.player.load(abrupt())).soft_start_s > 0.0

    asyncio.run(run())
