"""What one command does while a study lasts: workers are kept up, dead ones' trials handed on, and all of it told."""

import time
from pathlib import Path

from optuna import Study
from optuna.trial import FrozenTrial

from pipelines.store import REASON_TAG, connect, tracking_uri
from pipelines.tracking import Tracker
from pipelines.tuning.command import Running
from pipelines.tuning.crew import Crew, worker_command
from pipelines.tuning.liveness import Watch, last_attempts, slot, without_followed
from pipelines.tuning.plan import Plan, common_cause, reason
from pipelines.tuning.progress import Progress
from pipelines.tuning.storage import patiently
from pipelines.tuning.trial import RUNS, STATE_TAG

POLL = 1.0  # s between two looks at the trials


class Shift:
    """The work of one command on a study.

    Args:
        study: the study.
        plan: how it is worked on.
        running: with how many workers.
        tracker: the study's own run; None where another command has it.
    """

    def __init__(self, study: Study, plan: Plan, running: Running, tracker: Tracker | None):
        search = plan.search
        self._study, self._search, self._has_all = study, search, tracker is not None
        self._until = time.time() + 60 * search.minutes if search.minutes else float("inf")
        command = worker_command(study.study_name, self._until)
        log = Path(plan.output_dir) / "studies" / study.study_name
        self._crew = Crew(command, running.storage, running.workers, log)
        self._deaths = search.failures + running.workers * search.retries  # that are put up with between two trials
        self._watch, self._progress = Watch(study, search.retries), Progress(search, tracker)
        self._earlier = {slot(trial) for trial in last_attempts(study) if trial.state.is_finished()}
        self._trouble: str | None = None

    def to_the_end(self) -> str | None:
        """Works until no trial is left, or time is up; returns why it could not go on, or None."""
        try:
            while not self._has_ended():
                time.sleep(POLL)
        finally:
            self._crew.stop()
            self._watch.hand_on()
        if self._trouble:
            print(f"\nThe study stopped: {self._trouble}.", flush=True)
        return self._trouble

    def _has_ended(self) -> bool:
        self._crew.bury()
        trials = self._look()
        if self._progress.tell(trials):
            self._crew.forget_deaths()
        self._trouble = self._found_trouble(trials)
        waiting = self._progress.waiting if time.time() < self._until else 0
        if waiting and not self._trouble:
            self._crew.keep_up(self._progress.running + waiting)
        is_worked_on = self._crew.working or (self._has_all and self._progress.running)
        return bool(self._trouble) or not (waiting or is_worked_on)

    def _look(self) -> list[FrozenTrial]:
        """The trials, after those of dead processes were handed on."""
        trials = patiently(lambda: self._study.get_trials(deepcopy=False))
        for lost in self._watch.hand_on(trials):
            why = reason(self._study.get_trials(deepcopy=False)[lost.number])
            fail_runs(lost.user_attrs.get(RUNS, {}), why)
        return without_followed(trials)

    def _found_trouble(self, trials: list[FrozenTrial]) -> str | None:
        """Why it makes no sense to go on; what failed before this command does not count."""
        cause = common_cause([trial for trial in trials if slot(trial) not in self._earlier], self._search.failures)
        if cause:
            return f"the last {self._search.failures} trials failed, most by: {cause}"
        return f"its workers die, see {self._crew.log_of(0)}" if self._crew.deaths > self._deaths else None


def fail_runs(runs: dict[str, str], why: str) -> None:
    """The MLflow runs of a trial whose process died for the last time."""
    client = connect(tracking_uri())
    for run_id in runs.values():
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_tag(run_id, REASON_TAG, why)
            client.set_tag(run_id, STATE_TAG, "FAIL")
            client.set_terminated(run_id, "FAILED")
