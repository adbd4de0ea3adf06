"""The loops that are compared: ours as users run it, and the two that people write by hand, over the same network."""

import gzip
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from lit_ae.networks import Network
from pipelines.callbacks import StopBetweenSteps
from pipelines.checks import check
from pipelines.command_line import read
from pipelines.configuration import CommandLine, configure
from pipelines.provenance import log_provenance
from pipelines.tracking import Tracker
from pipelines.training import fit, open_run

MODELS = {  # with the schedule that our recipes use, though the other contenders have none
    "mlp": "--model=VAE --model.latent_dim=20 --model.network=MLP --model.likelihood=Bernoulli "
    "--model.learning_rate=Cosine",
    "conv": "--model=Autoencoder --model.latent_dim=32 --model.network=Conv --model.likelihood=Gaussian "
    "--model.likelihood.bounded=true --model.learning_rate=Cosine",
}
DATA = "--data=MNIST"
WARM_UP = 20  # steps before the clock starts


class Rate(NamedTuple):
    """What a training achieved.

    Attributes:
        rows_per_second: by the clock on the wall.
        cpu_microseconds: a row, of all threads of this process.
    """

    rows_per_second: float
    cpu_microseconds: float


class Stopwatch(L.Callback):
    """Counts rows and time from the end of the warm-up to the end of the training, validation left out."""

    def __init__(self) -> None:
        self._steps = self._rows = 0
        self._seconds = self._cpu_seconds = 0.0

    @property
    def rate(self) -> Rate:
        return Rate(self._rows / self._seconds, self._cpu_seconds / self._rows * 1e6)

    def step(self, rows: int) -> None:
        """One optimizer step over so many rows is done."""
        self._steps += 1
        if self._steps > WARM_UP:
            self._rows += rows
        elif self._steps == WARM_UP:
            self.go_on()

    def go_on(self) -> None:
        self._add(-1)

    def pause(self) -> None:
        self._add(1)

    def _add(self, sign: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._seconds += sign * time.perf_counter()
        self._cpu_seconds += sign * time.process_time()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.step(len(batch.x))

    def on_validation_start(self, *_: Any) -> None:
        self.pause()

    def on_validation_end(self, *_: Any) -> None:
        self.go_on()

    def on_train_end(self, *_: Any) -> None:
        self.pause()


class Setting(NamedTuple):
    """What all contenders have in common.

    Attributes:
        network: a name in :data:`MODELS`, or the options that describe another model.
        batch_size: rows of a step.
        epochs: how long each training is.
        rows: training rows.
        folder: where contenders may write.
        precision: of ours, by Lightning's name; the other contenders compute in 32 bits.
    """

    network: str
    batch_size: int
    epochs: int
    rows: int
    folder: Path
    precision: str = "32-true"

    def configure(self) -> CommandLine:
        """Ours: model, data and trainer, without pictures."""
        changes = {
            "trainer.max_epochs": self.epochs,
            "trainer.devices": 1,
            "trainer.precision": self.precision,
            "data.batch_size": self.batch_size,
            "data.fit_rows": self.rows,
            "tracking.output_dir": self.folder / "outputs",
            "tracking.pictures_every": 0,
        }
        words = [f"--{name}={value}" for name, value in changes.items()]
        return configure(read([*MODELS.get(self.network, self.network).split(), DATA, *words]))


def ours(setting: Setting, is_tracked: bool, precision: str = "32-true") -> Rate:
    """The training path of ``pipelines.train``: checkpoints, history, epoch lines, and on request an MLflow run."""
    line, watch = setting._replace(precision=precision).configure(), Stopwatch()
    check(line)
    line.model.configure_callbacks = lambda: [watch]
    tracker = open_run(line, None) if is_tracked else None
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        if tracker:
            log_provenance(tracker, line, is_resumed=False)
        fit(line, tracker, None, StopBetweenSteps())
        finish(tracker)
    return watch.rate


def finish(tracker: Tracker | None) -> None:
    """Waits until the store has everything, outside the time that counts."""
    if tracker and not tracker.finish("FINISHED"):
        raise RuntimeError(f"{tracker.uri} did not take all that was logged, so the rates mean nothing.")


def bare_loop(setting: Setting, is_fused: bool | None = None) -> Rate:
    """PyTorch alone, over a tensor; on request with the fused Adam that ours takes by itself."""
    line = setting.configure()
    line.datamodule.setup("fit")
    x = line.datamodule.split("fit").x.to(device())
    return plain_training(setting, line.model.network, partial(tensor_batches, x, setting.batch_size), is_fused)


def sample_loop(setting: Setting, workers: int) -> Rate:
    """PyTorch and torchvision as in most tutorials: one sample after the other, then collated."""
    line = setting.configure()
    root = unpacked(line.datamodule.root / "MNIST" / "raw", setting.folder / "torchvision")
    samples = Subset(datasets.MNIST(str(root), train=True, transform=transforms.ToTensor()), range(setting.rows))
    loader = DataLoader(samples, setting.batch_size, shuffle=True, num_workers=workers)
    return plain_training(setting, line.model.network, partial(sample_batches, loader))


def plain_training(
    setting: Setting, network: Network, batches: Callable[[], Iterable[Tensor]], is_fused: bool | None = None
) -> Rate:
    """The loop that everyone writes first."""
    network = network.to(device()).train()
    loss = LOSSES[setting.network]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=is_fused)
    watch = Stopwatch()
    for _ in range(setting.epochs):
        for x in batches():
            optimizer.zero_grad()
            loss(network, x).backward()
            optimizer.step()
            watch.step(len(x))
    watch.pause()
    return watch.rate


def tensor_batches(x: Tensor, batch_size: int) -> Iterator[Tensor]:
    for rows in torch.randperm(len(x), device=x.device).split(batch_size):
        yield x.index_select(0, rows)


def sample_batches(loader: DataLoader[Any]) -> Iterator[Tensor]:
    for x, _ in loader:
        yield x.to(device())


def negative_elbo(network: Network, x: Tensor) -> Tensor:
    """What the VAE minimises: nats a sample."""
    mean, log_var = network.encode(x).chunk(2, dim=1)
    logits = network.decode(mean + torch.randn_like(mean) * (0.5 * log_var).exp())[:, 0]
    kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
    return (F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl) / len(x)


def squared_error(network: Network, x: Tensor) -> Tensor:
    """What the autoencoder minimises, but for a constant: nats a sample."""
    x_hat = network.decode(network.encode(x))[:, 0].sigmoid()
    return 0.5 * F.mse_loss(x_hat, x, reduction="sum") / len(x)


LOSSES = {"mlp": negative_elbo, "conv": squared_error}


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def unpacked(raw: Path, root: Path) -> Path:
    """A folder of its own for torchvision, which reads unpacked files only; the data's folder is left as it is."""
    target = root / "MNIST" / "raw"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                 "t10k-labels-idx1-ubyte"):  # fmt: skip
        if not (target / name).exists():
            plain = raw / name
            content = plain.read_bytes() if plain.exists() else gzip.decompress((raw / f"{name}.gz").read_bytes())
            (target / name).write_bytes(content)
    return root
