"""What tells one trained model from another."""

import hashlib

import torch
from torch import nn


def digest(model: nn.Module) -> str:
    """SHA-256 (hex) of a model's weights."""
    sha = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()
