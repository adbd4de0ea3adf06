"""What one of two processes does for test_two_see_what_one_sees: ``python -m tests.distributed.worker <folder>``."""

import sys
from functools import partial
from pathlib import Path

import lightning as L
import torch

from data import Digits
from lit_ae.corruptions import GaussianNoise
from lit_ae.latents import DiagonalGaussian
from lit_ae.module import LitAutoencoder
from lit_ae.variants import VAE
from tests.conformance.test_conformance import CASES, quiet_trainer, small_mlp

EPOCHS = 3
SIZES = {"batch_size": 7, "fit_rows": 47}  # shares of 4 and 3 rows, and of 3 and 2 at the end
NOISY = "vae, noise of its own"


def two_processes(**options) -> L.Trainer:
    return quiet_trainer(strategy="ddp", devices=2, **options)


def fixed(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def same_noise_for_every_row() -> None:
    """Takes away what may differ by chance: the noise of a row, whichever process draws it."""

    def sample(self, draws=1):
        return self.mean + fixed(draws, 1, self.mean.shape[1]) * (0.5 * self.log_var).exp()

    DiagonalGaussian.sample = sample
    GaussianNoise.forward = lambda self, x: x + self.sigma * fixed(*x.shape[1:])


class Seen(L.Callback):
    """Remembers the figures of every epoch, and the training rows of the last one."""

    def __init__(self):
        self.figures: list[dict[str, float]] = []
        self.rows: list[torch.Tensor] = []

    def on_train_epoch_start(self, *_):
        self.rows.clear()

    def on_train_batch_start(self, trainer, module, batch, *_):
        self.rows.append(batch.x.flatten(1))

    def on_validation_end(self, trainer, *_):
        self.remember(trainer)

    def on_fit_end(self, trainer, *_):
        self.remember(trainer)

    def remember(self, trainer):
        self.figures.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def fit(make, trainer_of, noise_seed: int = 0) -> dict[str, object]:
    """Weights before and after a training on sizes that no number of processes divides, and what was seen."""
    L.seed_everything(11, verbose=False)
    model: LitAutoencoder = make(Digits().spec, latent_dim=6, optimizer=partial(torch.optim.SGD, lr=2e-3))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    L.seed_everything(noise_seed, verbose=False)
    seen = Seen()
    data = Digits(**SIZES, seed=1)
    trainer_of(max_epochs=EPOCHS, callbacks=[seen]).fit(model, data)
    return {"before": before, "after": model.state_dict(), "figures": seen.figures, "rows": torch.cat(seen.rows)}


def noisy() -> partial[LitAutoencoder]:
    return partial(VAE, network=small_mlp)


def main(folder: Path) -> None:
    """Fits every case in company, and keeps this process's view of each."""
    torch.set_num_threads(1)
    seen = {NOISY: fit(noisy(), two_processes)}
    same_noise_for_every_row()
    seen |= {name: fit(make, two_processes) for name, make in CASES.items()}
    torch.save(seen, folder / f"{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
