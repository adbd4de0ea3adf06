"""The report of a comparison: sections, and these as Markdown and as one HTML file that needs no other."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

from jinja2 import Environment, PackageLoader, select_autoescape

from pipelines.comparing.figures import Measure
from pipelines.comparing.outcome import Outcome
from pipelines.comparing.standings import Comparison, Standing

TEMPLATE = "page.html"


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: its heading.
        paragraphs: text above the table.
        heads: the table's.
        rows: the table's, as texts.
        pictures: files, in order.
    """

    title: str
    paragraphs: Sequence[str] = ()
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Sequence[Path] = field(default_factory=list)


def sections(found: Outcome, pictures: Sequence[Path]) -> list[Section]:
    """The whole report, what matters first."""
    parts = [
        Section("What was found", findings(found)),
        figures_table(found),
        *(differences_table(found, measure) for measure in found.measures),
        cost_table(found),
        Section("Side by side", ["The first seed of each, on the same test rows."], pictures=pictures),
    ]
    if found.logged:
        rows = [[key.removeprefix("test/"), *texts] for key, texts in found.logged.items()]
        told = "Mean ± standard deviation over the seeds, as each training has logged them."
        parts.append(Section("Test figures of the runs", [told], ["test figure", *found.names], rows))
    return [*parts, members_table(found), Section("How it was done", protocol(found))]


def findings(found: Outcome) -> list[str]:
    """A sentence for each model but the reference, by the leading figure; and what was left out."""
    measure = found.measures[0]
    base = found.standings[measure.key][found.reference]
    what = "the baseline" if found.was_named else f"best by {measure.title}"
    lines = [f"{found.names[found.reference]} is {what}: {value_of(base)}."]
    for name, compared in zip(found.names, found.comparisons[measure.key], strict=True):
        if compared is not None:
            lines.append(sentence(name, measure, compared))
    return [*lines, *found.remarks]


def sentence(name: str, measure: Measure, compared: Comparison) -> str:
    """One difference in words."""
    difference = compared.difference
    is_better = (difference.difference > 0) == measure.higher_is_better
    if not compared.is_real:
        return f"{name} can't be told from it: {measure.title} differs by {interval_of(compared)}, which is not sure."
    verdict = "better" if is_better else "worse"
    return f"{name} is {verdict}: {measure.title} differs by {interval_of(compared)}, and that is real."


def figures_table(found: Outcome) -> Section:
    """Every figure, mean ± sd over the seeds."""
    heads = ["model", "seeds", *(f"{one.title} ({way(one)})" for one in found.measures)]
    rows = []
    for place, group in enumerate(found.groups):
        own = [value_of(found.standings[one.key][place]) for one in found.measures]
        rows.append([group.name, str(len(group.members)), *own])
    told = f"Mean ± standard deviation over the seeds, on {found.rows:,} test rows of {found.data}."
    return Section("Figures", [told], heads, rows)


def differences_table(found: Outcome, measure: Measure) -> Section:
    """The differences of one figure, and which are real."""
    heads = ["model", f"{found.level:.0%} interval of the figure", "difference (interval)", "p, corrected", "verdict"]
    rows = []
    for place, name in enumerate(found.names):
        own, compared = found.standings[measure.key][place], found.comparisons[measure.key][place]
        spread = f"{own.low:.4g} to {own.high:.4g}"
        if compared is None:
            rows.append([name, spread, "", "", "reference"])
            continue
        better = (compared.difference.difference > 0) == measure.higher_is_better
        verdict = f"real: {'better' if better else 'worse'}" if compared.is_real else "not sure"
        rows.append([name, spread, interval_of(compared), f"{compared.corrected:.3g}", verdict])
    title = f"Differences: {measure.title}"
    return Section(title, [f"From {found.names[found.reference]}; {way(measure)}."], heads, rows)


def cost_table(found: Outcome) -> Section:
    """What each model costs."""
    heads = ["model", "parameters", "training, s", "scoring, rows/s"]
    rows = []
    for name, cost in zip(found.names, found.costs, strict=True):
        seconds = cost.fit_seconds
        trained = f"{mean(seconds):.3g}" if seconds else ""
        trained += f" ± {stdev(seconds):.2g}" if len(seconds) > 1 else ""
        rows.append([name, f"{cost.parameters:,}", trained, f"{cost.rows_per_second:,.0f}"])
    told = (
        f"Speed: the same test rows in this one process, each model in turn, the median of {found.turns} turns; "
        "training seconds are those that the runs have logged, on whatever machine that was."
    )
    return Section("Cost", [told], heads, rows)


def members_table(found: Outcome) -> Section:
    """Which runs stand behind each name."""
    rows = [
        [group.name, one.name, one.run_id or "", "" if one.seed is None else str(one.seed)]
        for group in found.groups
        for one in group.members
    ]
    return Section("Models", [], ["model", "name", "run", "seed"], rows)


def protocol(found: Outcome) -> list[str]:
    """How the figures and the verdicts were made."""
    comparisons, unit = len(found.groups) - 1, found.unit
    family = f"the {comparisons} comparisons" if comparisons > 1 else "one comparison"
    seeds = [len(group.members) for group in found.groups]
    lines = [
        f"All models are judged on the same {found.rows:,} test rows of {found.data} (SHA-256 {found.digest}).",
        f"Errors are of {unit}.",
        f"Intervals: paired percentile bootstrap, {found.resamples:,} draws of the test rows, the same for all models; "
        "rows of a series are drawn in stretches.",
    ]
    if max(seeds) > 1:
        lines.append(
            "Where a model has several seeds, the interval is also one for new seeds: Student's t of their spread is "
            "added to the draws."
        )
    if min(seeds) == 1:
        lines.append(
            "A model with one seed is judged as it was trained: another training of its make may come out otherwise."
        )
    lines.append(
        f"A difference is real where its {found.level:.0%} interval excludes 0, and its p-value stays below "
        f"{1 - found.level:.2g} after Holm's correction for {family} of the figure."
    )
    if not found.was_named:
        lines.append("The best model was found on these very rows, so that its own figure is a little flattered.")
    return lines


def value_of(standing: Standing) -> str:
    """Mean ± standard deviation over the seeds; of one seed its figure."""
    return f"{standing.mean:.4g}" if standing.sd is None else f"{standing.mean:.4g} ± {standing.sd:.2g}"


def interval_of(compared: Comparison) -> str:
    """A difference with its interval."""
    found = compared.difference
    return f"{found.difference:+.3g} ({found.low:+.3g} to {found.high:+.3g})"


def way(measure: Measure) -> str:
    """Which way is better."""
    return "higher is better" if measure.higher_is_better else "lower is better"


def markdown(heading: str, parts: Sequence[Section]) -> str:
    """The report as Markdown; pictures by their paths from the report's own folder."""
    text = [f"# {heading}"]
    for part in parts:
        text.append(f"## {part.title}")
        text.append(
            "\n".join(f"- {line}" for line in part.paragraphs) if len(part.paragraphs) > 1 else "".join(part.paragraphs)
        )
        if part.rows:
            lines = [part.heads, ["---"] * len(part.heads), *part.rows]
            text.append("\n".join(f"| {' | '.join(escaped(cell) for cell in line)} |" for line in lines))
        text += [
            f"![{picture.stem.replace('_', ' ')}]({picture.parent.name}/{picture.name})" for picture in part.pictures
        ]
    return "\n\n".join(block for block in text if block) + "\n"


def escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def html(heading: str, parts: Sequence[Section]) -> str:
    """The report as one page, pictures and all."""
    pages = Environment(loader=PackageLoader("pipelines.comparing", "."), autoescape=select_autoescape())
    pages.filters["base64"] = lambda path: base64.b64encode(Path(path).read_bytes()).decode()
    return pages.get_template(TEMPLATE).render(heading=heading, parts=parts)
