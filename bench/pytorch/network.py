"""DDPM++ (the SongUNet of EDM and IMM with positional embedding, standard encoder and decoder and
the filter [1, 1]), written for PyTorch's eager mode. State-dict keys are those of the public code.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-6


def group_norm(channels):
    return nn.GroupNorm(min(32, channels // 4), channels, eps=EPS)


def conv3(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Block(nn.Module):
    """Residual block with optional resampling by 2 and one-headed attention."""

    def __init__(self, inputs, outputs, embedding, resample=None, attention=False, dropout=0.0):
        super().__init__()
        self.resample_kind = resample
        self.dropout = dropout
        self.norm0 = group_norm(inputs)
        self.conv0 = conv3(inputs, outputs)
        self.affine = nn.Linear(embedding, outputs)
        self.norm1 = group_norm(outputs)
        self.conv1 = conv3(outputs, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs or resample else None
        self.attention = attention
        if attention:
            self.norm2 = group_norm(outputs)
            self.qkv = nn.Conv2d(outputs, 3 * outputs, 1)
            self.proj = nn.Conv2d(outputs, outputs, 1)

    def resample(self, x):
        # What the filter [1, 1] amounts to.
        if self.resample_kind == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        if self.resample_kind == "down":
            return F.avg_pool2d(x, 2)
        return x

    def forward(self, x, embedding):
        h = self.conv0(self.resample(F.silu(self.norm0(x))))
        h = F.silu(self.norm1(h + self.affine(embedding)[:, :, None, None]))
        h = self.conv1(F.dropout(h, self.dropout, self.training))
        x = x if self.skip is None else self.skip(self.resample(x))
        x = (h + x) * math.sqrt(0.5)
        if not self.attention:
            return x
        n, c, height, width = x.shape
        # The three parts of a channel lie side by side.
        qkv = self.qkv(self.norm2(x)).view(n, 1, c, 3, height * width).permute(3, 0, 1, 4, 2)
        attended = F.scaled_dot_product_attention(*qkv.unbind(0))
        attended = attended.transpose(2, 3).reshape(n, c, height, width)
        return (self.proj(attended) + x) * math.sqrt(0.5)


class UNet(nn.Module):
    """x [N, C, H, W], two noise labels [N], labels [N, classes] -> [N, C, H, W]."""

    def __init__(self, config):
        super().__init__()
        size, channels = config["imgResolution"], config["modelChannels"]
        mult, blocks = config["channelMult"], config["numBlocks"]
        attention, image = config["attnResolutions"], config["imgChannels"]
        time = channels * config["channelMultNoise"]
        width = channels * config["channelMultEmb"]
        self.time, self.classes = time, config["labelDim"]
        if self.classes:
            self.map_label = nn.Linear(self.classes, time)
        # Nothing is augmented in a benchmark, so that the labels of augmentations are zero.
        self.augment = config.get("augmentDim", 0)
        if self.augment:
            self.map_augment = nn.Linear(self.augment, time, bias=False)
        for suffix in ("", "_s"):
            self.add_module(f"map_layer0{suffix}", nn.Linear(time, width))
            self.add_module(f"map_layer1{suffix}", nn.Linear(width, width))

        def block(inputs, outputs, resample=None, attends=False):
            return Block(inputs, outputs, width, resample, attends, config["dropout"])

        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        skips, c = [], channels
        for level, factor in enumerate(mult):
            name = f"{size >> level}x{size >> level}"
            if level == 0:
                self.enc[f"{name}_conv"] = conv3(image, c)
            else:
                self.enc[f"{name}_down"] = block(c, c, "down")
            skips.append(c)
            for i in range(blocks):
                attends = size >> level in attention
                self.enc[f"{name}_block{i}"] = block(c, channels * factor, None, attends)
                c = channels * factor
                skips.append(c)
        for level in reversed(range(len(mult))):
            name = f"{size >> level}x{size >> level}"
            if level == len(mult) - 1:
                self.dec[f"{name}_in0"] = block(c, c, attends=True)
                self.dec[f"{name}_in1"] = block(c, c)
            else:
                self.dec[f"{name}_up"] = block(c, c, "up")
            for i in range(blocks + 1):
                attends = i == blocks and size >> level in attention
                inputs = c + skips.pop()
                c = channels * mult[level]
                self.dec[f"{name}_block{i}"] = block(inputs, c, None, attends)
        self.dec[f"{name}_aux_norm"] = group_norm(c)
        self.dec[f"{name}_aux_conv"] = conv3(c, image)

    def embed(self, label, suffix, classes=None):
        half = self.time // 2
        powers = torch.arange(half, dtype=torch.float64, device=label.device) / (half - 1)
        angles = label.double()[:, None] * (1 / 10000) ** powers
        x = torch.cat([angles.sin(), angles.cos()], dim=1).float()
        if classes is not None:
            x = x + self.map_label(classes * math.sqrt(self.classes))
        if self.augment and suffix == "":
            x = x + self.map_augment(x.new_zeros(len(x), self.augment))
        x = F.silu(getattr(self, f"map_layer0{suffix}")(x))
        return getattr(self, f"map_layer1{suffix}")(x)

    def forward(self, x, label_t, label_s, classes=None):
        embedding = F.silu(self.embed(label_t, "", classes) + self.embed(label_s, "_s"))
        skips = []
        for layer in self.enc.values():
            x = layer(x, embedding) if isinstance(layer, Block) else layer(x)
            skips.append(x)
        for name, layer in self.dec.items():
            if name.endswith("aux_norm"):
                x = F.silu(layer(x))
            elif name.endswith("aux_conv"):
                x = layer(x)
            else:
                if "_block" in name:
                    x = torch.cat([x, skips.pop()], dim=1)
                x = layer(x, embedding)
        return x
