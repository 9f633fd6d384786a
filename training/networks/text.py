"""The text tower: a small BERT, distilled from all-MiniLM-L6-v2, and a CLAP projection.

Three of MiniLM's six layers and the part of its vocabulary that sounds need make 10 M weights.
Distillation follows "Making Monolingual Sentence Embeddings Multilingual" (arXiv:2004.09813):
the student's mean-pooled embedding is regressed on the teacher's. A probe for note names is
trained beside it, since a sentence embedding alone hardly tells C3 from G3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MAX_TOKENS", "SentenceEncoder", "build_tokenizer", "load_minilm", "tokenize"]

MAX_TOKENS: Final = 48
WIDTH: Final = 384
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


class _Layer(nn.Module):
    """One post-norm BERT layer."""

    def __init__(self, heads: int = 12, inner: int = 1536) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)
        self.attention_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, inner)
        self.down = nn.Linear(inner, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, WIDTH // self.heads)).transpose(1, 2)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            self._split(item(states)) for item in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.transpose(-1, -2)) * (WIDTH // self.heads) ** -0.5
        mixed = torch.matmul(torch.softmax(scores + mask, dim=-1), value)
        attended = self.output(mixed.transpose(1, 2).flatten(2))
        states = self.attention_norm(states + attended)
        return self.norm(states + self.down(functional.gelu(self.up(states))))


class SentenceEncoder(nn.Module):
    """``input_ids, attention_mask [B, N] -> [B, 384]``, mean-pooled and of unit length."""

    def __init__(self, vocab_size: int, layers: int = 3) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, WIDTH)
        self.positions = nn.Embedding(MAX_TOKENS, WIDTH)
        self.segment = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(_Layer() for _ in range(layers))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Sentence embeddings."""
        positions = self.positions.weight[: input_ids.shape[1]]
        states = self.norm(self.words(input_ids) + positions + self.segment)
        weights = attention_mask.to(states.dtype)
        mask = (1.0 - weights)[:, None, None] * -1e4
        for layer in self.layers:
            states = layer(states, mask)
        pooled = (states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
        return functional.normalize(pooled, dim=-1)


def build_tokenizer(vocabulary: Sequence[str]) -> Tokenizer:
    """BERT's lower-case WordPiece tokenizer over ``vocabulary`` (its first four are special)."""
    words = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, words[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def tokenize(tokenizer: Tokenizer, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """``(input_ids, attention_mask)`` int64 [B, N], padded to the longest caption."""
    encoded = [item.ids for item in tokenizer.encode_batch(list(captions))]
    longest = max(len(ids) for ids in encoded)
    padding = tokenizer.token_to_id("[PAD]") or 0
    ids = torch.full((len(encoded), longest), padding, dtype=torch.long)
    mask = torch.zeros((len(encoded), longest), dtype=torch.long)
    for row, item in enumerate(encoded):
        ids[row, : len(item)] = torch.tensor(item)
        mask[row, : len(item)] = 1
    return ids, mask


def load_minilm(
    folder: Path, layers: Sequence[int], vocabulary: Sequence[str] | None = None
) -> tuple[SentenceEncoder, list[str]]:
    """The given layers of the MiniLM checkpoint in ``folder``, over part of its vocabulary.

    Returns the encoder and its vocabulary (all of it where none is given).
    """
    known = (folder / "vocab.txt").read_text("utf-8").splitlines()
    row = {word: number for number, word in enumerate(known)}
    words = list(SPECIAL) + [
        word for word in (vocabulary or known) if word not in SPECIAL and word in row
    ]
    weights = load_file(folder / "model.safetensors")
    encoder = SentenceEncoder(len(words), len(layers))
    rows = torch.tensor([row[word] for word in words])
    state = {
        "words.weight": weights["embeddings.word_embeddings.weight"][rows],
        "positions.weight": weights["embeddings.position_embeddings.weight"][:MAX_TOKENS],
        "segment": weights["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    for position, layer in enumerate(layers):
        for ours, theirs in _LAYER_NAMES.items():
            for kind in ("weight", "bias"):
                name = f"encoder.layer.{layer}.{theirs}.{kind}"
                state[f"layers.{position}.{ours}.{kind}"] = weights[name]
    encoder.load_state_dict(state)
    return encoder, words


_LAYER_NAMES: Final = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}
