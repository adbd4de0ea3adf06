"""A study from the first check to the chosen model: read it from :func:`tune` downwards."""

from pathlib import Path

import optuna
from optuna import Study
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from lit_ae.errors import UserError
from pipelines.callbacks import Interrupted, StopBetweenSteps
from pipelines.store import connect, leave_given_run, tracking_uri, without_password
from pipelines.terminal import keep_quiet
from pipelines.tracking import Status, Tracker
from pipelines.tuning.after import train_chosen
from pipelines.tuning.command import Asked
from pipelines.tuning.definition import Definition, Search
from pipelines.tuning.liveness import REASON, Watch, last_attempts, queue_again
from pipelines.tuning.plan import Plan, keep, plan_of
from pipelines.tuning.probe import Probed, probe
from pipelines.tuning.report import log_report
from pipelines.tuning.shift import Shift
from pipelines.tuning.storage import find_study, is_there, open_storage, refuse_the_tracking_store
from pipelines.tuning.trial import STUDY_TAG


def tune(asked: Asked) -> int:
    """Runs a study to its end, whatever happens to its workers; returns the exit code.

    Raises:
        UserError: for a mistake, before anything is changed.
    """
    keep_quiet()
    stop = StopBetweenSteps()
    definition = asked.definition
    assert definition is not None
    try:
        with stop.listening():
            if asked.running.join:
                return help_out(asked, definition)
            refuse_the_tracking_store(asked.running.storage, tracking_uri())
            storage = open_storage(asked.running.storage) if is_there(asked.running.storage) else None
            study = find_study(definition.name, storage) if storage else None
            plan = plan_of(study) if study else None
            if study:
                check_same(definition, plan)
            probed = probe(definition)
            return tune_in_a_run(asked, definition, probed, storage or open_storage(asked.running.storage), plan)
    except Interrupted as signal:
        return signal.exit_code


def check_same(definition: Definition, plan: Plan | None) -> None:
    """Refuses to go on with a study that is another one.

    Raises:
        UserError: it has another space, objective or training.
    """
    other = definition.differs_from(plan.definition) if plan else "origin"
    if other:
        raise UserError(
            f"There is a study '{definition.name}' with another {other}: give this one another --name, "
            "or go on with that one as it was."
        )


def tune_in_a_run(
    asked: Asked, definition: Definition, probed: Probed, storage: BaseStorage, earlier: Plan | None
) -> int:
    """The study as one MLflow run, whose status says how it ended."""
    tags = {STUDY_TAG: definition.name}
    parent = earlier.parent if earlier else None
    tracker = Tracker.open(probed.experiment, definition.name, parent, Path(probed.output_dir), tags)
    status: Status = "FAILED"
    why: str | None = None
    try:
        plan = Plan(definition, tracker.run_id, *probed[:-1])
        study = begun(storage, plan)
        fill_up(study, Search(**definition.search), probed)
        why = Shift(study, plan, asked.running, tracker).to_the_end()
        if why is None:
            finish(asked, study, tracker)
            status = "FINISHED"
    except Interrupted as signal:
        status, why = "KILLED", str(signal)
        print(f"\nStopped by {signal}. Go on with the same command: {definition.name} keeps its trials.", flush=True)
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise
    finally:
        tracker.finish(status, why)
    return 0 if status == "FINISHED" else 1


def begun(storage: BaseStorage, plan: Plan) -> Study:
    """The study with this plan, made where there is none.

    Raises:
        UserError: another command has made it a moment ago.
    """
    name, search = plan.definition.name, plan.search
    study = find_study(name, storage)
    if study is None:
        try:
            study = optuna.create_study(study_name=name, storage=storage, directions=list(search.objectives.values()))
        except DuplicatedStudyError as error:
            raise UserError(f"Another command has just begun the study '{name}': join it by --join true.") from error
    keep(study, plan)
    return study


def fill_up(study: Study, search: Search, probed: Probed) -> None:
    """Queues as many trials as are missing: the recipe's defaults first, and what was lost on the way."""
    Watch(study, search.retries).hand_on()
    for trial in last_attempts(study):
        if trial.state == TrialState.FAIL and REASON not in trial.user_attrs:
            queue_again(study, trial, 0)
    known = len(last_attempts(study))
    if not known and search.defaults:
        study.enqueue_trial(probed.defaults)
        known = 1
    for _ in range(known, search.trials or 0):
        study.enqueue_trial({})


def help_out(asked: Asked, definition: Definition) -> int:
    """Brings workers to a study that another command has begun.

    Raises:
        UserError: there is none of that name, or it is another one.
    """
    study = find_study(definition.name, open_storage(asked.running.storage))
    if study is None:
        raise UserError(f"There is no study '{definition.name}' to join: begin it without --join.")
    plan = plan_of(study)
    check_same(definition, plan)
    assert plan is not None
    leave_given_run(connect(tracking_uri()), plan.parent)
    return 0 if Shift(study, plan, asked.running, None).to_the_end() is None else 1


def finish(asked: Asked, study: Study, tracker: Tracker) -> None:
    """Pictures and tables of the whole study, and the chosen trial trained again."""
    choice = log_report(study, tracker, asked.running.choose)
    if choice is not None and asked.running.final_seeds:
        train_chosen(study, choice, asked.running, tracker)
    print(f"Look        {without_password(tracking_uri())}, run {tracker.run_id}", flush=True)
