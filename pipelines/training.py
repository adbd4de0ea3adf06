"""A training from the first check to the packed model: read it from :func:`train` downwards."""

import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from data.base import LitData
from lit_ae.detection.detector import Detector
from lit_ae.errors import NotFinite, UserError
from lit_ae.module import LitAutoencoder
from lit_ae.monitoring.profile import Profile
from lit_ae.serving.package import package
from pipelines.artifacts import download
from pipelines.callbacks import History, Interrupted, PicturesByEpoch, StopBetweenSteps, StopEarly
from pipelines.checkpoints import BestCheckpoint, LastCheckpoint, WholeFiles
from pipelines.checks import check
from pipelines.command_line import Request
from pipelines.configuration import CommandLine, configure, trainer_of
from pipelines.detecting import make_detector, make_profile, no_detector
from pipelines.evaluation import evaluate
from pipelines.judging.verdict import Verdict
from pipelines.mistakes import explained
from pipelines.portfolio import draw_portfolio
from pipelines.processes import end_process_group, minding_the_others
from pipelines.provenance import describe_run, log_provenance
from pipelines.rank import is_rank_zero
from pipelines.summary import print_summary, tell_alarms, write_figures
from pipelines.terminal import EpochLines, is_watched, keep_quiet
from pipelines.tracking import Status, Tracker, TrackingLogger


def train(request: Request) -> int:
    """Trains, tests and packs one model as exactly one MLflow run; returns the exit code.

    Raises:
        UserError: for a mistake; where it can be seen before the run is opened, none is.
    """
    keep_quiet()
    stop = StopBetweenSteps()
    try:
        with stop.listening():
            line = configure(request)
            check(line)
            if is_rank_zero():
                return train_in_a_run(line, request.resume, stop)
            fit(line, None, request.resume, stop)
    except Interrupted as signal:
        return signal.exit_code
    return 0


def train_in_a_run(line: CommandLine, resume: str | None, stop: StopBetweenSteps) -> int:
    """The work of the first process. Whatever happens, the run's status says it."""
    tracker = open_run(line, resume)
    status: Status = "FAILED"
    reason = None
    try:
        log_provenance(tracker, line, is_resumed=resume is not None)
        fitted = fit(line, tracker, resume, stop)
        detector = make_detector(line, fitted.model, [stop, *chosen_callbacks(line, None)])
        judge(line, tracker, fitted, detector, make_profile(detector, line.datamodule))
        status = "FINISHED"
    except Interrupted as signal:
        status, reason = "KILLED", str(signal)
        print(f"\nStopped by {signal}. Go on with: python -m pipelines.train --resume {tracker.run_id}", flush=True)
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        advice = what_to_do(error, tracker)
        if advice is None:
            raise
        print(f"\nlit-ae: {advice}", file=sys.stderr)
        return 1 if isinstance(error, NotFinite) else 2
    finally:
        keep_checkpoints(tracker)
        tracker.finish(status, reason)
    return 0


def what_to_do(error: Exception, tracker: Tracker) -> str | None:
    """A sentence for what can go wrong in a sound training; None for what can't, which needs a traceback."""
    if isinstance(error, NotFinite):
        return (
            f"Training stopped: {error}; the last good checkpoint is {last_checkpoint(tracker)}: "
            "lower the learning rate, or set trainer.gradient_clip_val."
        )
    if os.strerror(errno.ENOSPC) in str(error):
        places = f"{tracker.directory} or {tempfile.gettempdir()}"
        return (
            f"Training stopped: the disk of {places} is full: free some space, and go on with: "
            f"python -m pipelines.train --resume {tracker.run_id}"
        )
    return None


def open_run(line: CommandLine, resume: str | None) -> Tracker:
    """The one MLflow run."""
    asked = line.option("tracking")
    name, _ = describe_run(line.model, line.datamodule)
    return Tracker.open(
        experiment=asked.experiment,
        run_name=asked.run_name or f"{name} seed {line.config['seed_everything']}",
        resume=resume,
        output_dir=Path(asked.output_dir),
    )


class Fitted:
    """What a training leaves: the model with its best weights, and every figure of every epoch."""

    def __init__(self, model: LitAutoencoder, history: History):
        self.model, self.history = model, history


def fit(
    line: CommandLine,
    tracker: Tracker | None,
    resume: str | None,
    stop: StopBetweenSteps,
    more: Sequence[L.Callback] = (),
) -> Fitted:
    """Trains in all processes; the weights that are kept are the best of the validation objective.

    ``more`` callbacks come after those that keep the state, so that what they raise finds the epoch on disk.

    Raises:
        UserError: for what Lightning refuses before the first step.
        Interrupted: the training was told to stop; its checkpoint is written.
    """
    directory = checkpoints_of(tracker) if tracker else Path(tempfile.gettempdir()) / "lit_ae"
    history, best = History(), BestCheckpoint(directory)
    stop.keep_in(directory / "last.ckpt")
    callbacks = [stop, *chosen_callbacks(line, tracker), history, best, LastCheckpoint(directory), *more]
    logger = TrackingLogger(tracker) if tracker else False
    has_bar = line.trainer.progress_bar_callback is not None and is_watched()
    trainer = trainer_of(
        line,
        logger=logger,
        callbacks=callbacks,
        plugins=WholeFiles(),
        enable_progress_bar=has_bar,
        enable_model_summary=False,
    )
    with refusals_explained(stop), minding_the_others(trainer, partial(give_up, tracker)):
        began = time.monotonic()
        trainer.fit(line.model, line.datamodule, ckpt_path=resume_point(line, resume), weights_only=True)
        seconds = time.monotonic() - began
        end_process_group()
    if tracker:
        tracker.log_metrics({"cost/fit_seconds": seconds}, history.epochs)
    if tracker and best.best_model_path:
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
        line.model.load_state_dict(state["state_dict"])
    return Fitted(line.model, history)


@contextmanager
def refusals_explained(stop: StopBetweenSteps) -> Iterator[None]:
    """Makes a sentence of what Lightning refuses when it sets up a training; later errors are none of the user's."""
    try:
        yield
    except (MisconfigurationException, ValueError) as error:
        if stop.training_began:
            raise
        raise explained(error) from error


def give_up(tracker: Tracker | None, reason: str) -> None:
    """Ends the run from beside a training that can't go on and can't end either."""
    if tracker:
        print(f"\nlit-ae: Training stopped: {reason}", file=sys.stderr)
        keep_checkpoints(tracker)
        tracker.finish("FAILED", reason)


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
    folder = Path(line.option("tracking").output_dir) / resume / "checkpoints"
    last = folder / "last.ckpt"
    if not last.is_file():
        fetch_checkpoints(resume, folder)
    return last if last.is_file() else None


def fetch_checkpoints(run_id: str, folder: Path) -> None:
    """Brings what the run has kept at the server back to its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("best.ckpt", "last.ckpt"):
        with suppress(UserError):
            shutil.move(download(run_id, f"checkpoints/{name}"), folder / name)


def checkpoints_of(tracker: Tracker) -> Path:
    return tracker.directory / "checkpoints"


def last_checkpoint(tracker: Tracker) -> str:
    path = checkpoints_of(tracker) / "last.ckpt"
    return str(path) if path.exists() else "none (it went bad in the first epoch)"


def keep_checkpoints(tracker: Tracker) -> None:
    """The best and the last checkpoint, as artefacts of the run."""
    for path in sorted(checkpoints_of(tracker).glob("*.ckpt")):
        tracker.log_file(path, "checkpoints")


def judge(
    line: CommandLine, tracker: Tracker, fitted: Fitted, detector: Detector | None, profile: Profile | None
) -> Verdict:
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
    asked = line.option("evaluation")
    verdict = evaluate(model, data, asked, tester, detector)
    step = fitted.history.epochs
    tracker.log_metrics(verdict.figures, step)
    write_figures(verdict, tracker, describe_run(model, data)[1])
    model = model.cpu()
    pictures = draw_portfolio(model, data, verdict, fitted.history.figures, tracker, asked.tsne_rows)
    pack(model, data, tracker, step, detector, profile)
    print_summary(verdict, tracker, pictures, model, data)
    tell_alarms(model.alarms(fitted.history.last), tracker)
    if detector is not None:
        tracker.log_metrics(detector.figures, step)
        print(f"Detector    {detector}")
    elif note := no_detector(line):
        print(f"Detector    {note}")
    return verdict


def pack(
    model: LitAutoencoder,
    data: LitData,
    tracker: Tracker,
    step: int,
    detector: Detector | None,
    profile: Profile | None,
) -> None:
    """The one MLflow model of the run; its folder holds all of it or is not there."""
    metadata: dict[str, Any] = {"variant": type(model).__name__, "data": data.spec.name, "data_digest": data.digest}
    directory = tracker.directory / "model"
    draft = directory.with_name("model.part")
    try:
        package(model, data.example(), draft, metadata, detector, profile)
        shutil.rmtree(directory, ignore_errors=True)
        draft.replace(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    tracker.log_model(directory, step=step)
