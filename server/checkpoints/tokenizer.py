"""RoBERTa's tokenizer out of a folder: ``tokenizer.json``, or a vocabulary and merges."""

from __future__ import annotations

from pathlib import Path

import tokenizers

from server.errors import ModelError

__all__ = ["TOKENIZER_FILES", "read_tokenizer"]

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")


def read_tokenizer(where: Path, vocab_size: int) -> tokenizers.Tokenizer:
    """The tokenizer at ``where``: a ``tokenizer.json``, or a folder.

    Args:
        where: the file or folder.
        vocab_size: entries that the text tower has embeddings for.

    Raises:
        ModelError: there is none, or its vocabulary is of another size.
    """
    try:
        tokenizer = _read(where)
    except Exception as error:  # the library's errors have no common class
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(
            f"no tokenizer at {where} ({reason}); name RoBERTa's tokenizer.json with --tokenizer"
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


def _read(where: Path) -> tokenizers.Tokenizer:
    whole = where if where.is_file() else where / "tokenizer.json"
    if whole.is_file():
        return tokenizers.Tokenizer.from_file(str(whole))
    vocabulary, merges = (str(where / name) for name in ("vocab.json", "merges.txt"))
    model = tokenizers.models.BPE.from_file(vocabulary, merges)
    return _as_roberta(tokenizers.Tokenizer(model))


def _as_roberta(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """What transformers makes of RoBERTa's vocabulary and merges."""
    ids = tokenizer.get_vocab()
    first, last = (("<s>", ids["<s>"]), ("</s>", ids["</s>"]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(
        last, first, add_prefix_space=False
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    mask = tokenizers.AddedToken("<mask>", lstrip=True)
    tokenizer.add_special_tokens([mask])
    return tokenizer
