"""A folder of synthetic sounds and a judge that knows them, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from synthetic_sounds import make_sounds

from training.evaluation.judge import Judge
from training.evaluation.judge_training import accuracy, load_examples, train_judge
from training.evaluation.sound_classes import label_clips, load_rules

# Of networks this small threads only wait for each other, for minutes where others want the cores.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, ten recordings each, with manifest and rules."""
    return make_sounds(tmp_path_factory.mktemp("sounds") / "sounds")


@pytest.fixture(scope="session")
def trained(sounds: Path) -> Judge:
    """A judge of ``sounds`` after 40 small batches."""
    examples = load_examples(label_clips(sounds, load_rules(sounds / "rules.yaml")))
    judge = train_judge(examples, steps=40, batch_size=12)
    assert accuracy(judge, examples, "held_out")[0] > 0.9
    return judge
