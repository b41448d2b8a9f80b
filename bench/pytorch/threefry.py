"""The project's counter-based random numbers (lib/tensor/threefry.ts, lib/imm/randomness.ts): the same
bits, so that a run here sees the images, times, noise and dropped labels of a run there.
"""

import math

import numpy as np
import torch

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA
STREAM_FACTOR = 0x9E3779B9
WORD = 0xFFFFFFFF


def threefry2x32(k0, k1, c0, c1):
    """Two words for keys and counters: numbers, numpy arrays or tensors of int64 that broadcast."""
    schedule = (k0, k1, k0 ^ k1 ^ PARITY)
    x0, x1 = (c0 + k0) & WORD, (c1 + k1) & WORD
    for i in range(20):
        distance = ROTATIONS[i % 8]
        x0 = (x0 + x1) & WORD
        x1 = (((x1 << distance) | (x1 >> (32 - distance))) & WORD) ^ x0
        if i % 4 == 3:
            n = (i + 1) // 4
            x0 = (x0 + schedule[n % 3]) & WORD
            x1 = (x1 + schedule[(n + 1) % 3] + n) & WORD
    return x0, x1


def derive_key(seed, *purpose):
    """Key words for one purpose: derive_key(seed, "train", "noise", step)."""
    key = (seed & WORD, seed >> 32)
    for part in purpose:
        if isinstance(part, str):
            counter = (fnv1a(part), 0x80000000 | len(part))
        else:
            counter = (part & WORD, part >> 32)
        key = threefry2x32(*key, *counter)
    return key


def fnv1a(text):
    result = 0x811C9DC5
    for byte in text.encode():
        result = ((result ^ byte) * 0x01000193) & WORD
    return result


def normals(keys, samples, size, device):
    """Standard normal numbers [keys, samples, size] in float32, stream 0, the first sample 0."""
    k = torch.tensor(keys, dtype=torch.int64, device=device)[:, :, None, None]
    within = torch.arange(size, device=device)
    sample = torch.arange(samples, device=device)[:, None]
    w0, w1 = threefry2x32(k[:, 0], k[:, 1], within, sample)
    radius = (-2 * (((w0 >> 8) + 1).double() * 2**-24).log()).sqrt()
    return (radius * (2 * math.pi * 2**-24 * (w1 >> 8).double()).cos()).float()


def permutation(length, key):
    """A random order of 0 to length - 1."""
    last = np.arange(length - 1, 0, -1)
    high, low = threefry2x32(*key, last, 0)
    uniform = (high * 2.0**21 + (low >> 11)) / 2.0**53
    chosen = np.floor(uniform * (last + 1)).astype(np.int64)
    order = list(range(length))
    for i, j in zip(last.tolist(), chosen.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order)


def open_uniform(key, draw, groups):
    """Float64 in (0, 1), one per group."""
    w0, w1 = threefry2x32(*key, draw, np.arange(groups))
    return (w0 * 2.0**20 + (w1 >> 12) + 0.5) * 2.0**-52
