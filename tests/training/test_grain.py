"""What is said of the grain of a sound."""

from __future__ import annotations

import pytest
import torch

from training.networks.critic import hinge
from training.networks.grain import GrainCritic, texture_distance

pytestmark = pytest.mark.integration


def _rain(count: int, grain: float, seed: int) -> torch.Tensor:
    """Log-mels ``[count, 64, 64]`` of noise, with as much change from frame to frame as said."""
    generator = torch.Generator().manual_seed(seed)
    return -5.0 + grain * torch.randn(count, 64, 64, generator=generator)


def test_texture_is_the_amount_of_change_and_not_its_place() -> None:
    rain, other, smooth = _rain(4, 0.6, 1), _rain(4, 0.6, 2), _rain(4, 0.3, 1)
    assert texture_distance(rain, rain) == 0.0
    assert texture_distance(rain, other) < 0.1
    assert texture_distance(rain, smooth) == pytest.approx(0.3 * 2 / torch.pi**0.5, abs=0.05)


def test_texture_pulls_a_smooth_sound_towards_grain() -> None:
    smooth = _rain(2, 0.2, 1).requires_grad_(True)
    texture_distance(smooth, _rain(2, 0.6, 2)).backward()
    with torch.no_grad():
        rougher = smooth - 200.0 * smooth.grad
    assert rougher.diff(dim=1).abs().mean() > smooth.diff(dim=1).abs().mean()


def test_the_critic_tells_grain_from_its_mean() -> None:
    torch.manual_seed(0)
    critic = GrainCritic()
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for step in range(40):
        loss = hinge([critic(_rain(4, 0.6, step))], [critic(_rain(4, 0.4, 100 + step))])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5
    assert critic(_rain(4, 0.6, 999)).mean() > critic(_rain(4, 0.4, 998)).mean() + 1.0


def test_each_place_sees_a_small_patch() -> None:
    torch.manual_seed(0)
    critic, silence = GrainCritic(), torch.full((1, 128, 64), -11.5)
    spot = silence.clone()
    spot[0, 64, 32] = 0.0
    changed = (critic(spot) != critic(silence)).reshape(32, 16).nonzero()
    assert (changed.max(0).values - changed.min(0).values + 1).max() <= 7
