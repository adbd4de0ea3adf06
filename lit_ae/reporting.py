"""What is watched while a model trains: means of the objective's terms, measures, gradients, and what is not finite."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lit_ae.errors import NotFinite
from lit_ae.metrics.gradients import GradientNorms
from lit_ae.metrics.running import RunningMeans
from lit_ae.metrics.usage import Measures
from lit_ae.processes import OverProcesses

UNSEEN_STEPS = 50  # that an accelerator may be ahead of the check for NaN: each check waits for it
GRADIENTS_EVERY = 10  # steps between two looks at the gradients, from an epoch's first step on: a look takes time


class Reporting(OverProcesses):
    """Gathers figures step by step without waiting for the device, logs them by epoch, and keeps them in checkpoints.

    The keys are ``train/<name>``, ``val/<name>`` and ``test/<name>``, and ``gradient_norm/<part>`` (see
    :class:`lit_ae.metrics.gradients.GradientNorms`), which looks at every tenth step.
    """

    def __init__(self) -> None:
        super().__init__()
        self._means: dict[str, RunningMeans] = {}
        self._measures: dict[str, Measures] = {}
        self._gradients: GradientNorms | None = None

    def measures(self) -> Measures | None:
        """A fresh measure of what the latents of a split look like, reported beside the terms; None for none."""
        return None

    def _measures_of(self, stage: str) -> Measures | None:
        if stage not in self._measures and (made := self.measures()) is not None:
            self._measures[stage] = made.to(self.device)
        return self._measures.get(stage)

    def _forget_epoch(self) -> None:
        """Drops what an epoch of training that never came to its end has left."""
        self._means.pop("train", None)
        self._measures.pop("train", None)
        if self._gradients:
            self._gradients.reset()

    def _gather(self, stage: str, loss: Tensor, means: dict[str, Tensor], rows: int) -> None:
        if stage not in self._means:
            self._means[stage] = RunningMeans([*means, "loss"])
        gathered = self._means[stage]
        gathered.update({"loss": loss, **means}, rows, self.trainer.global_step)
        at_once = self.device.type == "cpu" and self.trainer.world_size == 1
        if at_once or gathered.waiting >= UNSEEN_STEPS:
            self._stop_if_not_finite(stage)

    def _stop_if_not_finite(self, stage: str) -> None:
        """All processes stop, or none: one that stopped alone would leave the others waiting."""
        names, bad = self._means[stage].names, self._means[stage].gather()
        place = math.inf if bad is None else bad[0] * len(names) + names.index(bad[1])
        first = self.over_processes(torch.tensor(place, dtype=torch.float64), "min").item()
        if first < math.inf:
            raise NotFinite(stage, int(first) // len(names), names[int(first) % len(names)])

    def _report(self, stage: str) -> None:
        if stage not in self._means:
            return
        self._stop_if_not_finite(stage)
        means = self._means[stage]
        figures: dict[str, Any] = means.compute(self._total)
        means.reset()
        self.log(f"{stage}/loss", figures.pop("loss"), prog_bar=True)
        if measures := self._measures_of(stage):
            figures = {**measures.compute(), **figures}
            measures.reset()
        self.log_dict({f"{stage}/{name}": value for name, value in figures.items()})

    def _total(self, totals: Tensor) -> Tensor:
        return self.over_processes(totals, "sum")

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        step_of_epoch = self.trainer.fit_loop.epoch_loop.batch_idx // self.trainer.accumulate_grad_batches
        if step_of_epoch % GRADIENTS_EVERY == 0:
            self._gradient_norms().update()

    def _gradient_norms(self) -> GradientNorms:
        if self._gradients is None:
            self._gradients = GradientNorms(self)
        return self._gradients

    def on_train_start(self) -> None:
        for gathered in (*self._measures.values(), self._gradient_norms()):
            gathered.to(self.device)  # what a checkpoint held was loaded on the CPU

    def on_train_epoch_end(self) -> None:
        self._report("train")
        gradients = self._gradient_norms()
        self.log_dict({f"gradient_norm/{part}": length for part, length in gradients.compute().items()})
        gradients.reset()

    def on_validation_start(self) -> None:
        if "train" in self._means:
            self._stop_if_not_finite("train")

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "train" in self._means:
            checkpoint["train_means"] = self._means["train"].state(self._total)
        if measures := self._measures.get("train"):
            checkpoint["train_measures"] = measures.totals(self._total)
        if self._gradients:
            checkpoint["gradient_norms"] = self._gradients.totals(self._total)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "train_means" in checkpoint and self.global_rank == 0:
            self._means["train"] = RunningMeans.restore(checkpoint["train_means"])
            if "train_measures" in checkpoint and (measures := self._measures_of("train")):
                measures.restore(checkpoint["train_measures"])
            if "gradient_norms" in checkpoint:
                self._gradient_norms().restore(checkpoint["gradient_norms"])
