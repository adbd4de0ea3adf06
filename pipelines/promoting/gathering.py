"""Gathers the evidence for a decision: what the policy's gates ask for is measured, and nothing else."""

import numpy as np
from torch import Tensor

from data import LitData
from lit_ae.metrics.alarms import alarm_figures
from lit_ae.metrics.ranking import ranking_figures
from lit_ae.spec import DataSpec
from pipelines.judging.anomalies import Labels
from pipelines.promoting.clean import Answers, Failed, answers_outside
from pipelines.promoting.compatibility import incompatible
from pipelines.promoting.contender import Contender
from pipelines.promoting.costs import costs
from pipelines.promoting.evidence import Cost, Evidence, Outside
from pipelines.promoting.frozen import why_foreign
from pipelines.promoting.measuring import FrozenRows, alarms, on_calibration, on_test, recall
from pipelines.promoting.policy import Gates, Loads
from pipelines.seen import SeenBy


def gather(challenger: Contender, champion: Contender | None, data: LitData, gates: Gates) -> Evidence:
    """What the gates ask for.

    Args:
        challenger: asks for promotion.
        champion: None for the first model of a name.
        data: the rows of the champion's run, or of the first model's own.
        gates: the policy's, with their options.

    Raises:
        UserError: data can't be read.
    """
    if champion is not None and (foreign := why_foreign(challenger, champion, data)):
        return Evidence(is_first=False, foreign=foreign)
    mine = FrozenRows(challenger, data)
    rival = None if champion is None else FrozenRows(champion, data)
    test, budget = gates.get("test", gates.get("baseline")), gates.get("recall")
    own, theirs = measured_costs(challenger, champion, data, gates)
    return Evidence(
        is_first=champion is None,
        cost=own,
        rival_cost=theirs,
        outside=seen_outside(challenger, data, gates) if gates.keys() & {"loads", "reproduces"} else None,
        test=on_test(mine, rival, test) if test else None,
        calibration=on_calibration(mine, rival, gates["calibration"]) if rival and "calibration" in gates else None,
        recall=recall(mine, rival, budget) if budget else None,
        alarms=alarms(mine, gates["false_alarms"]) if "false_alarms" in gates else None,
        incompatible=None if champion is None else differences(champion, challenger),
    )


def measured_costs(
    challenger: Contender, champion: Contender | None, data: LitData, gates: Gates
) -> tuple[Cost | None, Cost | None]:
    """Costs of both; None for what is not asked for or not there."""
    if not gates.keys() & {"latency", "size"}:
        return None, None
    own, *theirs = costs([challenger, *([champion] if champion else [])], data)
    return own, theirs[0] if theirs else None


def differences(champion: Contender, challenger: Contender) -> str | None:
    """What the champion takes or answers and the challenger does not."""
    specs = (champion.model.spec, challenger.model.spec)
    return incompatible(*specs, champion.detector is not None, challenger.detector is not None)


def seen_outside(challenger: Contender, data: LitData, gates: Gates) -> Outside:
    """What the packed model does by its own code alone, beside the figures of its run."""
    environment = gates.get("loads", Loads()).environment
    seen = SeenBy(challenger.model.spec, data)
    try:
        answers = answers_outside(challenger.folder, raw_of(seen), seen.spec, environment)
    except Failed as failed:
        return Outside(environment, str(failed))
    found = figures_of(answers, Labels.of(data.rows["test"], data.families), seen.spec)
    logged = {key: challenger.run.data.metrics.get(key) for key in found}
    kept = {key: value for key, value in logged.items() if value is not None}
    return Outside(environment, None, kept, {key: found[key] for key in kept})


def raw_of(seen: SeenBy) -> Tensor:
    """The test rows that a model was judged on ``(N, ...)``, in the user's own units: what is drawn once, as drawn."""
    if seen.spec.binarize == "dynamic":
        return seen.spec.preprocessing.invert(seen.split("test").x)
    return seen.rows["test"].raw


def figures_of(answers: Answers, labels: Labels | None, spec: DataSpec) -> dict[str, float]:
    """The figures that follow from answers alone, by the keys under which a run has them."""
    error = float(np.asarray(answers.error, float).mean())
    figures = {"token_accuracy": 1 - error} if spec.kind == "sequence" else {"mse": error}
    if labels is not None and answers.score is not None and answers.alarm is not None:
        scored = np.isfinite(answers.score)
        known = labels.take(scored)
        figures |= alarm_figures(answers.alarm[scored], known.anomaly)
        if known.has_both:
            figures |= ranking_figures(answers.score[scored], known.anomaly)
    return {f"test/{name}": value for name, value in figures.items()}
