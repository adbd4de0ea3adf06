"""What was measured of a model that asks for promotion: plain values, from which the decision follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Paired:
    """A figure of a model and of its rival on the same rows.

    Attributes:
        figure: its name.
        value: the model's.
        rival: the rival's.
        low: lower end of the interval of the gain over the rival, which is positive where the model is better.
        high: its upper end.
        rising: whether a higher figure is better.
    """

    figure: str
    value: float
    rival: float
    low: float
    high: float
    rising: bool = True

    @property
    def gain(self) -> float:
        """How much better the model is than its rival."""
        return self.value - self.rival if self.rising else self.rival - self.value


@dataclass(frozen=True)
class Alarms:
    """What the model's own threshold does on the normal test rows.

    Attributes:
        rate: the share of them with an alarm.
        low: lower end of the rate's interval.
        high: its upper end.
        budget: the share that the detector may call anomalies.
    """

    rate: float
    low: float
    high: float
    budget: float


@dataclass(frozen=True)
class Cost:
    """What a model costs.

    Attributes:
        one_row_ms: milliseconds for one row, median.
        rows_per_second: in batches, median.
        size: bytes of the packed model.
    """

    one_row_ms: float
    rows_per_second: float
    size: int


@dataclass(frozen=True)
class Outside:
    """What the model did by its own code alone.

    Attributes:
        environment: where: process, virtualenv or uv.
        failure: why it did not load or answer; None where it did.
        logged: figures of its run.
        found: the same figures, of the model as it is packed.
    """

    environment: str
    failure: str | None = None
    logged: Mapping[str, float] = field(default_factory=dict)
    found: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All that a decision looks at. What could not be measured, such as figures that need labels, is None.

    Attributes:
        is_first: whether the name has no champion; the rival of the test figures is then PCA of the model's size.
        cost: of the model.
        outside: of the model by its own code.
        test: on the frozen test rows.
        calibration: on the frozen calibration rows and damaged copies of them.
        recall: highest recall within the budget on the test rows.
        alarms: of the model's threshold.
        rival_cost: of the champion.
        incompatible: what the champion takes or answers and the model does not; None for nothing.
        foreign: why the two can't be judged on the same rows; nothing else is then measured.
    """

    is_first: bool
    cost: Cost | None = None
    outside: Outside | None = None
    test: Paired | None = None
    calibration: Paired | None = None
    recall: Paired | None = None
    alarms: Alarms | None = None
    rival_cost: Cost | None = None
    incompatible: str | None = None
    foreign: str | None = None
