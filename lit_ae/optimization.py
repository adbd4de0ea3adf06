"""Learning rates over time. The optimizers themselves are PyTorch's."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from lit_ae.errors import UserError


def slowed(make: Callable[..., Optimizer], rate: float) -> Callable[..., Optimizer]:
    """Makes optimizers whose learning rate is ``rate`` of what it would be."""

    def made(parameters: Any) -> Optimizer:
        optimizer = make(parameters)
        for group in optimizer.param_groups:
            group["lr"] *= rate
        return optimizer

    return made


class LearningRateSchedule(ABC):
    """How the optimizer's learning rate changes during the training."""

    warmup_epochs: float = 0.0
    """Epochs in which the rate rises."""

    @abstractmethod
    def configure(self, optimizer: Optimizer, steps: int, steps_per_epoch: int) -> dict[str, Any]:
        """Lightning's description of the scheduler, for a training of ``steps`` optimizer steps."""


class Plateau(LearningRateSchedule):
    """Lowers the rate whenever the validation objective has stopped falling.

    Args:
        factor: what the rate is multiplied by.
        patience: epochs without progress before it is lowered.
        min_lr: the rate is never lowered below it.
    """

    def __init__(self, factor: float = 0.5, patience: int = 3, min_lr: float = 0.0):
        if not 0 < factor < 1:
            raise UserError(f"Plateau's factor must lie between 0 and 1, not {factor}.")
        self.factor, self.patience, self.min_lr = factor, patience, min_lr

    def configure(self, optimizer: Optimizer, steps: int, steps_per_epoch: int) -> dict[str, Any]:
        scheduler = ReduceLROnPlateau(optimizer, factor=self.factor, patience=self.patience, min_lr=self.min_lr)
        return {"scheduler": scheduler, "monitor": "val/loss", "interval": "epoch"}


class _Ramp(LearningRateSchedule):
    """Linear warm-up, then a fall to ``final`` times the rate at the last step.

    Args:
        warmup_epochs: epochs in which the rate rises from 0.
        final: share of the rate that is left at the end.
    """

    def __init__(self, warmup_epochs: float = 0.0, final: float = 0.0):
        if warmup_epochs < 0:
            raise UserError(f"The learning rate's warm-up can't take {warmup_epochs} epochs: give 0 or more.")
        self.warmup_epochs, self.final = warmup_epochs, final

    @abstractmethod
    def fall(self, progress: float) -> float:
        """From 1 to 0 while ``progress`` goes from 0 to 1."""

    def configure(self, optimizer: Optimizer, steps: int, steps_per_epoch: int) -> dict[str, Any]:
        warmup = self.warmup_epochs * steps_per_epoch

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            progress = min(1.0, (step - warmup) / max(1.0, steps - warmup))
            return self.final + (1 - self.final) * self.fall(progress)

        return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


class WarmupDecay(_Ramp):
    """Linear warm-up, then a linear fall.

    Args:
        warmup_epochs: epochs in which the rate rises from 0.
        final: share of the rate that is left at the end.
    """

    def fall(self, progress: float) -> float:
        return 1 - progress


class Cosine(_Ramp):
    """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017, equation 5).

    Args:
        warmup_epochs: epochs in which the rate rises from 0.
        final: share of the rate that is left at the end.
    """

    def fall(self, progress: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * progress))
