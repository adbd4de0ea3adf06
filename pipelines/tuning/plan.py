"""What is kept of a study beside its trials, so that any process can work on it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from pipelines.tuning.definition import Definition, Search
from pipelines.tuning.liveness import REASON
from pipelines.tuning.storage import patiently

PLAN = "plan"  # the study's attribute


class Plan(NamedTuple):
    """How a study is worked on.

    Attributes:
        definition: what is trained and searched.
        parent: the study's own MLflow run.
        epochs: of one training, at most.
        is_isolated: whether a trial has several processes, and therefore a group of its own.
        experiment: the MLflow experiment of its runs.
        output_dir: where its runs' directories stand.
    """

    definition: Definition
    parent: str
    epochs: int
    is_isolated: bool
    experiment: str
    output_dir: str

    @property
    def search(self) -> Search:
        return Search(**self.definition.search)


def keep(study: Study, plan: Plan) -> None:
    """Writes the plan into the study."""
    content = {**plan._asdict(), "definition": plan.definition._asdict()}
    patiently(lambda: study.set_user_attr(PLAN, content))


def plan_of(study: Study) -> Plan | None:
    """The plan of a study; None where it is none of ours."""
    content: dict[str, Any] | None = study.user_attrs.get(PLAN)
    return content and Plan(**{**content, "definition": Definition(**content["definition"])})  # type: ignore[return-value]


def common_cause(trials: Iterable[FrozenTrial], failures: int) -> str | None:
    """Why so many trials in a row have failed; None where they have not."""
    ended = [trial for trial in trials if trial.state.is_finished() and trial.datetime_complete]
    latest = sorted(ended, key=lambda trial: trial.datetime_complete or datetime.max)[-failures:]
    if len(latest) < failures or any(trial.state != TrialState.FAIL for trial in latest):
        return None
    reasons = [reason(trial) for trial in latest]
    return max(reversed(reasons), key=reasons.count)


def reason(trial: FrozenTrial) -> str:
    """Why a trial failed."""
    return str(trial.user_attrs.get(REASON, "its process ended without a word"))
