"""A training from the first check to the packed model: read it from :func:`train` downwards."""

import math
import tempfile
from pathlib import Path
from typing import Any

import lightning as L
import torch

from data.base import LitData
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder, NotFinite
from lit_ae.serving.package import package
from pipelines.artifacts import download
from pipelines.callbacks import (
    BestCheckpoint,
    History,
    Interrupted,
    LastCheckpoint,
    PicturesByEpoch,
    StopBetweenSteps,
    StopEarly,
)
from pipelines.command_line import Request
from pipelines.configuration import CommandLine, configure, trainer_of
from pipelines.evaluation import Verdict, evaluate
from pipelines.portfolio import draw_portfolio
from pipelines.processes import end_process_group, is_rank_zero
from pipelines.provenance import describe_run, log_provenance
from pipelines.summary import print_summary, write_figures
from pipelines.terminal import EpochLines, is_watched, keep_quiet
from pipelines.tracking import Status, Tracker, TrackingLogger


def train(request: Request) -> int:
    """Trains, tests and packs one model as exactly one MLflow run; returns the exit code.

    Raises:
        UserError: for a mistake that can be seen before the run is opened; then none is.
    """
    keep_quiet()
    line = configure(request)
    check(line)
    if not is_rank_zero():
        fit(line, None, request.resume)
        return 0
    tracker = open_run(line, request.resume)
    status: Status = "FAILED"
    code, reason = 1, None
    try:
        fitted = fit(line, tracker, request.resume)
        judge(line, tracker, fitted)
        status, code = "FINISHED", 0
    except Interrupted as stop:
        status, code, reason = "KILLED", stop.exit_code, str(stop)
        print(f"\nStopped by {stop}. Go on with: python -m pipelines.train --resume {tracker.run_id}")
    except NotFinite as bad:
        reason = str(bad)
        print(
            f"\nlit-ae: Training stopped: {bad}; the last good checkpoint is {last_checkpoint(tracker)}: "
            "lower the learning rate, or set trainer.gradient_clip_val."
        )
    except UserError as error:
        reason, code = str(error), 2
        raise
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        raise
    finally:
        keep_checkpoints(tracker)
        tracker.finish(status, reason)
    return code


def check(line: CommandLine) -> None:
    """Everything that can be refused before a run is opened: the data's files, the device, every warm-up's length."""
    line.datamodule.prepare_data()
    line.datamodule.setup("fit")
    trainer = line.trainer
    per_epoch = max(1, math.ceil(line.datamodule.split_sizes["fit"] / line.datamodule.batch_size))
    epochs = float(trainer.max_epochs or math.inf) if (trainer.max_epochs or -1) > 0 else math.inf
    if trainer.max_steps > 0:
        epochs = min(epochs, trainer.max_steps / per_epoch)
    line.model.check_schedules(epochs)


def open_run(line: CommandLine, resume: str | None) -> Tracker:
    """The one MLflow run, with all that is known before the first step."""
    asked = line.option("tracking")
    name, description = describe_run(line.model, line.datamodule)
    tracker = Tracker.open(
        experiment=asked.experiment,
        run_name=asked.run_name or name,
        resume=resume,
        output_dir=Path(asked.output_dir),
    )
    try:
        log_provenance(tracker, line, description, is_resumed=resume is not None)
    except BaseException as error:
        tracker.finish("FAILED", str(error))
        raise
    return tracker


class Fitted:
    """What a training leaves: the model with its best weights, and every figure of every epoch."""

    def __init__(self, model: LitAutoencoder, history: History, trainer: L.Trainer):
        self.model, self.history, self.trainer = model, history, trainer


def fit(line: CommandLine, tracker: Tracker | None, resume: str | None) -> Fitted:
    """Trains in all processes; the weights that are kept are the best of the validation objective."""
    directory = checkpoints_of(tracker) if tracker else Path(tempfile.gettempdir()) / "lit_ae"
    history, stop = History(), StopBetweenSteps(directory / "last.ckpt")
    best = BestCheckpoint(directory)
    callbacks = [history, stop, *chosen_callbacks(line, tracker), best, LastCheckpoint(directory)]
    logger = TrackingLogger(tracker) if tracker else False
    has_bar = line.trainer.progress_bar_callback is not None and is_watched()
    trainer = trainer_of(
        line, logger=logger, callbacks=callbacks, enable_progress_bar=has_bar, enable_model_summary=False
    )
    with stop.listening():
        trainer.fit(line.model, line.datamodule, ckpt_path=resume_point(line, resume), weights_only=True)
    end_process_group()
    if best.best_model_path:
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
        line.model.load_state_dict(state["state_dict"])
    return Fitted(line.model, history, trainer)


def chosen_callbacks(line: CommandLine, tracker: Tracker | None) -> list[L.Callback]:
    """Those that an option asks for."""
    callbacks: list[L.Callback] = []
    if line.trainer.progress_bar_callback is not None and not is_watched():
        callbacks.append(EpochLines())
    stopping = line.option("early_stopping")
    if stopping.patience is not None:
        callbacks.append(StopEarly(stopping.patience, stopping.min_delta))
    every = line.option("tracking").pictures_every
    if tracker and every:
        callbacks.append(PicturesByEpoch(line.datamodule, tracker, every))
    return callbacks


def resume_point(line: CommandLine, resume: str | None) -> Path | None:
    """The last checkpoint of the run to go on with; None where it was stopped before the first."""
    if resume is None:
        return None
    local = Path(line.option("tracking").output_dir) / resume / "checkpoints" / "last.ckpt"
    if local.is_file():
        return local
    try:
        return download(resume, "checkpoints/last.ckpt")
    except UserError:
        return None


def checkpoints_of(tracker: Tracker) -> Path:
    return tracker.directory / "checkpoints"


def last_checkpoint(tracker: Tracker) -> str:
    path = checkpoints_of(tracker) / "last.ckpt"
    return str(path) if path.exists() else "none (it went bad in the first epoch)"


def keep_checkpoints(tracker: Tracker) -> None:
    """The best and the last checkpoint, as artefacts of the run."""
    for path in sorted(checkpoints_of(tracker).glob("*.ckpt")):
        tracker.log_file(path, "checkpoints")


def judge(line: CommandLine, tracker: Tracker, fitted: Fitted) -> Verdict:
    """Test figures, pictures and the packed model, in this process alone."""
    model, data = fitted.model, line.datamodule
    tester = trainer_of(
        line,
        logger=False,
        devices=1,
        num_nodes=1,
        strategy="auto",
        enable_checkpointing=False,
        callbacks=[],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    verdict = evaluate(model, data, line.option("evaluation"), tester)
    step = fitted.trainer.current_epoch
    tracker.log_metrics(verdict.figures, step)
    write_figures(verdict, tracker, describe_run(model, data)[1])
    model = model.cpu()
    pictures = draw_portfolio(model, data, verdict, fitted.history.figures, tracker)
    pack(model, data, tracker, step)
    print_summary(verdict, tracker, pictures, model, data)
    return verdict


def pack(model: LitAutoencoder, data: LitData, tracker: Tracker, step: int) -> None:
    """The one MLflow model of the run."""
    metadata: dict[str, Any] = {"variant": type(model).__name__, "data": data.spec.name, "data_digest": data.digest}
    directory = tracker.directory / "model"
    package(model, data.rows["test"].raw[:3].numpy(), directory, metadata)
    tracker.log_model(directory, step=step)
