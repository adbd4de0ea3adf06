"""What happens beside the training: stopping, history, and pictures by epoch."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping

from data.base import LitData
from lit_ae.metrics.reconstruction import squared_error
from lit_ae.module import LitAutoencoder
from pipelines import pictures
from pipelines.tracking import Tracker


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM: in the training after the step in progress, with its checkpoint written; elsewhere at once.

    Args:
        signal_number: which of the two.
    """

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class StopBetweenSteps(Callback):
    """Turns the first Ctrl-C or SIGTERM of a training into a stop between two steps; the second one stops at once.

    So the checkpoint never holds half a step. Several processes agree on the step every ``AGREE_EVERY`` steps.

    Attributes:
        training_began: whether a step may have been done already.
    """

    AGREE_EVERY = 20

    def __init__(self) -> None:
        self._last: Path | None = None
        self._signal: int | None = None
        self._step = 0
        self._training = False
        self.training_began = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the two signals inside the block: outside the training each raises :class:`Interrupted` at once."""
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def keep_in(self, last: Path) -> None:
        """Says where the checkpoint goes."""
        self._last = last

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None or not self._training:
            raise Interrupted(number)
        self._signal = number

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        signal.signal(signal.SIGTERM, self._receive)  # Lightning has put a handler of its own before ours
        self._training = self.training_began = True

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._stop_if_asked(trainer)  # the end of the last epoch is on disk already

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *args: Any) -> None:
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *args: Any) -> None:
        has_stepped = trainer.global_step > self._step  # gradients that still add up would be lost
        agreed = trainer.world_size == 1 or trainer.global_step % self.AGREE_EVERY == 0
        if has_stepped and agreed and not trainer.is_last_batch:
            self._stop_if_asked(trainer, self._last)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._stop_if_asked(trainer)
        self._training = False

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self._training = False

    def _stop_if_asked(self, trainer: L.Trainer, checkpoint: Path | None = None) -> None:
        asked = self._signal is not None
        if trainer.world_size > 1:
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if not asked:
            return
        if checkpoint:
            trainer.save_checkpoint(trainer.strategy.broadcast(checkpoint))
        raise Interrupted(self._signal or signal.SIGTERM)


class StopEarly(EarlyStopping):
    """Ends the training when the validation objective has stopped falling, counted from the end of every warm-up.

    Args:
        patience: epochs without progress.
        min_delta: what counts as progress, in the objective's own unit.
    """

    def __init__(self, patience: int, min_delta: float = 0.0):
        super().__init__("val/loss", min_delta=min_delta, patience=patience, check_finite=False)

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """A training that had ended early, and was stopped before its run had ended, trains no further."""
        trainer.should_stop = trainer.should_stop or self.stopped_epoch > 0

    def _run_early_stopping_check(self, trainer: L.Trainer) -> None:
        module = trainer.lightning_module
        assert isinstance(module, LitAutoencoder)
        if trainer.current_epoch + 1 >= module.warmup_epochs:
            super()._run_early_stopping_check(trainer)


class History(Checkpoint):
    """Every figure of every epoch, kept in the checkpoint so that a resumed run's curves are whole.

    It is a ``Checkpoint`` for Lightning, which calls those after the model has logged its figures of the epoch.
    """

    def __init__(self) -> None:
        self.figures: dict[str, list[tuple[int, float]]] = {}

    @property
    def epochs(self) -> int:
        """Epochs that have ended."""
        return 1 + max((points[-1][0] for points in self.figures.values()), default=-1)

    @property
    def last(self) -> dict[str, float]:
        """Every figure as it was last."""
        return {name: points[-1][1] for name, points in self.figures.items()}

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        for name, value in trainer.callback_metrics.items():
            points = self.figures.setdefault(name, [])
            if not points or points[-1][0] < trainer.current_epoch:
                points.append((trainer.current_epoch, float(value)))

    def state_dict(self) -> dict[str, Any]:
        return {"figures": self.figures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.figures = {name: [(int(e), float(v)) for e, v in points] for name, points in state["figures"].items()}


class PicturesByEpoch(Callback):
    """Reconstructions of the same few validation samples while it trains.

    Args:
        data: where the samples come from.
        tracker: where the pictures go.
        every: epochs between two pictures.
    """

    COLUMNS = 10

    def __init__(self, data: LitData, tracker: Tracker, every: int):
        self._data, self._tracker, self._every = data, tracker, every

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        epoch = trainer.current_epoch
        last = epoch + 1 == trainer.max_epochs
        if not trainer.is_global_zero or ((epoch + 1) % self._every and not last):
            return
        assert isinstance(module, LitAutoencoder)
        x = self._data.split("tune").x[: self.COLUMNS]
        path = self._tracker.directory / "pictures" / f"reconstructions_epoch_{epoch:04d}.png"
        self._tracker.log_image(draw_reconstructions(module, x, path, f"epoch {epoch}"), "reconstructions", epoch)


@torch.no_grad()
def draw_reconstructions(model: LitAutoencoder, x: torch.Tensor, path: Path, when: str) -> Path:
    """Input, corrupted input where there is a corruption, reconstruction and difference of the samples ``x``."""
    training = model.training
    model.eval()
    on_device = x.to(model.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs = model.corrupt(on_device)
    x_hat = model(inputs).cpu()
    model.train(training)
    return pictures.reconstruction_grid(
        x,
        x_hat,
        path,
        f"{model.spec.name}: reconstructions by {type(model).__name__}, {when}",
        corrupted=None if model.corruption is None else inputs.cpu(),
        value_range=model.spec.value_range or (float(x.min()), float(x.max())),
        errors=squared_error(x, x_hat),
        error_name="MSE per feature",
    )
