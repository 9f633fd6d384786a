"""RoBERTa's tokenizer from a vocabulary and merges, as older repositories hold it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers

from server.checkpoints.tokenizer import read_tokenizer
from server.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    letters = [*"abcdeĠ", "ab", "Ġa"]
    words = ["<s>", "<pad>", "</s>", "<unk>", *letters, "<mask>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    merges = [("a", "b"), ("Ġ", "a")]
    tokenizers.models.BPE(vocab=vocabulary, merges=merges).save(str(tmp_path))
    return tmp_path


def test_a_prompt_begins_and_ends_as_roberta_wants(folder: Path) -> None:
    tokenizer = read_tokenizer(folder, 13)
    assert tokenizer.encode("ab a").tokens == ["<s>", "ab", "Ġa", "</s>"]
    assert tokenizer.encode("").ids == [0, 2]


def test_another_vocabulary_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="13 entries"):
        read_tokenizer(folder, 50265)
    with pytest.raises(ModelError, match="no tokenizer"):
        read_tokenizer(folder / "none", 13)
