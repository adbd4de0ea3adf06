"""The report of a look at a model in use: what it says in one sentence, and as plain values."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lit_ae.monitoring.decision import Decision
from lit_ae.monitoring.profile import Profile
from lit_ae.monitoring.stream import ENOUGH
from lit_ae.monitoring.watch import Findings, Look
from pipelines.monitoring.labels import Realised

TITLES = {"nothing": "Nothing to do", "recalibrate": "Recalibrate", "adapt": "Adapt", "retrain": "Retrain"}
STATES = {
    "stationary": "the rows are like those that the model was calibrated on",
    "more anomalies": "more rows alarm than promised, and the others are as they were: these are anomalies",
    "the world moved": "normal rows are not what they were",
    "the schema changed": "the columns are not those that the model was trained on",
    "unclear": "something changed, and there are too few rows since then to say what",
}


class Seen(NamedTuple):
    """What a look has found.

    Attributes:
        findings: of the rows.
        realised: what labelled rows say; None without labels.
        rows: how many there are.
        unknown: columns that the model does not know.
        times: of the first and the last row; None where nobody knows.
    """

    findings: Findings
    realised: Realised | None
    rows: int
    unknown: tuple[str, ...]
    times: tuple[pd.Timestamp, pd.Timestamp] | None


class Report(NamedTuple):
    """All that is told.

    Attributes:
        model: the model's address.
        source: where the rows are.
        seen: in them.
        profile: of the model.
        decision: what follows.
        command: that does it; None for nothing.
    """

    model: str
    source: str
    seen: Seen
    profile: Profile
    decision: Decision
    command: str | None

    @property
    def title(self) -> str:
        """What to do, in a few words."""
        return "Look at the alarms" if self.decision.state == "more anomalies" else TITLES[self.decision.action]

    @property
    def sentence(self) -> str:
        """The report in one sentence."""
        told = f"{self.title}: {STATES[self.decision.state]}"
        return f"{told} ({self.seen.findings.tally.scored:,} scored rows, {rate_in_words(self)})."

    @property
    def remarks(self) -> list[str]:
        """What bears on how far the report can be believed, a sentence each."""
        told, promise = [], self.profile.promise
        if promise.effective_rows < ENOUGH:
            told.append(
                f"The calibration rows are worth {promise.effective_rows:,.0f} independent ones: from {ENOUGH} on a "
                "stream rings falsely at most once in 100,000 rows; give the model more."
            )
        if self.seen.unknown:
            told.append(f"Columns that the model does not know: {', '.join(self.seen.unknown[:10])}.")
        if self.seen.findings.since:
            told.append(
                f"The figures are those of the rows from {self.seen.findings.since:,} on, after the last change."
            )
        return told


def rate_in_words(report: Report) -> str:
    """The alarm rate beside what was promised."""
    alarms, promise = report.seen.findings.alarms, report.profile.promise
    low, high = promise.interval
    return f"{alarms.rate:.2%} alarm; promised {promise.budget:.2%}, 95 %: {low:.2%} to {high:.2%}"


def plain(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    found, promise, seen = report.seen.findings, report.profile.promise, report.seen
    decision = report.decision
    return {
        "model": report.model,
        "source": report.source,
        "sentence": report.sentence,
        "state": decision.state,
        "action": decision.action,
        "exit_code": decision.exit_code,
        "reasons": list(decision.reasons),
        "remarks": report.remarks,
        "command": report.command,
        "rows": {"all": seen.rows, "scored": found.tally.scored, "since": found.since},
        "times": None if seen.times is None else [time.isoformat() for time in seen.times],
        "alarms": {**found.alarms._asdict(), "promised": promise.budget, "promised_interval": promise.interval},
        "scores": {**found.bulk._asdict(), "middle": found.evidence.middle},
        "latent": None if found.latent is None else found.latent._asdict(),
        "changes": [change._asdict() for change in found.changes],
        "features": [_feature(look) for look in by_distance(found.looks)],
        "moved": [moved._asdict() for moved in found.evidence.moved],
        "unseen": found.evidence.unseen,
        "labels": None if seen.realised is None else seen.realised._asdict(),
    }


def by_distance(looks: list[Look]) -> list[Look]:
    """Those furthest from normal first."""
    return sorted(looks, key=lambda look: -max(look.values.distance - look.feature.unrest, look.missing.distance))


def _feature(look: Look) -> dict[str, Any]:
    told = {"name": look.feature.name, "kind": look.feature.kind, "unrest": look.feature.unrest}
    return {**told, "values": look.values._asdict(), "missing": look.missing._asdict(), "unseen": look.unseen}


def figures_of(report: Report) -> dict[str, float]:
    """What the run keeps, by MLflow key."""
    found = report.seen.findings
    figures = {
        "exit_code": report.decision.exit_code,
        "rows": found.tally.scored,
        "alarm_rate": found.alarms.rate,
        "alarm_rate_low": found.alarms.interval[0],
        "alarm_rate_high": found.alarms.interval[1],
        "bulk_distance": found.bulk.distance,
        "scores_middle": found.evidence.middle,
        "features_moved": len(found.evidence.moved),
        "stream_changes": len(found.changes),
        "latent_distance": math.nan if found.latent is None else found.latent.distance,
    }
    if report.seen.realised is not None and report.seen.realised.normals:
        figures["false_alarm_rate"] = report.seen.realised.false_alarms / report.seen.realised.normals
    return {f"monitor/{name}": float(value) for name, value in figures.items() if not math.isnan(value)}


def write_report(report: Report, folder: Path) -> list[Path]:
    """``report.html`` and ``report.json``; returns both."""
    from pipelines.monitoring.page import page

    html, values = folder / "report.html", folder / "report.json"
    html.write_text(page(report), encoding="utf-8")
    values.write_text(json.dumps(plain(report), indent=2) + "\n")
    return [html, values]
