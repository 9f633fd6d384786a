"""The manifest of an AudioLDM checkpoint."""

from __future__ import annotations

from server.checkpoints.architecture import Architecture
from server.model.manifest import AudioEncoderInfo, Defaults, Latent, Manifest, Tokenizer

__all__ = ["AUDIOLDM_LICENCE", "audioldm_manifest"]

AUDIOLDM_LICENCE = "CC BY-NC-SA 4.0, as AudioLDM's weights were published"


def audioldm_manifest(
    sizes: Architecture,
    *,
    name: str,
    source: str,
    licence: str,
    scale_factor: float,
    heads: list[int],
) -> Manifest:
    """The manifest of an AudioLDM of these sizes.

    ``tokenizer.max_length`` is the text tower's own limit: prompts are padded to a multiple of
    16 tokens only, and padding is masked, so a long limit costs nothing.
    """
    return Manifest(
        name=name,
        licence=licence,
        source=source,
        hop_length=sizes.hop_length,
        num_mels=sizes.num_mels,
        embedding_dim=sizes.embedding_dim,
        null_embedding="empty_prompt",
        latent=Latent(
            channels=sizes.latent_channels,
            mel_bins=sizes.num_mels // sizes.time_factor,
            time_factor=sizes.time_factor,
            time_multiple=sizes.time_multiple,
            scale_factor=scale_factor,
        ),
        tokenizer=Tokenizer(
            max_length=sizes.text_positions - 2, pad_id=1, vocab_size=sizes.vocab_size
        ),
        audio_encoder=AudioEncoderInfo(sample_rate=48000, num_samples=480000),
        defaults=Defaults(),
        architecture={**sizes.as_dict(), "attention_heads": heads},
    )
