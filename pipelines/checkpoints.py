"""Which states of a training are kept on disk, so that they are whole and can be gone on with."""

import io
import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then puts it there, so that nobody ever finds half of one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        draft = place.with_name(f"{place.name}.part")
        try:
            with draft.open("wb") as file:
                file.write(content.getbuffer())
                os.fsync(file.fileno())
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)


class _KeptState(ModelCheckpoint):
    """One checkpoint of a fixed name, which goes on where it stood even if the run's folder has moved."""

    def __init__(self, directory: Path, name: str, **options: Any):
        super().__init__(directory, name, enable_version_counter=False, **options)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here = str(Path(str(self.dirpath)) / f"{self.filename}{self.FILE_EXTENSION}")
        moved = {
            "dirpath": self.dirpath,
            "best_k_models": dict.fromkeys(state_dict["best_k_models"] and [here], state_dict["best_model_score"]),
            **{key: state_dict[key] and here for key in ("best_model_path", "kth_best_model_path")},
        }
        super().load_state_dict({**state_dict, **moved})


class BestCheckpoint(_KeptState):
    """Keeps the weights with the lowest validation objective (final weights of every term)."""

    def __init__(self, directory: Path):
        super().__init__(directory, "best", monitor="val/loss", save_weights_only=True)


class LastCheckpoint(_KeptState):
    """Keeps the state at the end of the last epoch, to go on from."""

    def __init__(self, directory: Path):
        super().__init__(directory, "last", monitor=None, save_on_train_epoch_end=True)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lets a training with a limit of steps go on epoch by epoch, as one with a limit of epochs does."""
        super().setup(trainer, pl_module, stage)
        # Lightning would end the epoch of such a checkpoint a second time and count one epoch too many.
        trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Moves what is scheduled by the epoch to its last step: before the checkpoint, which then holds the change."""
        super().on_train_start(trainer, pl_module)
        for scheduled in trainer.lr_scheduler_configs:
            if scheduled.interval == "epoch":
                scheduled.interval = "step"
                scheduled.frequency *= int(trainer.num_training_batches)
