"""A model on disk: weights in safetensors, everything else in JSON. No pickle."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lit_ae.describe import build
from lit_ae.module import LitAutoencoder
from lit_ae.spec import DataSpec

DESCRIPTION, WEIGHTS = "model.json", "weights.safetensors"


def save(model: LitAutoencoder, directory: Path) -> None:
    """Writes the model's make-up, its spec and its weights into ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    described = {"model": model.description, "spec": model.spec.to_dict()}
    (directory / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, directory / WEIGHTS)


def load(directory: Path) -> LitAutoencoder:
    """The model that :func:`save` wrote, on the CPU, ready to infer. The caller's random state stays as it is."""
    described = json.loads((directory / DESCRIPTION).read_text())
    with torch.random.fork_rng(devices=[]):
        model: LitAutoencoder = build(described["model"])(DataSpec.from_dict(described["spec"]))
    model.load_state_dict(load_file(directory / WEIGHTS))
    return model.eval().requires_grad_(False)
