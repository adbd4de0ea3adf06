"""The decision: a pure function of what was measured and of the policy."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.promoting.evidence import Evidence, Paired
from pipelines.promoting.policy import (
    Baseline,
    FalseAlarms,
    Latency,
    Loads,
    NotWorse,
    OnCalibration,
    Policy,
    Recall,
    RecallFloor,
    Reproduces,
    Schema,
    Size,
)

Outcome = Literal["passed", "failed", "not applicable"]
ROUNDING = 1e-9  # two ways to compute a figure may differ by so much
NO_LABELS = "it needs labelled test rows and a detector"


@dataclass(frozen=True)
class Gate:
    """What came of one gate.

    Attributes:
        name: in the policy.
        outcome: passed, failed, or not applicable, which refuses nothing.
        reason: with the figures that it was decided by.
    """

    name: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Decision:
    """Whether a model may become champion, and why.

    Attributes:
        gates: in the order of the policy.
    """

    gates: tuple[Gate, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if gate.outcome == "failed")

    @property
    def reason(self) -> str:
        """All in a sentence or a few."""
        if self.passed:
            return f"All of {len([gate for gate in self.gates if gate.outcome == 'passed'])} gates passed."
        return " ".join(f"{gate.name}: {gate.reason}." for gate in self.failed)


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Every gate that the policy asks for, judged by the evidence alone."""
    if evidence.foreign is not None:
        return Decision((Gate("data", "failed", evidence.foreign),))
    asked = policy.first if evidence.is_first else policy.challenger
    return Decision(tuple(Gate(name, *GATES[type(options)](evidence, options)) for name, options in asked.items()))


Judged = tuple[Outcome, str]


def _outcome(passed: bool, reason: str) -> Judged:
    return ("passed" if passed else "failed"), reason


def _not_worse(paired: Paired | None, margin: float, floor: float | None, needs: str = NO_LABELS) -> Judged:
    """Neither shown to be worse, nor perhaps worse by more than the margin, nor beyond the floor."""
    if paired is None:
        return "not applicable", needs
    allowed = margin * abs(paired.rival) + ROUNDING
    said = _told(paired)
    if paired.high < -ROUNDING:
        return "failed", f"{said}: it is worse"
    if not paired.low >= -allowed:
        return "failed", f"{said}: it may be worse by more than {allowed:.3g}"
    return _above(paired, floor, said)


def _above(paired: Paired, floor: float | None, said: str) -> Judged:
    if floor is None:
        return "passed", said
    reached = paired.value >= floor if paired.rising else paired.value <= floor
    return _outcome(reached, said if reached else f"{said}: the policy asks for {floor:g}")


def _told(paired: Paired, rival: str = "the champion's") -> str:
    return (
        f"{paired.figure} {paired.value:.4g} beside {rival} {paired.rival:.4g}, gain {paired.gain:+.3g} "
        f"[{paired.low:+.3g}, {paired.high:+.3g}]"
    )


def _test(evidence: Evidence, asked: NotWorse) -> Judged:
    return _not_worse(evidence.test, asked.margin, asked.floor)


def _calibration(evidence: Evidence, asked: OnCalibration) -> Judged:
    return _not_worse(evidence.calibration, asked.margin, None, "it needs calibration rows and a detector of both")


def _recall(evidence: Evidence, asked: Recall) -> Judged:
    return _not_worse(evidence.recall, asked.margin, asked.floor)


def _recall_floor(evidence: Evidence, asked: RecallFloor) -> Judged:
    if evidence.recall is None:
        return "not applicable", NO_LABELS
    return _above(evidence.recall, asked.floor, f"{evidence.recall.figure} {evidence.recall.value:.4g}")


def _baseline(evidence: Evidence, asked: Baseline) -> Judged:
    if evidence.test is None:
        return "not applicable", NO_LABELS
    said = _told(evidence.test, "PCA's")
    is_perfect = evidence.test.rising and evidence.test.value >= 1 - ROUNDING
    if not (evidence.test.gain > 0 or is_perfect):
        return "failed", f"{said}: principal components of the same size do as well"
    return _above(evidence.test, asked.floor, said)


def _false_alarms(evidence: Evidence, asked: FalseAlarms) -> Judged:
    seen = evidence.alarms
    if seen is None:
        return "not applicable", NO_LABELS
    allowed = asked.excess * seen.budget
    said = f"{seen.rate:.3%} of normal test rows alarm [{seen.low:.3%}, {seen.high:.3%}], and {allowed:.3%} may"
    return _outcome(seen.low <= allowed, said)


def _latency(evidence: Evidence, asked: Latency) -> Judged:
    cost, rival = evidence.cost, evidence.rival_cost
    if cost is None:
        return "not applicable", "it was not measured"
    said = f"{cost.one_row_ms:.3g} ms a row and {cost.rows_per_second:,.0f} rows/s"
    limits = [
        (cost.one_row_ms, asked.one_row_ms, "{:.3g} ms a row"),
        (-cost.rows_per_second, asked.rows_per_second and -asked.rows_per_second, "{:,.0f} rows/s"),
    ]
    if rival is not None and asked.slowdown is not None:
        said += f" beside the champion's {rival.one_row_ms:.3g} ms and {rival.rows_per_second:,.0f} rows/s"
        limits.append((cost.one_row_ms, rival.one_row_ms * asked.slowdown, "{:.3g} ms a row"))
        least = rival.rows_per_second / asked.slowdown if asked.slowdown else math.inf
        limits.append((-cost.rows_per_second, -least, "{:,.0f} rows/s"))
    return _within(said, limits)


def _size(evidence: Evidence, asked: Size) -> Judged:
    cost, rival = evidence.cost, evidence.rival_cost
    if cost is None:
        return "not applicable", "it was not measured"
    said = f"{cost.size / 1e6:.3g} MB"
    limits: list[tuple[float, float | None, str]] = [(cost.size / 1e6, asked.megabytes, "{:.3g} MB")]
    if rival is not None and asked.growth is not None:
        said += f" beside the champion's {rival.size / 1e6:.3g} MB"
        limits.append((cost.size / 1e6, rival.size * asked.growth / 1e6, "{:.3g} MB"))
    return _within(said, limits)


def _within(said: str, limits: list[tuple[float, float | None, str]]) -> Judged:
    """Whether each value lies at or below its limit, where it has one."""
    for value, limit, unit in limits:
        if limit is not None and not value <= limit:
            return "failed", f"{said}: the budget is {unit.format(abs(limit))}"
    return "passed", said


def _schema(evidence: Evidence, asked: Schema) -> Judged:
    if evidence.incompatible is None:
        return "passed", "it takes what the champion takes, and answers as it does"
    return "failed", evidence.incompatible


def _loads(evidence: Evidence, asked: Loads) -> Judged:
    outside = evidence.outside
    if outside is None:
        return "not applicable", "it was not tried"
    where = "in a process of its own" if outside.environment == "process" else f"in a new {outside.environment}"
    if outside.failure is not None:
        return "failed", f"it does not load {where}: {outside.failure}"
    return "passed", f"it loads {where} and answers by its own code"


def _reproduces(evidence: Evidence, asked: Reproduces) -> Judged:
    outside = evidence.outside
    if outside is None or outside.failure is not None:
        return "not applicable", "it gave no answers that could be compared"
    if not outside.logged:
        return "failed", "its run has logged no figure that could be compared"
    worst, name = max((_deviation(key, outside.logged[key], outside.found[key]), key) for key in outside.logged)
    said = f"{len(outside.logged)} figures of its run come back to {worst:.1e} ({name}), and {asked.tolerance:.1e} may"
    return _outcome(worst <= asked.tolerance, said)


def _deviation(key: str, logged: float, found: float) -> float:
    """The difference, of an error as a share of what was logged; infinite where one of them is no number."""
    unit = abs(logged) if key.endswith("mse") and logged else 1.0
    deviation = abs(found - logged) / unit
    return deviation if math.isfinite(deviation) else math.inf


GATES: dict[type, Callable[[Evidence, Any], Judged]] = {
    NotWorse: _test,
    OnCalibration: _calibration,
    Recall: _recall,
    RecallFloor: _recall_floor,
    Baseline: _baseline,
    FalseAlarms: _false_alarms,
    Latency: _latency,
    Size: _size,
    Schema: _schema,
    Loads: _loads,
    Reproduces: _reproduces,
}
