"""What a comparison has found, as one value that every form of the report is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from pipelines.comparing.cost import Cost
from pipelines.comparing.figures import Measure
from pipelines.comparing.groups import Group
from pipelines.comparing.standings import Comparison, Standing


@dataclass(frozen=True)
class Outcome:
    """What a comparison has found.

    Attributes:
        data: the data set's name.
        unit: what the errors are measured in.
        rows: test rows.
        digest: of the test rows.
        groups: who was compared.
        reference: the number of the group that the others are compared with.
        was_named: whether the reference was asked for; it is the best otherwise.
        measures: the figures, the leading one first.
        standings: of each figure, by its key, one a group.
        comparisons: of each figure, by its key, one a group, None for the reference.
        costs: one a group.
        logged: figures that the runs have logged themselves, by key: one text a group.
        level: of intervals and verdicts.
        resamples: draws of the bootstrap.
        turns: of the speed.
        remarks: sentences for what was left out.
    """

    data: str
    unit: str
    rows: int
    digest: str
    groups: Sequence[Group]
    reference: int
    was_named: bool
    measures: Sequence[Measure]
    standings: Mapping[str, Sequence[Standing]]
    comparisons: Mapping[str, Sequence[Comparison | None]]
    costs: Sequence[Cost]
    logged: Mapping[str, Sequence[str]]
    level: float
    resamples: int
    turns: int
    remarks: Sequence[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [group.name for group in self.groups]

    @property
    def models(self) -> int:
        """How many models were judged."""
        return sum(len(group.members) for group in self.groups)

    @property
    def heading(self) -> str:
        return f"{self.models} models on {self.data}"

    def plain(self) -> dict[str, Any]:
        """Plain JSON values."""
        about = {m.key: {"title": m.title, "higher_is_better": m.higher_is_better} for m in self.measures}
        return {
            "data": self.data,
            "test_rows": self.rows,
            "test_digest": self.digest,
            "level": self.level,
            "resamples": self.resamples,
            "reference": self.names[self.reference],
            "reference_is": "named" if self.was_named else "best",
            "leading_figure": self.measures[0].key,
            "figures": about,
            "groups": [self._group(place) for place in range(len(self.groups))],
            "remarks": list(self.remarks),
        }

    def _group(self, place: int) -> dict[str, Any]:
        group, cost = self.groups[place], self.costs[place]
        members = [
            {"address": one.address, "run_id": one.run_id, "name": one.name, "seed": one.seed} for one in group.members
        ]
        return {
            "name": group.name,
            "members": members,
            "figures": {measure.key: self._figure(measure.key, place) for measure in self.measures},
            "cost": {
                "parameters": cost.parameters,
                "fit_seconds": mean(cost.fit_seconds) if cost.fit_seconds else None,
                "fit_seconds_sd": stdev(cost.fit_seconds) if len(cost.fit_seconds) > 1 else None,
                "rows_per_second": cost.rows_per_second,
            },
        }

    def _figure(self, key: str, place: int) -> dict[str, Any]:
        own, compared = self.standings[key][place], self.comparisons[key][place]
        told: dict[str, Any] = {"mean": own.mean, "sd": own.sd, "low": own.low, "high": own.high}
        told["of_seeds"] = own.of_seeds
        if compared is not None:
            found = compared.difference
            told["difference"] = {
                "from": self.names[self.reference],
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "p_value": found.p_value,
                "p_value_corrected": compared.corrected,
                "is_real": compared.is_real,
            }
        return told
