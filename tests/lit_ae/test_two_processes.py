"""Two processes see what one sees, also where one has a row less. Nothing is drawn at random here."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch

from data import Digits
from lit_ae.augmentations import Augmentation
from lit_ae.latents import Prior
from lit_ae.module import LitAutoencoder
from lit_ae.networks import MLP
from lit_ae.optimization import Cosine
from lit_ae.variants import AdversarialAutoencoder, ContrastiveAutoencoder, LadderAutoencoder

ROOT = Path(__file__).parents[2]
VARIANTS = ("adversarial", "contrastive", "ladder")


class Mirror(Augmentation):
    def forward(self, x):
        return x.flip(-1) * 0.9


class OnePoint(Prior):
    def sample(self, count, generator=None, device=None):
        return torch.ones(count, self.latent_dim, device=device)


def a_model(name: str) -> LitAutoencoder:
    torch.manual_seed(3)
    options = {"latent_dim": 4, "network": partial(MLP, hidden=[16]), "learning_rate": Cosine()}
    options["optimizer"] = partial(torch.optim.SGD, lr=0.01)
    if name == "adversarial":
        other = partial(torch.optim.SGD, lr=0.1, momentum=0.5)
        return AdversarialAutoencoder(
            Digits().spec,
            prior=OnePoint,
            adversarial=5.0,
            discriminator_hidden=[8],
            adversary_optimizer=other,
            **options,
        )
    if name == "contrastive":
        return ContrastiveAutoencoder(Digits().spec, contrastive=20.0, augmentation=Mirror, **options)
    return LadderAutoencoder(Digits().spec, noise=0.0, denoising=[1.0, 0.3], **options)


def fitted(name: str, processes: int) -> LitAutoencoder:
    model = a_model(name)
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model, Digits(batch_size=25, fit_rows=75, seed=1))
    assert trainer.global_step == 6
    return model


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory):
    """The weights of each variant, trained by two processes that this file is started in as a script."""
    folder = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__, str(folder)], env=environment, cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in VARIANTS}


@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_learn_what_one_learns(name, of_two_processes):
    before = a_model(name).state_dict()
    for parameter, value in fitted(name, 1).state_dict().items():
        assert torch.allclose(value, of_two_processes[name][parameter], atol=2e-5), parameter
        assert "num_batches" in parameter or "fixed" in parameter or not torch.equal(value, before[parameter])


if __name__ == "__main__":
    for name in VARIANTS:
        model = fitted(name, 2)
        if model.global_rank == 0:
            torch.save(model.state_dict(), Path(sys.argv[1]) / f"{name}.pt")
