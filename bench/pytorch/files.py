"""Reading and writing the files that are exchanged: safetensors, IDX, lines of JSON."""

import gzip
import json
import os
import struct
from pathlib import Path

import numpy as np
import torch

TYPES = {"F32": np.float32, "F64": np.float64}


def read_safetensors(path, metadata=None):
    """Tensors by name; `metadata`, a dict, receives what the file says beside them."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            if metadata is not None:
                metadata |= entry
            continue
        begin, end = (8 + length + at for at in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], TYPES[entry["dtype"]])
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]).copy())
    return tensors


def write_safetensors(path, tensors, metadata):
    """Writes float32 tensors, atomically."""
    header, parts, at = {"__metadata__": metadata}, [], 0
    for name, tensor in tensors.items():
        values = tensor.detach().float().cpu().contiguous().numpy()
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [at, at + values.nbytes],
        }
        parts.append(values.tobytes())
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    replace(path, struct.pack("<Q", len(text)) + text + b"".join(parts))


def replace(path, data):
    temporary = f"{path}.tmp"
    Path(temporary).write_bytes(data)
    os.replace(temporary, path)


def read_idx(path):
    """An array of bytes from an IDX file, gzipped or not."""
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    axes = data[3]
    shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def read_images(folder, part, pad_to):
    """Bytes [N, H, W, 1] in the middle of squares of `pad_to`, and labels [N], of "train" or "t10k"."""
    def find(kind):
        (path,) = [p for p in Path(folder).glob(f"{part}-{kind}*ubyte*")]
        return read_idx(path)

    images, labels = find("images"), find("labels").astype(np.int64)
    n, height, width = images.shape
    if pad_to:
        padded = np.zeros((n, pad_to, pad_to), np.uint8)
        top, left = (pad_to - height) // 2, (pad_to - width) // 2
        padded[:, top : top + height, left : left + width] = images
        images = padded
    return images[..., None], labels
