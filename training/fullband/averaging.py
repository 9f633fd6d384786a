"""Better than the end of a run: the mean of its checkpoints, at the level of held-out recordings.

Weights along one run lie in one basin, and their mean predicts recordings that it never heard
better than any of them (P. Izmailov et al., arXiv:1803.05407). What regression of log power gets
wrong in the same direction on held-out clips is taken off as a gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from server.fullband.analysis import BAND_EDGES_HZ, FRAMES_A_STEP
from training.fullband.network import UpperBandNetwork
from training.fullband.stage import GROUPS_HZ

__all__ = ["averaged_with", "turned"]

_TEXTURE = "texture."


@torch.no_grad()
def averaged_with(network: UpperBandNetwork, checkpoints: Sequence[Path]) -> UpperBandNetwork:
    """``network`` with the mean of its weights and those of ``checkpoints``.

    The head of the overtones stays as it is: it may be younger than they are.
    """
    states = [network.state_dict()]
    states += [
        torch.load(path, map_location="cpu", weights_only=True)["average"] for path in checkpoints
    ]
    mean = {
        name: values
        if name.startswith(_TEXTURE)
        else torch.stack([state[name] for state in states]).mean(0)
        for name, values in states[0].items()
    }
    network.load_state_dict(mean)
    return network


@torch.no_grad()
def turned(network: UpperBandNetwork, gains_db: Sequence[float]) -> UpperBandNetwork:
    """``network`` with its upper band louder by a gain for 8-12, 12-16 and 16-20 kHz."""
    centres = (BAND_EDGES_HZ[:-1] + BAND_EDGES_HZ[1:]) / 2.0
    edges = [low for low, _ in GROUPS_HZ[1:]]
    decibels = torch.tensor([gains_db[sum(c >= edge for edge in edges)] for c in centres])
    bias = decibels.repeat(FRAMES_A_STEP) * (math.log(10.0) / 10.0) / network.LOG_POWER_SCALE
    network.envelope.bias += bias
    return network
