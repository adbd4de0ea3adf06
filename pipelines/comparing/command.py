"""A comparison from the first check to the report: read it from :func:`compare` downwards."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from lit_ae.errors import UserError
from lit_ae.spec import DataSpec
from pipelines.compare import Question
from pipelines.comparing import report
from pipelines.comparing.album import draw
from pipelines.comparing.contestants import contestants
from pipelines.comparing.cost import costs
from pipelines.comparing.figures import measures
from pipelines.comparing.groups import Group, baseline_of, grouped
from pipelines.comparing.judged import Entrant, Judged, entrants, judge, labels_of, require_same_rows, see_alike
from pipelines.comparing.outcome import Outcome
from pipelines.comparing.standings import best, compared, enough, standing
from pipelines.delivery import LONGEST_TAG
from pipelines.judging.anomalies import named
from pipelines.provenance import NOTE, code_version
from pipelines.results import mean_and_spread
from pipelines.store import connect, tracking_uri
from pipelines.summary import ui_command
from pipelines.terminal import keep_quiet
from pipelines.tracking import Tracker

SEED = 0  # of the bootstrap's draws
Sides = list[list[Entrant]]
"""The entrants of each group."""


def compare(asked: Question) -> int:
    """Compares the models as exactly one MLflow run; returns the exit code.

    Raises:
        UserError: for a mistake; where it can be seen before the run is opened, none is.
    """
    keep_quiet()
    groups, remarks = grouped(contestants(asked, connect(tracking_uri())))
    baseline = baseline_of(groups, asked.baseline)
    entered = entrants([one for group in groups for one in group.members], asked.data)
    digest = require_same_rows(entered)
    rest = iter(entered)
    sides = [list(islice(rest, len(group.members))) for group in groups]
    require_a_figure(entered)
    name = asked.run_name or f"compare {len(entered)} models on {entered[0].data.spec.name}"
    tracker = Tracker.open(asked.experiment, name, output_dir=asked.output_dir)
    try:
        found, judged = outcome(asked, groups, baseline, sides, digest, remarks)
        tell(found, draw(found, sides, judged, tracker.directory / "pictures"), asked, tracker)
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", str(error))
        raise
    tracker.finish("FINISHED")
    return 0


def require_a_figure(entered: Sequence[Entrant]) -> None:
    """Refuses models that share no figure.

    Raises:
        UserError: naming two that see the same rows in different units.
    """
    if see_alike(entered) or (labels_of(entered[0]) and all(one.detector for one in entered)):
        return
    first = entered[0]
    other = next(one for one in entered if not see_alike([first, one]))
    spaces = [
        f"{one.contestant.name} ({one.model.spec.value_range or 'scaled by its own rows'})" for one in (first, other)
    ]
    raise UserError(
        f"{spaces[0]} and {spaces[1]} see the same test rows in different units, so that their errors can't be "
        "compared: train them with the same preprocessing."
    )


def outcome(
    asked: Question, groups: Sequence[Group], baseline: Group | None, sides: Sides, digest: str, remarks: list[str]
) -> tuple[Outcome, list[list[Judged]]]:
    """Judges every model, and says what was found."""
    first = sides[0][0]
    judged = [[judge(one) for one in side] for side in sides]
    alike = see_alike([one for side in sides for one in side])
    if not alike:
        remarks = [*remarks, "Errors are left out: the models see the test rows in different units."]
    found = measures([one for side in judged for one in side], first.model.spec, labels_of(first), alike)
    resamples = enough(asked.resamples, len(groups) - 1, asked.level)
    standings = {
        measure.key: [standing(measure, of, resamples, asked.level, SEED, place) for place, of in enumerate(judged)]
        for measure in found
    }
    leading = found[0]
    reference = groups.index(baseline) if baseline else best(standings[leading.key], leading.higher_is_better)
    return Outcome(
        data=first.data.spec.name,
        unit=unit_of(first.model.spec),
        rows=len(first.x),
        digest=digest,
        groups=groups,
        reference=reference,
        was_named=baseline is not None,
        measures=found,
        standings=standings,
        comparisons={key: compared(own, reference, asked.level) for key, own in standings.items()},
        costs=costs(sides, asked.turns),
        logged={} if asked.data else logged(groups),
        level=asked.level,
        resamples=resamples,
        turns=asked.turns,
        remarks=remarks,
    ), judged


def unit_of(spec: DataSpec) -> str:
    """What reconstruction errors of such data are measured in."""
    if spec.kind == "sequence":
        return "tokens"
    return f"values in {list(spec.value_range)}" if spec.value_range else "values in model space"


def logged(groups: Sequence[Group]) -> dict[str, list[str]]:
    """The test figures that all runs have logged, mean ± sd of each group; none where a model has no run."""
    runs = [[one.run for one in group.members if one.run] for group in groups]
    if any(len(own) < len(group.members) for own, group in zip(runs, groups, strict=True)):
        return {}
    keys = set.intersection(*(set(run.data.metrics) for own in runs for run in own))
    shown = sorted(key for key in keys if key.startswith("test/") and key.count("/") == 1)
    return {key: [mean_and_spread(own, key) for own in runs] for key in shown}


def tell(found: Outcome, drawn: Sequence[Path], asked: Question, tracker: Tracker) -> None:
    """The report, in the run, on disk and in the terminal."""
    parts = report.sections(found, drawn)
    written = {
        "comparison.md": report.markdown(f"Comparison of {found.heading}", parts),
        "comparison.html": report.html(f"Comparison of {found.heading}", parts),
        "comparison.json": json.dumps(found.plain(), indent=2) + "\n",
    }
    for name, text in written.items():
        (tracker.directory / name).write_text(text, encoding="utf-8")
        tracker.log_file(tracker.directory / name)
    for picture in drawn:
        tracker.log_file(picture, "pictures")
    if asked.json:
        asked.json.write_text(written["comparison.json"], encoding="utf-8")
    log(found, asked, parts, tracker)
    print(f"\nComparison of {found.heading}, {found.rows:,} test rows")
    print("\n".join(f"  {line}" for line in parts[0].paragraphs))
    print(f"\n{aligned([parts[1].heads, *parts[1].rows])}")
    print(f"\nReport      {tracker.directory / 'comparison.html'}")
    print(f"Run         {tracker.run_id}\nLook        {ui_command()}")


def log(found: Outcome, asked: Question, parts: Sequence[report.Section], tracker: Tracker) -> None:
    """What MLflow's own pages show of the comparison."""
    note = report.markdown(f"Comparison of {found.heading}", [replace(part, pictures=[]) for part in parts])
    told = {NOTE: note[:LONGEST_TAG], "compared": str(found.models), "data": found.data, "test_digest": found.digest}
    tracker.set_tags({**told, **code_version()})
    models = " ".join(one.address for group in found.groups for one in group.members)
    options = {name: getattr(asked, name) for name in ("filter", "baseline", "level", "turns") if getattr(asked, name)}
    told = {"models": models, "reference": found.names[found.reference], **options}
    tracker.log_params({f"comparison/{name}": value for name, value in told.items()})
    tracker.log_dataset(found.data, found.digest, {"test": found.rows}, "the test rows of every model")
    for measure in found.measures:
        means = {name: own.mean for name, own in zip(found.names, found.standings[measure.key], strict=True)}
        tracker.log_metrics({f"{measure.key}/{named(name)}": value for name, value in means.items()}, 0)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table for the terminal: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  " + "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
