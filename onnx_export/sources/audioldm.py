"""AudioLDM's networks (diffusers and transformers classes) behind the manifest's signatures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final, cast

import torch
from torch.nn.functional import normalize

from onnx_export.sources.mel import CentredLogMel
from server.model.manifest import Manifest

__all__ = ["NETWORK_OF", "as_component"]

NETWORK_OF: Final = {
    "text_encoder": "text_encoder",
    "audio_encoder": "audio_encoder",
    "vae_encoder": "vae",
    "unet": "unet",
    "vae_decoder": "vae",
    "vocoder": "vocoder",
}
"""Which network each graph is made of."""


class TextEncoderModule(torch.nn.Module):
    """CLAP's text tower: RoBERTa, pooler, two linear layers, unit length."""

    def __init__(self, clap_text: Any) -> None:
        super().__init__()
        self.clap = clap_text

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """int64 [B, N] twice -> [B, D]."""
        output = self.clap(input_ids=input_ids, attention_mask=attention_mask)
        return normalize(output.text_embeds, dim=-1)


class AudioEncoderModule(torch.nn.Module):
    """CLAP's audio tower (HTSAT): waveform at 48 kHz -> embedding of unit length."""

    def __init__(self, clap_audio: Any) -> None:
        super().__init__()
        self.log_mel = CentredLogMel(
            sample_rate=48000,
            n_fft=1024,
            hop_length=480,
            num_mels=clap_audio.config.num_mel_bins,
            fmin=50,
            fmax=14000,
            decibels=True,
        )
        self.clap = clap_audio

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """[B, 480000] -> [B, D]."""
        features = self.log_mel(waveform)[:, None]
        return normalize(self.clap(input_features=features).audio_embeds, dim=-1)


class VaeEncoder(torch.nn.Module):
    """Waveform -> log-mel -> mean and log-variance of the latent, before the scale factor."""

    def __init__(self, vae: Any, manifest: Manifest) -> None:
        super().__init__()
        self.log_mel = CentredLogMel(
            sample_rate=manifest.sample_rate,
            n_fft=1024,
            hop_length=manifest.hop_length,
            num_mels=manifest.num_mels,
            fmin=0,
            fmax=manifest.sample_rate / 2,
            decibels=False,
        )
        self.vae = vae

    def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, M * hop] -> two tensors [B, C, M / time_factor, F]."""
        # One frame more than M arises from the centred framing; the original cuts it, too.
        log_mel = self.log_mel(waveform)[:, None, :-1]
        latent = self.vae.encode(log_mel).latent_dist
        return latent.mean, latent.logvar


class UnetModule(torch.nn.Module):
    """The denoiser, conditioned on the embedding through its class projection."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, embedding: torch.Tensor
    ) -> torch.Tensor:
        """[B, C, T, F], float32 [B], [B, D] -> [B, C, T, F]."""
        output = self.unet(
            sample, timestep, encoder_hidden_states=None, class_labels=embedding, return_dict=False
        )
        return output[0]


class VaeDecoder(torch.nn.Module):
    """Latent, after division by the scale factor -> log-mel."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """[B, C, T, F] -> [B, T * time_factor, num_mels]."""
        return self.vae.decode(latent, return_dict=False)[0].squeeze(1)


class VocoderModule(torch.nn.Module):
    """HiFi-GAN: log-mel -> waveform.

    Its convolutions are written with two dimensions, the first of them 1: ONNX Runtime has
    blocked kernels for those on CPUs, which are a tenth faster.
    """

    def __init__(self, hifigan: Any) -> None:
        super().__init__()
        self.hifigan = copy.deepcopy(hifigan)
        for name, module in hifigan.named_modules():
            if isinstance(module, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
                self.hifigan.set_submodule(name, _in_two_dimensions(module))
        inner = self.hifigan
        inner.conv_pre = torch.nn.Sequential(torch.nn.Unflatten(2, (1, -1)), inner.conv_pre)
        inner.conv_post = torch.nn.Sequential(inner.conv_post, torch.nn.Flatten(2))

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """[B, M, num_mels] -> [B, M * hop + 32]."""
        return self.hifigan(log_mel)


def _in_two_dimensions(conv: torch.nn.Conv1d | torch.nn.ConvTranspose1d) -> torch.nn.Module:
    """``conv`` [B, C, T] -> [B, D, S] as [B, C, 1, T] -> [B, D, 1, S]."""
    sizes = (conv.in_channels, conv.out_channels, (1, *conv.kernel_size))
    settings: dict[str, Any] = {
        "stride": (1, *conv.stride),
        "padding": (0, *cast("tuple[int, ...]", conv.padding)),
        "dilation": (1, *conv.dilation),
        "groups": conv.groups,
    }
    wide: torch.nn.Module
    if isinstance(conv, torch.nn.ConvTranspose1d):
        settings["output_padding"] = (0, *conv.output_padding)
        wide = torch.nn.ConvTranspose2d(*sizes, **settings)
    else:
        wide = torch.nn.Conv2d(*sizes, **settings)
    wide.weight = torch.nn.Parameter(conv.weight.detach().unsqueeze(2))
    wide.bias = conv.bias
    return wide


def as_component(name: str, network: torch.nn.Module, manifest: Manifest) -> torch.nn.Module:
    """The component ``name`` around its network (see :data:`NETWORK_OF`)."""
    wrap: dict[str, Callable[[torch.nn.Module], torch.nn.Module]] = {
        "text_encoder": TextEncoderModule,
        "audio_encoder": AudioEncoderModule,
        "vae_encoder": lambda vae: VaeEncoder(vae, manifest),
        "unet": UnetModule,
        "vae_decoder": VaeDecoder,
        "vocoder": VocoderModule,
    }
    return wrap[name](network).eval()
