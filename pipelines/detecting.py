"""The detector that a training leaves: members that judge together, and a threshold from the calibration rows."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch

from data.base import LitData, Role
from lit_ae.detection.calibration import lowest_p_value
from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.monitoring.profile import Profile, Seen
from lit_ae.randomness import run_seed
from pipelines.checkpoints import BestCheckpoint, WholeFiles
from pipelines.configuration import CommandLine, trainer_of

WATCHED_BY: tuple[Role, ...] = ("fit", "calibrate")


def is_wanted(settings: DetectionSettings, data: LitData) -> bool:
    """Whether a detector is asked for, and the data say what is normal."""
    return settings.enabled and "calibrate" in data.rows


def check_detection(line: CommandLine) -> None:
    """Refuses before the training what could not be kept after it.

    Raises:
        UserError: for a budget that so few calibration rows can't promise, and the like.
    """
    settings, data = line.option("detection"), line.datamodule
    if not is_wanted(settings, data):
        return
    if settings.members > 1 and line.trainer.world_size > 1:
        raise UserError("detection.members are trained by one process: set trainer.devices to 1, or members to 1.")
    if settings.rule == "labelled_f1":
        raise UserError("detection.rule labelled_f1 needs labelled anomalies to calibrate with: take conformal.")
    rows = data.split_sizes["calibrate"]
    lowest = lowest_p_value(rows, settings.tail)
    if settings.rule in ("conformal", "fdr") and settings.budget < lowest:
        raise UserError(
            f"detection.alpha is {settings.budget:g}, but {rows} calibration rows can promise no less than "
            f"{lowest:.2g}: raise it, give more normal rows, or set detection.enabled to false."
        )


def make_detector(line: CommandLine, model: LitAutoencoder, callbacks: Sequence[L.Callback]) -> Detector | None:
    """The detector of the trained model and of the members trained beside it; None where none is wanted.

    Args:
        line: data, trainer and settings.
        model: the trained model.
        callbacks: of a member's training.
    """
    settings, data = line.option("detection"), line.datamodule
    if not is_wanted(settings, data):
        return None
    seed = run_seed()
    others = [train_member(line, model, seed + place, callbacks) for place in range(1, settings.members)]
    L.seed_everything(seed, verbose=False)
    models = [one.cpu().eval().requires_grad_(False) for one in (model, *others)]
    fit, tune, calibrate = (data.split(role).x for role in ("fit", "tune", "calibrate"))
    return Detector.fit(models, fit, tune, calibrate, settings, data.rows["calibrate"].entity)


def make_profile(detector: Detector | None, data: LitData) -> Profile | None:
    """What the model in use is watched by, from the fit and calibrate rows; None without a detector."""
    if detector is None:
        return None
    fit, calibrate = (Seen(data.split(role).x, data.rows[role].raw, data.rows[role].entity) for role in WATCHED_BY)
    return Profile.of(detector, fit, calibrate)


def train_member(
    line: CommandLine, model: LitAutoencoder, seed: int, callbacks: Sequence[L.Callback]
) -> LitAutoencoder:
    """A model made and trained as ``model`` was, from another seed; with the weights that judged best."""
    L.seed_everything(seed, verbose=False)
    return train_beside(line, type(model)(**model.init_args), callbacks)


def train_beside(line: CommandLine, member: LitAutoencoder, callbacks: Sequence[L.Callback]) -> LitAutoencoder:
    """Trains a model that no run is told of; it ends with the weights that judged best."""
    with tempfile.TemporaryDirectory() as folder:
        best = BestCheckpoint(Path(folder))
        trainer = trainer_of(
            line,
            logger=False,
            callbacks=[*callbacks, best],
            plugins=WholeFiles(),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(member, line.datamodule)
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    member.load_state_dict(state["state_dict"])
    return member
