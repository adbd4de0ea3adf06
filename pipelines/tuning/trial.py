"""One trial: the training that ``pipelines.train`` would do, up to the test split, told to Optuna and MLflow alike."""

import math
import os
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import optuna
from lightning.pytorch.callbacks import Checkpoint
from optuna import Study, Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from lit_ae.errors import UserError
from pipelines.callbacks import Interrupted, StopBetweenSteps
from pipelines.checks import check
from pipelines.configuration import CommandLine, configure
from pipelines.provenance import log_provenance
from pipelines.tracking import Status, Tracker
from pipelines.training import Fitted, fit, keep_checkpoints
from pipelines.tuning.definition import Definition, Search
from pipelines.tuning.detection import detection_figures, is_searched
from pipelines.tuning.liveness import REASON, Heartbeat, give_back, slot
from pipelines.tuning.plan import Plan
from pipelines.tuning.storage import patiently

RUNS, FIGURES = "runs", "figures"  # attributes of a trial: MLflow run and figures of each of its trainings
PARENT_TAG, STUDY_TAG, TRIAL_TAG = "mlflow.parentRunId", "lit_ae.study", "lit_ae.trial"
STATE_TAG = "lit_ae.trial_state"
TRAINING, RESUME = "LIT_AE_TRIAL_TRAINING", "LIT_AE_TRIAL_RESUME"  # environment of a training's further processes


class Report(Checkpoint):
    """Tells the study each epoch's objective, and ends a training that the pruner gives up; all processes together.

    It is a ``Checkpoint`` for Lightning, which calls those after the model has logged its figures of the epoch.

    Args:
        trial: whose training it is; None in the other processes.
        objective: the figure.
    """

    def __init__(self, trial: Trial | None, objective: str):
        self._trial, self._objective = trial, objective

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        is_hopeless = self._trial is not None and self._judged(self._trial, trainer)
        if trainer.world_size > 1:
            is_hopeless = trainer.strategy.broadcast(is_hopeless)
        if is_hopeless:
            raise optuna.TrialPruned(f"pruned after epoch {trainer.current_epoch + 1}")

    def _judged(self, trial: Trial, trainer: L.Trainer) -> bool:
        epoch = trainer.current_epoch + 1
        if self._objective not in trainer.callback_metrics:
            return False
        value = float(trainer.callback_metrics[self._objective])
        patiently(lambda: trial.report(value, epoch))
        return epoch != trainer.max_epochs and patiently(trial.should_prune)


class Work(NamedTuple):
    """A study, and how it is worked on."""

    study: Study
    plan: Plan


def work_on(work: Work, trial: Trial) -> TrialState:
    """Trains the trial and tells what came of it, whatever that is.

    Raises:
        Interrupted: it was told to stop; the trial waits to be taken up again.
    """
    heart = Heartbeat(work.study._storage, trial._trial_id)
    try:
        with heart:
            values = measure(work, trial)
    except optuna.TrialPruned:
        return tell(work.study, trial, TrialState.PRUNED)
    except Interrupted:
        give_back(work.study, work.study.get_trials(deepcopy=False)[trial.number])
        if heart.taken:
            return TrialState.FAIL
        raise
    except Exception as error:
        why = reason_of(error)
        patiently(lambda: trial.set_user_attr(REASON, why))
        return tell(work.study, trial, TrialState.FAIL)
    return tell(work.study, trial, TrialState.COMPLETE, values)


def tell(study: Study, trial: Trial, state: TrialState, values: list[float] | None = None) -> TrialState:
    """The trial's end; where somebody else has taken the trial meanwhile, theirs counts."""
    try:
        return patiently(lambda: study.tell(trial, values, state)).state
    except (UpdateFinishedTrialError, ValueError):
        return TrialState.FAIL


def reason_of(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def measure(work: Work, trial: Trial) -> list[float]:
    """The objectives: of the one training, or the medians of several."""
    search = work.plan.search
    stop = StopBetweenSteps()
    with stop.listening():
        chosen = search.space.suggest(trial)
        training = Training(work, trial, chosen, stop)
        if search.seeds == 1:
            return objectives(search, training.run(0, work.plan.parent), chosen)
        return objectives(search, medians(training, search.seeds), chosen)


def objectives(search: Search, figures: Mapping[str, float], chosen: Mapping[str, Any]) -> list[float]:
    """The values of the study's objectives.

    Raises:
        UserError: one was not logged.
    """
    known = {**figures, **{path: value for path, value in chosen.items() if isinstance(value, int | float)}}
    missing = [name for name in search.objectives if name not in known]
    if missing:
        raise UserError(f"The training has no {missing[0]}: it has {', '.join(sorted(figures))}.")
    return [float(known[name]) for name in search.objectives]


def medians(training: "Training", seeds: int) -> dict[str, float]:
    """Figures over several trainings, each a run inside the trial's own."""
    with training.opened("all", training.work.plan.parent, f"trial {slot(training.trial)}") as (tracker, _):
        tracker.log_params(training.chosen)
        figures = [training.run(number, tracker.run_id) for number in range(seeds)]
        names = [name for name in figures[0] if all(name in one for one in figures)]
        found = {name: statistics.median(one[name] for one in figures) for name in names}
        tracker.log_metrics(found, 0)
    return found


class Training:
    """The trainings of one trial.

    Args:
        work: the study's.
        trial: the trial.
        chosen: its parameters.
        stop: notices signals.
    """

    def __init__(self, work: Work, trial: Trial, chosen: Mapping[str, Any], stop: StopBetweenSteps):
        self.work, self.trial, self.chosen, self._stop = work, trial, chosen, stop

    def run(self, number: int, parent: str) -> dict[str, float]:
        """The figures of the weights that are kept. What was stopped goes on, and what is done is not repeated.

        Args:
            number: 0 for the recipe's own seed, 1 for the next.
            parent: the MLflow run that holds this one.
        """
        done = self.trial.user_attrs.get(FIGURES, {})
        if str(number) in done:
            return done[str(number)]
        line = configured(self.work.plan.definition, self.chosen, number)
        check(line)
        name = f"trial {slot(self.trial)}"
        if parent != self.work.plan.parent:
            name += f" seed {line.config['seed_everything']}"
        told = reports(self.work.plan.search, self.trial) if number == 0 else []
        with self.opened(str(number), parent, name) as (tracker, resume), shown_to_followers(number, resume):
            log_provenance(tracker, line, is_resumed=resume is not None)
            fitted = fit(line, tracker, resume, self._stop, told)
            figures = kept_figures(fitted)
            if is_searched(self.work.plan.search):
                found = detection_figures(line, fitted.model)
                tracker.log_metrics(found, fitted.history.epochs)
                figures |= found
        self._note(FIGURES, str(number), figures)
        return figures

    @contextmanager
    def opened(self, key: str, parent: str, name: str) -> Iterator[tuple[Tracker, str | None]]:
        """The MLflow run of this trial under ``key``, and its id where it is gone on with.

        Its status says how the block ended.
        """
        plan = self.work.plan
        resume = self.trial.user_attrs.get(RUNS, {}).get(key)
        study, number = self.work.study.study_name, str(slot(self.trial))
        tags = {PARENT_TAG: parent, STUDY_TAG: study, TRIAL_TAG: number, STATE_TAG: "RUNNING"}
        tracker = Tracker.open(plan.experiment, name, resume, Path(plan.output_dir), tags)
        self._note(RUNS, key, tracker.run_id)
        with true_status(tracker):
            yield tracker, resume

    def _note(self, attribute: str, key: str, value: object) -> None:
        known = {**self.trial.user_attrs.get(attribute, {}), key: value}
        patiently(lambda: self.trial.set_user_attr(attribute, known))


@contextmanager
def true_status(tracker: Tracker) -> Iterator[None]:
    """Ends the run as what the block was: COMPLETE is FINISHED, PRUNED is KILLED, FAIL is FAILED."""
    status: Status = "FAILED"
    state, reason = "FAIL", None
    try:
        yield
        status, state = "FINISHED", "COMPLETE"
    except optuna.TrialPruned as pruned:
        status, state, reason = "KILLED", "PRUNED", str(pruned)
        raise
    except Interrupted as signal:
        status, state, reason = "KILLED", "WAITING", f"{signal}: the study takes it up again where it stopped"
        keep_checkpoints(tracker)
        raise
    except Exception as error:
        reason = reason_of(error)
        raise
    finally:
        tracker.set_tags({STATE_TAG: state})
        tracker.finish(status, reason)


def configured(definition: Definition, chosen: Mapping[str, Any], number: int = 0) -> CommandLine:
    """A training of the study, with the recipe's own seed or one of those after it; without pictures."""
    seed = definition.base_seed + number
    quiet = ["--tracking.pictures_every=0", "--trainer.enable_progress_bar=false", f"--seed_everything={seed}"]
    return configure(definition.request(chosen, *quiet))


def reports(search: Search, trial: Trial | None) -> list[L.Callback]:
    """What a training tells the study while it goes on: the curve of one objective, and none of several."""
    names = list(search.objectives)
    return [Report(trial, names[0])] if len(names) == 1 else []


@contextmanager
def shown_to_followers(number: int, resume: str | None) -> Iterator[None]:
    """Tells the other processes of a training, which Lightning starts from this one's environment, which it is.

    What Lightning leaves in the environment is taken out again, so that the next training starts processes of its own.
    """
    before = dict(os.environ)
    os.environ |= {TRAINING: str(number), RESUME: resume or ""}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def follow(work: Work, trial: FrozenTrial) -> None:
    """Takes part in a trial's training as one of its further processes.

    Raises:
        Interrupted: it was told to stop.
    """
    number, stop = int(os.environ[TRAINING]), StopBetweenSteps()
    with stop.listening(), suppress(optuna.TrialPruned):
        line = configured(work.plan.definition, trial.params, number)
        check(line)
        told = reports(work.plan.search, None) if number == 0 else []
        fit(line, None, os.environ[RESUME] or None, stop, told)


def kept_figures(fitted: Fitted) -> dict[str, float]:
    """The figures of the tuning split at the epoch whose weights are kept: that with the lowest objective."""
    history = {name: dict(points) for name, points in fitted.history.figures.items() if name.startswith("val/")}
    losses = {epoch: value for epoch, value in history["val/loss"].items() if math.isfinite(value)}
    best = min(losses, key=lambda epoch: (losses[epoch], epoch))
    return {name: points[best] for name, points in history.items() if best in points}
