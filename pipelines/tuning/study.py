"""A study from the first check to the chosen model: read it from :func:`tune` downwards."""

import time
from pathlib import Path

import mlflow
import optuna
from optuna import Study
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from lit_ae.errors import UserError
from pipelines.callbacks import Interrupted, StopBetweenSteps
from pipelines.store import REASON_TAG, connect, tracking_uri
from pipelines.terminal import keep_quiet
from pipelines.tracking import Status, Tracker
from pipelines.tuning.after import train_chosen
from pipelines.tuning.command import Asked
from pipelines.tuning.crew import Crew, worker_command
from pipelines.tuning.definition import Definition, Search
from pipelines.tuning.liveness import REASON, Watch, last_attempts, queue_again
from pipelines.tuning.plan import Plan, common_cause, keep, plan_of, reason
from pipelines.tuning.probe import Probed, probe
from pipelines.tuning.progress import Progress
from pipelines.tuning.report import log_report
from pipelines.tuning.storage import find_study, is_there, open_storage, patiently, refuse_the_tracking_store
from pipelines.tuning.trial import RUNS, STATE_TAG, STUDY_TAG

POLL = 0.5  # s between two looks at the trials


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
        study = begun(storage, Plan(definition, tracker.run_id, *probed[:-1]))
        fill_up(study, Search(**definition.search), probed)
        why = work(asked, study, tracker)
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


def work(asked: Asked, study: Study, tracker: Tracker | None) -> str | None:
    """Keeps workers on the study until it has ended; returns why it could not go on, or None."""
    plan = plan_of(study)
    assert plan is not None
    search, running = plan.search, asked.running
    until = time.time() + 60 * search.minutes if search.minutes else float("inf")
    log = Path(plan.output_dir) / "studies" / study.study_name
    crew = Crew(worker_command(running.storage, study.study_name, until), running.workers, log)
    watch, progress = Watch(study, search.retries), Progress(study, search, tracker)
    try:
        while True:
            crew.bury()
            for lost in patiently(watch.hand_on):
                fail_runs(lost.user_attrs.get(RUNS, {}), reason(study.get_trials(deepcopy=False)[lost.number]))
            if progress.tell():
                crew.forget_deaths()
            cause = common_cause(study, search.failures)
            if cause:
                return _stopped(f"the last {search.failures} trials failed, most by: {cause}")
            if crew.deaths > search.failures + running.workers * search.retries:
                return _stopped(f"its workers die, see {crew.log_of(0)}")
            waiting = progress.waiting if time.time() < until else 0
            if not waiting and not crew.working and (tracker is None or not progress.running):
                return None
            if waiting:
                crew.keep_up(progress.running + waiting)
            time.sleep(POLL)
    finally:
        crew.stop()
        watch.hand_on()


def _stopped(why: str) -> str:
    print(f"\nThe study stopped: {why}.", flush=True)
    return why


def fail_runs(runs: dict[str, str], why: str) -> None:
    """The MLflow runs of a trial whose process died for the last time."""
    client = connect(tracking_uri())
    for run_id in runs.values():
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_tag(run_id, REASON_TAG, why)
            client.set_tag(run_id, STATE_TAG, "FAIL")
            client.set_terminated(run_id, "FAILED")


def help_out(asked: Asked, definition: Definition) -> int:
    """Brings workers to a study that another command has begun.

    Raises:
        UserError: there is none of that name, or it is another one.
    """
    study = find_study(definition.name, open_storage(asked.running.storage))
    if study is None:
        raise UserError(f"There is no study '{definition.name}' to join: begin it without --join.")
    check_same(definition, plan_of(study))
    return 0 if work(asked, study, None) is None else 1


def finish(asked: Asked, study: Study, tracker: Tracker) -> None:
    """Pictures and tables of the whole study, and the chosen trial trained again."""
    choice = log_report(study, tracker, asked.running.choose)
    if choice is not None and asked.running.final_seeds:
        train_chosen(study, choice, asked.running, tracker)
    print(f"Look        {mlflow.get_tracking_uri()}, run {tracker.run_id}", flush=True)
