"""CLAP embeddings of text."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.errors import ModelError
from server.model.manifest import Manifest
from server.model.session import Graph

__all__ = ["Embedding", "TextEncoder", "unit"]

Embedding = npt.NDArray[np.float32]
_CACHE_SIZE = 512


def unit(vector: npt.NDArray[Any]) -> Embedding:
    """Scale ``vector`` to length 1."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


class TextEncoder:
    """Tokenizer and text tower of a model folder, with a cache of recent embeddings."""

    def __init__(self, folder: Path, manifest: Manifest, graph: Graph) -> None:
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error
        self._check_vocabulary(folder, manifest)
        self._manifest = manifest
        self._graph = graph
        self._cache: OrderedDict[str, Embedding] = OrderedDict()

    def __call__(self, text: str) -> Embedding:
        """The unit-length embedding [D] of ``text``."""
        if text not in self._cache:
            self._cache[text] = self._embed(text)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        self._cache.move_to_end(text)
        return self._cache[text]

    def unconditional(self) -> Embedding:
        """Unconditional embedding of guidance where there is no negative prompt, [D]."""
        if self._manifest.null_embedding == "zeros":
            return np.zeros(self._manifest.embedding_dim, np.float32)
        return self("")

    def _embed(self, text: str) -> Embedding:
        rule = self._manifest.tokenizer
        self._tokenizer.enable_truncation(rule.max_length)
        ids = self._tokenizer.encode(text).ids
        length = min(-(-len(ids) // rule.pad_multiple) * rule.pad_multiple, rule.max_length)
        # Padding is masked, so that few tokens give the same embedding as ``max_length`` would.
        input_ids = np.full((1, length), rule.pad_id, np.int64)
        input_ids[0, : len(ids)] = ids
        mask = np.zeros_like(input_ids)
        mask[0, : len(ids)] = 1
        embedding: Embedding = self._graph(input_ids=input_ids, attention_mask=mask)[0][0]
        return embedding

    def _check_vocabulary(self, folder: Path, manifest: Manifest) -> None:
        """A tokenizer of another size would map every text to the same few tokens, silently."""
        size, expected = self._tokenizer.get_vocab_size(), manifest.tokenizer.vocab_size
        if expected and size != expected:
            raise ModelError(f"{folder}/tokenizer.json has {size} entries instead of {expected}")
