"""RoBERTa's tokenizer, checked, because transformers may return an almost empty one offline."""

from __future__ import annotations

from pathlib import Path

import tokenizers

from server.errors import ModelError

__all__ = ["ROBERTA", "load_tokenizer"]

ROBERTA = "roberta-base"
"""The Hub repository whose tokenizer every AudioLDM uses."""


def load_tokenizer(where: str, vocab_size: int) -> tokenizers.Tokenizer:
    """The tokenizer at ``where``: a ``tokenizer.json``, a folder or a Hub repository.

    Args:
        where: a path or a repository id.
        vocab_size: entries that the text tower has embeddings for.

    Raises:
        ModelError: there is none, or its vocabulary is of another size.
    """
    try:
        tokenizer = _load(where)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(
            f"no tokenizer at {where} ({reason}); name a tokenizer.json, a folder or a Hub "
            "repository with --tokenizer"
        ) from error
    if tokenizer.get_vocab_size() != vocab_size:
        raise ModelError(
            f"the tokenizer at {where} has {tokenizer.get_vocab_size()} entries, but the text "
            f"encoder has {vocab_size}; name the right one with --tokenizer"
        )
    # Each prompt is padded and cut by whoever asks, not by the tokenizer's own settings.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _load(where: str) -> tokenizers.Tokenizer:
    if Path(where).is_file():
        return tokenizers.Tokenizer.from_file(where)
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(where).backend_tokenizer
