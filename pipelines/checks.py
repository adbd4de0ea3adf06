"""What can be refused before a run is opened."""

import math
from typing import Any

from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from pipelines.configuration import CommandLine
from pipelines.detecting import check_detection
from pipelines.judging.labels import check_label_efficiency
from pipelines.judging.samples import check_samples
from pipelines.processes import check_strategy


def check(line: CommandLine) -> None:
    """Refuses what can't be trained: options, the data's files, the optimizer's values, a warm-up that never ends.

    Raises:
        UserError: in one sentence.
    """
    check_trainer(line.trainer)
    check_strategy(line.trainer)
    check_optimizer(line.model)
    line.datamodule.prepare_data()
    line.datamodule.setup("fit")
    check_label_efficiency(line.datamodule, line.option("evaluation"))
    check_samples(line.model, line.datamodule, line.option("evaluation"))
    batches = math.ceil(line.datamodule.split_sizes["fit"] / line.datamodule.batch_size)
    check_validation(line.trainer, batches)
    line.model.check_schedules(epochs_of(line.trainer, batches))
    check_detection(line)


def check_trainer(trainer: Any) -> None:
    """Refuses options of Lightning that leave no whole run."""
    if trainer.overfit_batches:
        raise UserError("trainer.overfit_batches is not for tensors in memory: take the first rows by --data.fit_rows.")
    if trainer.fast_dev_run:
        raise UserError(
            "trainer.fast_dev_run keeps no checkpoint: take --trainer.max_epochs 1 --data.fit_rows 200 instead."
        )
    if not trainer.checkpoint_callbacks:
        raise UserError("trainer.enable_checkpointing must stay true: a run keeps its best and its last checkpoint.")
    if not trainer.limit_train_batches or not trainer.limit_val_batches:
        raise UserError(
            "trainer.limit_train_batches and limit_val_batches must be above 0: the weights that are kept are those "
            "with the lowest validation objective."
        )
    if trainer.max_epochs is not None and trainer.max_epochs < 1 and trainer.max_steps < 1:
        raise UserError(
            f"trainer.max_epochs is {trainer.max_epochs}, but a training needs an end: set it to 1 or more, or "
            "set trainer.max_steps."
        )


def check_validation(trainer: Any, batches: int) -> None:
    """Refuses a validation that no epoch of so many batches comes to."""
    interval, limit = trainer.val_check_interval, trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    if isinstance(interval, int) and trainer.check_val_every_n_epoch is not None and interval > batches:
        raise UserError(
            f"trainer.val_check_interval is {interval}, but an epoch has only {batches} batches: set it to {batches} "
            "at most, or set trainer.check_val_every_n_epoch to null."
        )


def check_optimizer(model: LitAutoencoder) -> None:
    """Refuses values that the optimizer refuses."""
    make = model.init_args.get("optimizer")
    try:
        if make:
            make(model.parameters())
    except (ValueError, TypeError) as error:
        raise UserError(f"The optimizer can't be made: {error}: change model.optimizer.") from error


def epochs_of(trainer: Any, batches: int) -> float:
    """The length of the training in epochs of so many batches."""
    epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else math.inf
    if trainer.max_steps < 0:
        return epochs
    return min(epochs, trainer.max_steps * trainer.accumulate_grad_batches / batches)
