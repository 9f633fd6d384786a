"""Where each tensor of our networks stands in an original AudioLDM checkpoint.

The original groups a level's blocks in flat lists (``input_blocks.4.1``) where diffusers nests
them (``down_blocks.1.attentions.0``); the tensors are the same but for HTSAT's query, key and
value, which the original stores as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["EMA_PREFIX", "PREFIXES", "Origin", "ema_name", "is_constant", "original_names"]

PREFIXES: Final = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "vocoder": "first_stage_model.vocoder.",
    "text_encoder": "cond_stage_model.model.",
    "audio_encoder": "cond_stage_model.model.",
}
"""Where each network starts in the checkpoint's state dict."""
EMA_PREFIX: Final = "model_ema."
NUM_LAYERS: Final = 2
"""Residual blocks a level, in the unet and in the VAE."""

UNET_RESNET: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_RESNET: Final = {name: name for name in ("norm1", "conv1", "norm2", "conv2")} | {
    "conv_shortcut": "nin_shortcut"
}
VAE_ATTENTION: Final = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
PROJECTION: Final = {"linear1": "0", "linear2": "2"}
HTSAT_BLOCK: Final = {
    "layernorm_before": "norm1",
    "attention.self.relative_position_bias_table": "attn.relative_position_bias_table",
    "attention.self.relative_position_index": "attn.relative_position_index",
    "attention.output.dense": "attn.proj",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


@dataclass(frozen=True)
class Origin:
    """A tensor of the original, or one third of its rows (``part`` 0, 1 or 2)."""

    name: str
    part: int | None = None


def original_names(network: str, names: list[str], levels: int) -> dict[str, Origin]:
    """The origin of every tensor in ``names``, without the checkpoint's prefix.

    Args:
        network: a key of :data:`PREFIXES`.
        names: the names of our network's state dict.
        levels: resolution levels of the unet or the VAE (ignored for the others).
    """
    if network == "audio_encoder":
        return {name: _htsat(name) for name in names}
    prefixes = {
        "unet": _unet(levels),
        "vae": _vae(levels),
        "vocoder": {"upsampler": "ups"},
        "text_encoder": {"text_model": "text_branch"} | _nested("text_projection", PROJECTION),
    }[network]
    return {name: Origin(_renamed(name, prefixes)) for name in names}


def ema_name(name: str) -> str:
    """Name of the moving average of the unet's tensor ``name`` (in the original's words)."""
    return EMA_PREFIX + f"diffusion_model.{name}".replace(".", "")


def is_constant(name: str) -> bool:
    """Whether the class makes this buffer itself; some checkpoints store them, some do not."""
    constants = ("position_ids", "token_type_ids", "relative_position_index", "mean", "scale")
    return name.rpartition(".")[2] in (*constants, "num_batches_tracked")


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    """``name`` with its longest known prefix replaced."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in prefixes:
            return ".".join([prefixes[prefix], *parts[length:]])
    return name


def _nested(ours: str, inner: dict[str, str], theirs: str | None = None) -> dict[str, str]:
    theirs = ours if theirs is None else theirs
    return {f"{ours}.{name}": f"{theirs}.{other}" for name, other in inner.items()}


def _unet(levels: int) -> dict[str, str]:
    names = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "class_embedding": "film_emb",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.attentions.0": "middle_block.1",
    }
    names |= _nested("mid_block.resnets.0", UNET_RESNET, "middle_block.0")
    names |= _nested("mid_block.resnets.1", UNET_RESNET, "middle_block.2")
    stride = NUM_LAYERS + 1
    for level in range(levels):
        down, up = f"down_blocks.{level}", f"up_blocks.{level}"
        for layer in range(NUM_LAYERS):
            block = f"input_blocks.{1 + level * stride + layer}"
            names |= _nested(f"{down}.resnets.{layer}", UNET_RESNET, f"{block}.0")
            names[f"{down}.attentions.{layer}"] = f"{block}.1"
        for layer in range(stride):
            block = f"output_blocks.{level * stride + layer}"
            names |= _nested(f"{up}.resnets.{layer}", UNET_RESNET, f"{block}.0")
            names[f"{up}.attentions.{layer}"] = f"{block}.1"
        names[f"{down}.downsamplers.0.conv"] = f"input_blocks.{(level + 1) * stride}.0.op"
        names[f"{up}.upsamplers.0.conv"] = f"output_blocks.{level * stride + NUM_LAYERS}.2.conv"
    return names


def _vae(levels: int) -> dict[str, str]:
    names = {}
    for side in ("encoder", "decoder"):
        names[f"{side}.conv_norm_out"] = f"{side}.norm_out"
        for index in (0, 1):
            ours, theirs = f"{side}.mid_block.resnets.{index}", f"{side}.mid.block_{index + 1}"
            names |= _nested(ours, VAE_RESNET, theirs)
        names |= _nested(f"{side}.mid_block.attentions.0", VAE_ATTENTION, f"{side}.mid.attn_1")
    for level in range(levels):
        down, up = f"encoder.down.{level}", f"decoder.up.{levels - 1 - level}"
        for layer in range(NUM_LAYERS + 1):
            ours = f"encoder.down_blocks.{level}.resnets.{layer}"
            names |= _nested(ours, VAE_RESNET, f"{down}.block.{layer}")
            ours = f"decoder.up_blocks.{level}.resnets.{layer}"
            names |= _nested(ours, VAE_RESNET, f"{up}.block.{layer}")
        names[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"{down}.downsample.conv"
        names[f"decoder.up_blocks.{level}.upsamplers.0.conv"] = f"{up}.upsample.conv"
    return names


def _htsat(name: str) -> Origin:
    """CLAP's audio tower: ours and the original's differ inside the blocks only."""
    name = name.replace("audio_model.audio_encoder.", "audio_branch.")
    name = name.replace("audio_branch.batch_norm.", "audio_branch.bn0.")
    for linear, index in PROJECTION.items():
        name = name.replace(f"audio_projection.{linear}.", f"audio_projection.{index}.")
    for part, operand in enumerate(("query", "key", "value")):
        if f".attention.self.{operand}." in name:
            return Origin(name.replace(f"attention.self.{operand}", "attn.qkv"), part)
    head, block, tail = name.partition(".blocks.")
    if not block:
        return Origin(name)
    index, _, rest = tail.partition(".")
    return Origin(f"{head}{block}{index}.{_renamed(rest, HTSAT_BLOCK)}")
