"""Trains one of pythae's models and prints its rate as JSON. Runs in pythae's environment and needs nothing of ours.

``python pythae_rates.py AE rows.npy --hidden 512 256 --latent-dim 32 --batch-size 128 --epochs 1``. See
``benchmarks/variants.py``, which calls it.
"""

import argparse
import contextlib
import itertools
import json
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pythae import models, trainers
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

OPTIONS: dict[str, dict[str, Any]] = {  # as ours are set
    "AE": {},
    "VAE": {},
    "IWAE": {"number_samples": 5},
    "BetaTCVAE": {"beta": 6.0},
    "FactorVAE": {"gamma": 10.0},
    "WAE_MMD": {"kernel_choice": "imq"},
    "VQVAE": {"use_ema": True, "num_embeddings": 64},
    "Adversarial_AE": {"deterministic_posterior": True},
}
WITHOUT_VARIANCE = {"AE", "WAE_MMD", "VQVAE"}
ADVERSARIAL = {"FactorVAE", "Adversarial_AE"}
GROUPS = 4  # vectors in a code of the VQVAE
DRAWN = {"FactorVAE": 2}  # rows that a batch needs for each one whose ELBO is trained: half are for the discriminator


def layers(widths: Sequence[int], activation: type[nn.Module], slope: tuple[float, ...] = ()) -> nn.Sequential:
    """Linear layers with an activation between."""
    found: list[nn.Module] = []
    for narrow, wide in itertools.pairwise(widths):
        found += [nn.Linear(narrow, wide), activation(*slope)]
    return nn.Sequential(*found[:-1])


class Encoder(BaseEncoder):
    """Our MLP's encoder, answering as pythae wants it.

    Args:
        widths: from x to z.
        groups: 0, or how many vectors a code is cut into.
        has_variance: whether there is a second head.
    """

    def __init__(self, widths: Sequence[int], groups: int, has_variance: bool):
        BaseEncoder.__init__(self)
        self.groups, self.has_variance = groups, has_variance
        self.layers = layers([*widths[:-1], widths[-1] * (1 + has_variance)], nn.ReLU)

    def forward(self, x: Tensor) -> ModelOutput:
        code = self.layers(x.flatten(1))
        if self.has_variance:
            mean, log_var = code.chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_var)
        return ModelOutput(embedding=code.view(len(code), -1, self.groups, 1) if self.groups else code)


class Decoder(BaseDecoder):
    """Our MLP's decoder, which ends in the sigmoid of a bounded likelihood.

    Args:
        widths: from z to x.
    """

    def __init__(self, widths: Sequence[int]):
        BaseDecoder.__init__(self)
        self.layers = layers(widths, nn.ReLU)

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z.flatten(1)).sigmoid())


class Discriminator(BaseDiscriminator):
    """Our discriminator, which answers with a probability here.

    Args:
        widths: from z to the one output.
    """

    def __init__(self, widths: Sequence[int]):
        BaseDiscriminator.__init__(self)
        self.layers = layers(widths, nn.LeakyReLU, (0.2,))

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.layers(z).sigmoid())


class Clock(TrainingCallback):
    """Times the steps after the first ``warm_up``.

    Args:
        warm_up: steps that don't count.
    """

    def __init__(self, warm_up: int):
        self.warm_up, self.steps = warm_up, 0
        self.start = self.stop = (0.0, 0.0)

    def on_train_step_end(self, training_config: Any, **kwargs: Any) -> None:
        self.steps += 1
        now = time.perf_counter(), time.process_time()
        if self.steps == self.warm_up:
            self.start = now
        self.stop = now


def model_of(name: str, features: int, hidden: Sequence[int], latent_dim: int, adversary: Sequence[int]) -> Any:
    """pythae's model over our network."""
    groups = GROUPS if name == "VQVAE" else 0
    config = getattr(models, f"{name}_Config" if name == "Adversarial_AE" or name == "WAE_MMD" else f"{name}Config")
    encoder = Encoder([features, *hidden, latent_dim], groups, name not in WITHOUT_VARIANCE)
    parts: dict[str, Any] = {"encoder": encoder, "decoder": Decoder([latent_dim, *reversed(hidden), features])}
    if name == "Adversarial_AE":
        parts["discriminator"] = Discriminator([latent_dim, *adversary, 1])
    asked = config(input_dim=(features,), latent_dim=latent_dim, **OPTIONS[name])
    model = getattr(models, name)(asked, **parts)
    if name == "FactorVAE":
        model.discriminator = layers([latent_dim, *adversary, 2], nn.LeakyReLU, (0.2,))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=OPTIONS)
    parser.add_argument("rows", help="x as (N, features), float32, in [0, 1]: a .npy file")
    parser.add_argument("--hidden", nargs="+", type=int, required=True)
    parser.add_argument("--adversary", nargs="+", type=int, required=True)
    for option in ("--latent-dim", "--batch-size", "--epochs", "--warm-up"):
        parser.add_argument(option, type=int, required=True)
    asked = parser.parse_args()
    rows = np.load(asked.rows, allow_pickle=False)
    torch.manual_seed(0)
    model = model_of(asked.model, rows.shape[1], asked.hidden, asked.latent_dim, asked.adversary)
    clock = Clock(asked.warm_up)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        drawn = asked.batch_size * DRAWN.get(asked.model, 1)
        common = {"output_dir": folder, "num_epochs": asked.epochs, "per_device_train_batch_size": drawn}
        config = training_of(asked.model, common)
        TrainingPipeline(model=model, training_config=config)(train_data=rows, callbacks=[clock])
    (began, began_cpu), (ended, ended_cpu) = clock.start, clock.stop
    counted = (clock.steps - clock.warm_up) * asked.batch_size
    print(json.dumps([counted / (ended - began), (ended_cpu - began_cpu) / counted * 1e6]))


def training_of(name: str, common: dict[str, Any]) -> Any:
    """Adam at 0.001 for all parameters, as ours."""
    if name in ADVERSARIAL:
        rates = {"autoencoder_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3}
        return trainers.AdversarialTrainerConfig(**common, **rates)
    return trainers.BaseTrainerConfig(**common, learning_rate=1e-3)


if __name__ == "__main__":
    main()
