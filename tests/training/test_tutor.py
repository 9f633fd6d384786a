"""The tutor of stage ``adversarial``."""

from __future__ import annotations

import torch
from torch.nn import functional

from training.listener import Listener
from training.tutor import Tutor


def test_doubt_is_less_under_the_captions_that_the_listener_hears() -> None:
    torch.manual_seed(0)
    listener = Listener().folded()
    mels = torch.randn(6, 64, 64).cumsum(1) - 6.0
    with torch.no_grad():
        heard = listener(mels)
    others = functional.normalize(torch.randn(40, 512), dim=-1)
    tutor = Tutor(listener, torch.cat((heard, others, others)))
    assert len(tutor.captions) == 46
    right = tutor.doubt(mels, heard, torch.Generator().manual_seed(1))
    wrong = tutor.doubt(mels, -heard, torch.Generator().manual_seed(1))
    assert right < wrong


def test_doubt_teaches_what_made_the_sound_and_not_the_listener() -> None:
    torch.manual_seed(0)
    captions = functional.normalize(torch.randn(8, 512), dim=-1)
    tutor = Tutor(Listener().folded(), captions)
    mels = (torch.randn(4, 64, 64) - 6.0).requires_grad_(True)
    tutor.doubt(mels, captions[:4], torch.Generator().manual_seed(0)).backward()
    assert mels.grad is not None
    assert bool(mels.grad.isfinite().all())
    assert float(mels.grad.abs().amax((1, 2)).min()) > 0.0
    assert all(item.grad is None for item in tutor.listener.parameters())
