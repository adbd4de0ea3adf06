"""What is seen in the terminal while it trains: a progress bar for people, a line an epoch for logs."""

import logging
import os
import sys
import warnings

import lightning as L
from lightning.pytorch.callbacks import Checkpoint


def keep_quiet() -> None:
    """Silences what libraries say of themselves; warnings that a user can act on stay."""
    for name in ("lightning.pytorch", "lightning.fabric", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for text in (".*does not have many workers.*", ".*isinstance.treespec, LeafSpec.*", ".*exists and is not empty.*",
                 ".*type hints to the `predict` method.*", ".*The pynvml package is deprecated.*",
                 ".*smaller than the logging interval.*", ".*sync_dist=True.*"):  # fmt: skip
        warnings.filterwarnings("ignore", text)


def is_watched() -> bool:
    """Whether a person sees the output: then there is a progress bar, and otherwise a line an epoch."""
    return sys.stdout.isatty()


class EpochLines(Checkpoint):
    """One line an epoch: the objective in training and validation.

    It is a ``Checkpoint`` for Lightning, which calls those after the model has logged its figures of the epoch.
    """

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        figures = trainer.callback_metrics
        shown = [f"{name} {figures[name]:.5g}" for name in ("train/loss", "val/loss") if name in figures]
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", *shown, sep="  ", flush=True)
