"""AudioLDM's own networks (diffusers' and transformers' classes) as the stages take them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from onnx_export.sources.architecture import build_network
from server.checkpoints.architecture import Architecture, attention_heads

__all__ = ["KlAutoencoder", "HifiGan", "UnetDenoiser"]


class _KlEncoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.encoder, self.quant_conv = vae.encoder, vae.quant_conv
        self.register_buffer("scale", torch.ones(1))

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.quant_conv(self.encoder(log_mel[:, None])).chunk(2, dim=1)
        return mean * self.scale, torch.clamp(logvar, -30.0, 20.0) + 2.0 * torch.log(self.scale)


class _KlDecoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.post_quant_conv, self.decoder = vae.post_quant_conv, vae.decoder
        self.register_buffer("scale", torch.ones(1))

    def forward(self, latent: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(latent / self.scale))[:, 0]


class KlAutoencoder(nn.Module):
    """diffusers' AutoencoderKL with the interface of :class:`.autoencoder.MelVae`."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        vae = build_network("vae", sizes, [])
        self.encoder, self.decoder = _KlEncoder(vae), _KlDecoder(vae)

    @torch.no_grad()
    def standardise(self, latents: Tensor) -> None:
        """Fold one scale factor, 1 / std of ``latents``, into the encoder and the decoder."""
        for part in (self.encoder, self.decoder):
            part.scale.fill_(1.0 / latents.std().item())


class HifiGan(nn.Module):
    """HiFi-GAN: ``log_mel [B, M, 64] -> waveform [B, 160 M]``."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.generator = build_network("vocoder", sizes, [])
        self.hop_length = sizes.hop_length

    def forward(self, log_mel: Tensor) -> Tensor:
        """Waveform, without the generator's few samples too many."""
        waveform = self.generator(log_mel)
        return waveform[:, : log_mel.shape[1] * self.hop_length]


class UnetDenoiser(nn.Module):
    """The published UNet: ``sample, timestep, embedding -> prediction``."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.unet = build_network("unet", sizes, attention_heads(sizes, "original"))

    def forward(self, sample: Tensor, timestep: Tensor, embedding: Tensor) -> Tensor:
        """Prediction at ``sample``; T a multiple of 8."""
        output: tuple[Tensor] = self.unet(
            sample, timestep, encoder_hidden_states=None, class_labels=embedding, return_dict=False
        )
        return output[0]
