"""AudioLDM's unet as one function over the tensors of an original checkpoint.

Written from the description of the architecture and the names of the tensors, without any of the
classes that the exporter uses, so that the two can disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

__all__ = ["OriginalUnet"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class OriginalUnet:
    """``tensors`` without their prefix; every head has ``head_channels`` channels."""

    tensors: dict[str, Tensor]
    head_channels: int

    def __call__(self, x: Tensor, timestep: Tensor, embedding: Tensor) -> Tensor:
        """[B, C, T, F], [B], [B, D] -> [B, C, T, F]."""
        film = self.linear("film_emb", embedding)
        condition = torch.cat([self.time_embedding(timestep), film], dim=1)
        skips = []
        for block in self.blocks("input_blocks"):
            x = self.block(block, x, condition)
            skips.append(x)
        x = self.block("middle_block", x, condition)
        for block in self.blocks("output_blocks"):
            x = self.block(block, torch.cat([x, skips.pop()], dim=1), condition)
        return self.conv("out.2", F.silu(self.group_norm("out.0", x, 1e-5)))

    def time_embedding(self, timestep: Tensor) -> Tensor:
        """Cosines first; the channels of the first convolution are the sinusoid's, too."""
        half = self.tensors["time_embed.0.weight"].shape[1] // 2
        frequency = torch.exp(-math.log(10000) * torch.arange(half) / half)
        phase = timestep[:, None] * frequency
        sinusoid = torch.cat([phase.cos(), phase.sin()], dim=1)
        return self.linear("time_embed.2", F.silu(self.linear("time_embed.0", sinusoid)))

    def blocks(self, group: str) -> list[str]:
        """``group.0``, ``group.1``, ... in order."""
        indices = {int(name.split(".")[1]) for name in self.tensors if name.startswith(group)}
        return [f"{group}.{index}" for index in sorted(indices)]

    def block(self, name: str, x: Tensor, condition: Tensor) -> Tensor:
        """The layers ``name.0``, ``name.1``, ..., distinguished by their tensors."""
        for layer in self.layers(name):
            if f"{layer}.in_layers.2.weight" in self.tensors:
                x = self.residual(layer, x, condition)
            elif f"{layer}.proj_in.weight" in self.tensors:
                x = self.transformer(layer, x)
            elif f"{layer}.op.weight" in self.tensors:
                x = self.conv(f"{layer}.op", x, stride=2)
            elif f"{layer}.conv.weight" in self.tensors:
                x = self.conv(f"{layer}.conv", F.interpolate(x, scale_factor=2))
            else:
                x = self.conv(layer, x)
        return x

    def layers(self, block: str) -> list[str]:
        place = block.count(".") + 1
        own = {name for name in self.tensors if name.startswith(f"{block}.")}
        return [f"{block}.{n}" for n in sorted({int(name.split(".")[place]) for name in own})]

    def residual(self, name: str, x: Tensor, condition: Tensor) -> Tensor:
        h = self.conv(f"{name}.in_layers.2", F.silu(self.group_norm(f"{name}.in_layers.0", x)))
        h = h + self.linear(f"{name}.emb_layers.1", F.silu(condition))[:, :, None, None]
        h = self.conv(f"{name}.out_layers.3", F.silu(self.group_norm(f"{name}.out_layers.0", h)))
        skip = f"{name}.skip_connection"
        return h + (self.conv(skip, x) if f"{skip}.weight" in self.tensors else x)

    def transformer(self, name: str, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        h = self.conv(f"{name}.proj_in", self.group_norm(f"{name}.norm", x, 1e-6))
        h = h.flatten(2).transpose(1, 2)
        block = f"{name}.transformer_blocks.0"
        for index in (1, 2):
            h = h + self.attention(
                f"{block}.attn{index}", self.layer_norm(f"{block}.norm{index}", h)
            )
        value, gate = self.linear(
            f"{block}.ff.net.0.proj", self.layer_norm(f"{block}.norm3", h)
        ).chunk(2, dim=-1)
        h = h + self.linear(f"{block}.ff.net.2", value * F.gelu(gate))
        h = h.transpose(1, 2).reshape(batch, channels, height, width)
        return x + self.conv(f"{name}.proj_out", h)

    def attention(self, name: str, x: Tensor) -> Tensor:
        """Softmax written out, one head after the other."""
        q, k, v = (x @ self.tensors[f"{name}.to_{part}.weight"].T for part in "qkv")
        heads = []
        for head in range(x.shape[-1] // self.head_channels):
            own = slice(head * self.head_channels, (head + 1) * self.head_channels)
            scores = q[..., own] @ k[..., own].transpose(1, 2) / math.sqrt(self.head_channels)
            heads.append(scores.softmax(dim=-1) @ v[..., own])
        return self.linear(f"{name}.to_out.0", torch.cat(heads, dim=-1))

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def group_norm(self, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
        return F.group_norm(
            x, 32, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], eps
        )

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias)
