"""A hash over weights and settings: equal means the same activations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor

_BLOCK = 4096
"""Weights per checksum."""

_BIT_TYPES = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


_INCIDENTAL = frozenset({"_name_or_path", "transformers_version", "device", "metadata"})
"""Settings, at any depth, that do not decide activations."""


def fingerprint(weights: Mapping[str, Mapping[str, Tensor]], settings: Mapping[str, object]) -> str:
    """SHA-256 over every weight and over the settings.

    Each tensor goes in as name, dtype, shape and one integer sum of the raw bits per block of
    4,096 numbers: any single changed weight changes the hash, the sums are the same on every
    device and in every process, and gigabytes take seconds, unlike hashing the bytes themselves.

    Args:
        weights: state dictionaries by the name of their part; what shares storage counts once.
        settings: whatever else decides the activations.
    """
    plain = json.dumps(_plain(settings), sort_keys=True)
    digest = hashlib.sha256(plain.encode())
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for part, tensors in sorted(weights.items()):
        for name, tensor in sorted(tensors.items()):
            key = (tensor.data_ptr(), tuple(tensor.shape))
            if key in seen:
                continue
            seen.add(key)
            digest.update(f"{part}.{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
            digest.update(_checksums(tensor))
    return digest.hexdigest()


def _plain(value: object) -> object:
    """`value` as JSON: without what is incidental, and with sets, which have no order, sorted."""
    if isinstance(value, Mapping):
        items = cast(Mapping[object, object], value).items()
        return {str(key): _plain(item) for key, item in items if key not in _INCIDENTAL}
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in cast(Iterable[object], value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Iterable[object], value)]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _checksums(tensor: Tensor) -> bytes:
    bits = tensor.detach().contiguous().reshape(-1).view(_BIT_TYPES[tensor.element_size()])
    whole = bits.numel() // _BLOCK * _BLOCK
    sums = bits[:whole].view(-1, _BLOCK).sum(dim=1, dtype=torch.int64)
    rest = bits[whole:].to(torch.int64)
    return torch.cat([sums, rest]).cpu().numpy().tobytes()
