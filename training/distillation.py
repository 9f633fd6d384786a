"""Stage ``text``: the small text tower follows all-MiniLM-L6-v2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.text import SPECIAL, SentenceEncoder, build_tokenizer, load_minilm, tokenize
from training.sounds.folder import NOTE_NAME, NOTES, CaptionedClip, held_out
from training.sounds.phrases import make_phrases

__all__ = ["Distillation", "embed", "prune_vocabulary", "teacher_embeddings"]

STUDENT_LAYERS = (0, 2, 5)
TEACHER_LAYERS = (0, 1, 2, 3, 4, 5)


def prune_vocabulary(folder: Path, phrases: Sequence[str], size: int) -> list[str]:
    """MiniLM's vocabulary cut to ``size``: what ``phrases`` use, then the most frequent words."""
    known = (folder / "vocab.txt").read_text("utf-8").splitlines()
    tokenizer = build_tokenizer(list(SPECIAL) + [word for word in known if word not in SPECIAL])
    used = {token for item in tokenizer.encode_batch(list(phrases)) for token in item.tokens}
    kept = dict.fromkeys(word for word in known if word in used and word not in SPECIAL)
    pieces = (word for word in known if word.startswith("##") and len(word) <= 4)
    letters = (word for word in known if len(word) == 1 and word.isascii())
    frequent = (word for word in known if word.isascii() and not word.startswith("["))
    for word in (*letters, *pieces, *frequent):
        if len(kept) >= size - len(SPECIAL):
            break
        kept.setdefault(word)
    return list(SPECIAL) + list(kept)


@torch.no_grad()
def embed(
    encoder: nn.Module, tokenizer: Tokenizer, phrases: Sequence[str], device: torch.device
) -> Tensor:
    """Embeddings of ``phrases``, in their order, batched by length."""
    order = sorted(range(len(phrases)), key=lambda number: len(phrases[number]))
    rows: list[Tensor] = []
    for start in range(0, len(order), 64):
        chunk = [phrases[number] for number in order[start : start + 64]]
        ids, mask = tokenize(tokenizer, chunk)
        rows.append(encoder(ids.to(device), mask.to(device)).float().cpu())
    embeddings = torch.cat(rows)
    result = torch.empty_like(embeddings)
    result[torch.tensor(order)] = embeddings
    return result


def teacher_embeddings(folder: Path, phrases: Sequence[str], device: torch.device) -> Tensor:
    """Embeddings of ``phrases`` by all-MiniLM-L6-v2 in ``folder``: float32 [len(phrases), 384]."""
    teacher, words = load_minilm(folder, TEACHER_LAYERS)
    return embed(teacher.eval().to(device), build_tokenizer(words), phrases, device)


class Distillation(TrainingStage):
    """Regress the teacher's embedding and name the note, batch after batch of phrases."""

    def __init__(
        self,
        phrases: Sequence[str],
        teacher: Tensor,
        model: SentenceEncoder,
        tokenizer: Tokenizer,
        *,
        batch: int,
        learning_rate: float,
        device: torch.device,
    ) -> None:
        self.device, self.batch = device, batch
        self.model = model.to(device)
        self.model.words.weight.requires_grad_(False)
        self.tokenizer = tokenizer
        probe = nn.Linear(384, len(NOTES) + 9).to(device)
        self.networks = nn.ModuleDict({"model": self.model, "probe": probe})
        self.phrases, self.teacher = list(phrases), teacher.to(device)
        labels = [_note(phrase) for phrase in self.phrases]
        self.labels = torch.tensor(labels, device=device)
        test = [number for number, phrase in enumerate(phrases) if held_out(phrase)]
        self.test = torch.tensor(test[:400])
        train = torch.ones(len(self.phrases), dtype=torch.bool)
        train[torch.tensor(test)] = False
        self.train_rows = train.nonzero()[:, 0]
        trainable = [item for item in self.networks.parameters() if item.requires_grad]
        self.optimizers = {
            "adam": torch.optim.AdamW(trainable, lr=learning_rate, weight_decay=0.01)
        }

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of phrases."""
        draw = torch.randint(
            len(self.train_rows), (self.batch,), generator=generator, device=self.device
        )
        rows = self.train_rows[draw.cpu()]
        ids, mask = tokenize(self.tokenizer, [self.phrases[row] for row in rows])
        with autocast(self.device):
            student = self.model(ids.to(self.device), mask.to(self.device))
            teacher, labels = self.teacher[rows], self.labels[rows]
            cosine = 1.0 - (student * teacher).sum(-1).mean()
            gram = (student @ student.T - teacher @ teacher.T).square().mean()
            probe = self.networks["probe"](student * 384**0.5)
            note = functional.cross_entropy(probe[:, :12], labels[:, 0], ignore_index=-1)
            octave = functional.cross_entropy(probe[:, 12:], labels[:, 1], ignore_index=-1)
        notes = torch.nan_to_num(note) + torch.nan_to_num(octave)
        optimize(
            self.optimizers["adam"],
            cosine + 2.0 * gram + 0.05 * notes,
            self.networks.parameters(),
        )
        return {"cosine": 1.0 - cosine.item(), "notes": notes.item()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Cosine to the teacher and note accuracy on phrases that were never trained on."""
        phrases = [self.phrases[row] for row in self.test]
        student = embed(model, self.tokenizer, phrases, self.device).to(self.device)
        labels = self.labels[self.test]
        named = labels[:, 0] >= 0
        probe = self.networks["probe"](student * 384**0.5)[:, :12].argmax(-1)
        correct = (probe == labels[:, 0])[named].float().mean()
        return {
            "cosine": (student * self.teacher[self.test]).sum(-1).mean().item(),
            "note_accuracy": correct.item(),
        }


def distillation_phrases(
    clips: Sequence[CaptionedClip], words: Sequence[str], count: int, seed: int
) -> list[str]:
    """Every caption and tag of ``clips``, and ``count`` made phrases; no duplicates."""
    found = dict.fromkeys(caption for clip in clips for caption in clip.captions)
    found.update(dict.fromkeys(tag for clip in clips for tag in clip.tags))
    found.update(dict.fromkeys(make_phrases(count, words, seed)))
    return list(found)


def _note(phrase: str) -> tuple[int, int]:
    match = NOTE_NAME.search(phrase)
    if match is None or "-" in match.group():
        return -1, -1
    name = match.group()
    return NOTES.index(name[:-1]), min(8, int(name[-1]))
