"""The detector that a training leaves: members that judge together, and a threshold from the calibration rows."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch

from data.base import LitData, Role
from lit_ae.detection.calibration import least_rows, lowest_p_value, rounded_up
from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.monitoring.profile import Profile, Seen
from lit_ae.randomness import run_seed
from pipelines.checkpoints import BestCheckpoint, WholeFiles
from pipelines.configuration import CommandLine, trainer_of
from pipelines.labelled import labelled_rows

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
    labelled_rows(settings, data)
    rows = data.split_sizes["calibrate"]
    lowest = lowest_p_value(rows, settings.tail)
    if settings.rule in ("conformal", "fdr") and settings.budget < lowest:
        kept, needed = settings.words_for(rounded_up(lowest)), least_rows(settings.budget, settings.tail)
        raise UserError(
            f"{rows:,} calibration rows can't promise that {settings.budget:g} of normal rows alarm at most: set "
            f"{kept}, give {needed:,} normal rows to calibrate with (by more rows, or a larger data.calibrate_share), "
            "or set --detection.enabled false."
        )


def no_detector(line: CommandLine) -> str | None:
    """Why there is no detector, where options of detection were given; None where nobody has asked for one."""
    settings, data = line.option("detection"), line.datamodule
    if not settings.enabled or is_wanted(settings, data) or vars(settings) == vars(DetectionSettings()):
        return None
    return f"none: {data.spec.name} does not say which rows are normal, as by an option such as data.normal"


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
    return fit_detector(models, settings, data)


def fit_detector(models: Sequence[LitAutoencoder], settings: DetectionSettings, data: LitData) -> Detector:
    """The detector of trained models, by the roles of their data; for labelled_f1 also by the table that it names."""
    fit, tune, calibrate = (data.split(role).x for role in ("fit", "tune", "calibrate"))
    entity = data.rows["calibrate"].entity
    return Detector.fit(models, fit, tune, calibrate, settings, entity, labelled_rows(settings, data))


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
