"""The critic: what it looks at, what it minimises, and that it learns."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from training.networks.clap import AudioTower
from training.networks.critic import Critic, hinge
from training.networks.sampling import sample_flow, shifted

pytestmark = pytest.mark.integration


def test_features_lead_to_the_embedding() -> None:
    torch.manual_seed(0)
    tower, mels = AudioTower().eval(), torch.randn(2, 128, 64)
    maps, pooled = tower.features(mels)
    assert [item.shape[1] for item in maps] == [16, 32, 64, 128, 256]
    embedding = functional.normalize(tower.head(pooled), dim=-1)
    torch.testing.assert_close(embedding, tower(mels))


def test_hinge_is_zero_beyond_the_margins_and_two_where_all_is_alike() -> None:
    sure, unsure = torch.full((3, 5), 1.5), torch.zeros(3, 5)
    assert hinge([sure], [-sure]) == 0.0
    assert hinge([unsure, unsure], [unsure, unsure]) == 4.0
    assert hinge([-sure], [unsure]) == 2.5 + 1.0


def test_critic_learns_what_is_real_and_what_was_asked_for() -> None:
    torch.manual_seed(0)
    tower = AudioTower().eval().requires_grad_(False)
    critic = Critic(tower)
    rising, falling = torch.linspace(-9, 0, 64).expand(8, 64, 64), torch.linspace(0, -9, 64)
    falling = falling.expand(8, 64, 64)
    wanted = functional.normalize(torch.randn(2, 512), dim=-1)
    up, down = wanted[0].expand(8, 512), wanted[1].expand(8, 512)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    features = tower.features(rising), tower.features(falling)
    for _ in range(40):
        # A rising sound is real where it was asked for, and so is a falling one.
        right = [*critic(features[0], up), *critic(features[1], down)]
        wrong = [*critic(features[0], down), *critic(features[1], up)]
        loss = hinge(right, wrong)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2 * 2 * len(right)
    assert (
        critic.on_pooled(features[0], up).mean() > critic.on_pooled(features[0], down).mean() + 1.0
    )


def test_euler_steps_bring_a_straight_flow_home() -> None:
    """A denoiser that knows the answer is right after any number of steps, whatever the shift."""
    target, noise = torch.full((2, 8, 4, 16), 3.0), torch.randn(2, 8, 4, 16)

    def knowing(sample: torch.Tensor, times: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return (sample - target.repeat(2, 1, 1, 1)) / times[:, None, None, None]

    made = sample_flow(knowing, torch.zeros(2, 515), noise, steps=4, guidance=1.5)  # type: ignore[arg-type]
    torch.testing.assert_close(made, target)
    torch.testing.assert_close(shifted(torch.tensor([0.0, 0.5, 1.0])), torch.tensor([0, 0.75, 1]))
