"""The report as one page that needs nothing else."""

from html import escape

from lit_ae.monitoring.decision import FEATURE
from lit_ae.monitoring.watch import Look
from pipelines.monitoring import pictures
from pipelines.monitoring.report import STATES, Report, by_distance, rate_in_words

DRAWN, LISTED = 6, 50  # features with a picture, and in the table
COLOURS = {"nothing": "#2f7d4f", "recalibrate": "#b7791f", "adapt": "#c05621", "retrain": "#b83232"}
TO_LOOK_AT = "#2b6cb0"  # more anomalies
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #f5f6f8; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 24px; }
header { border-left: 8px solid var(--state); background: #fff; padding: 18px 24px; border-radius: 6px; }
h1 { margin: 0; font-size: 24px; color: var(--state); } h2 { font-size: 17px; margin: 0 0 4px; }
section { background: #fff; padding: 18px 24px; border-radius: 6px; margin-top: 16px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin-top: 16px; }
.card { background: #fff; padding: 12px 16px; border-radius: 6px; } .card b { display: block; font-size: 21px; }
.card span, .note { color: #666; font-size: 13px; } .pair { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); }
figure { margin: 0; } figcaption { font-size: 13px; color: #444; font-weight: 600; } svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; } th { text-align: left; color: #666; }
td, th { padding: 4px 10px 4px 0; border-bottom: 1px solid #eee; } td.n, th.n { text-align: right; }
tr.moved td { font-weight: 600; } code { background: #eef0f3; padding: 2px 6px; border-radius: 4px;
  overflow-wrap: anywhere; } ul { margin: 8px 0; padding-left: 20px; }
"""


def page(report: Report) -> str:
    """The page."""
    decision = report.decision
    colour = TO_LOOK_AT if decision.state == "more anomalies" else COLOURS[decision.action]
    parts = [_head(report), _cards(report), _time(report), _scores(report), _features(report), _foot(report)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}: {escape(report.model)}</title><style>{STYLE}</style></head>"
        f'<body style="--state: {colour}"><main>{"".join(parts)}</main></body></html>\n'
    )


def _head(report: Report) -> str:
    decision = report.decision
    told = f"<h1>{report.title}</h1><p><b>{escape(STATES[decision.state].capitalize())}</b>: "
    told += f"{report.seen.findings.tally.scored:,} scored rows, {escape(rate_in_words(report))}.</p>"
    if decision.reasons:
        told += f"<ul>{''.join(f'<li>{escape(reason)}</li>' for reason in decision.reasons)}</ul>"
    if report.command:
        told += f"<p>Next: <code>{escape(report.command)}</code></p>"
    times = report.seen.times
    when = "" if times is None else f", {times[0]:%Y-%m-%d %H:%M} to {times[1]:%Y-%m-%d %H:%M}"
    return f'<header>{told}<p class="note">{escape(report.model)} on {escape(report.source)}{when}</p></header>'


def _cards(report: Report) -> str:
    found, promise = report.seen.findings, report.profile.promise
    low, high = found.alarms.interval
    cards = [
        (f"{found.alarms.rate:.2%}", f"of the rows alarm ({low:.2%} to {high:.2%}); promised {promise.budget:.2%}"),
        (f"{found.evidence.middle:+.2f} sd", "the middle row's score against normal rows"),
        (f"{found.bulk.distance:.3f}", f"distance of the bulk of the p-values (p = {found.bulk.p_value:.2g})"),
        (f"{len(found.evidence.moved)} of {found.evidence.features}", "features moved"),
    ]
    if found.latent is not None:
        cards.append((f"{found.latent.distance:.2f} sd", f"the code's centre moved (p = {found.latent.p_value:.2g})"))
    if (realised := report.seen.realised) is not None and realised.normals:
        rate, (low, high) = realised.false_alarms / realised.normals, realised.interval
        cards.append((f"{rate:.2%}", f"of {realised.normals:,} confirmed normals alarm ({low:.2%} to {high:.2%})"))
    if realised is not None and realised.anomalies:
        cards.append((f"{realised.found} of {realised.anomalies}", "confirmed anomalies found"))
    return f'<div class="cards">{"".join(_card(*card) for card in cards)}</div>'


def _card(figure: str, meaning: str) -> str:
    return f'<div class="card"><b>{escape(figure)}</b><span>{escape(meaning)}</span></div>'


def _time(report: Report) -> str:
    changes = report.seen.findings.changes
    rung = "No stream detector rang."
    if changes:
        told = ", ".join(f"{change.detector} at row {change.row:,}" for change in changes[: pictures.MOST_MARKS])
        rung = (
            f"Stream detectors rang {len(changes)} times: {told}{' …' if len(changes) > pictures.MOST_MARKS else ''}."
        )
    return f"<section><h2>Over time</h2><p>{escape(rung)}</p>{pictures.timeline(report)}</section>"


def _scores(report: Report) -> str:
    found = report.seen.findings
    figures = [_figure("P-values: flat for normal rows; anomalies raise the left alone", pictures.ranks(found))]
    if found.latent is not None:
        figures.append(_figure("Centre of the codes", pictures.latent(found)))
    return f'<section><h2>Scores and codes</h2><div class="pair">{"".join(figures)}</div></section>'


def _features(report: Report) -> str:
    found = report.seen.findings
    looks = by_distance(found.looks)
    if not looks:
        return "<section><h2>Features</h2><p>The rows' features were not given.</p></section>"
    moved = {one.name for one in found.evidence.moved} | set(found.evidence.unseen)
    drawn = [look for look in looks if look.feature.name in moved][:DRAWN]
    told = "".join(
        _figure(f"{look.feature.name}: {look.values.distance:.2f}", pictures.feature(look)) for look in drawn
    )
    rows = "".join(_row(look, look.feature.name in moved) for look in looks[:LISTED])
    note = (
        "Distance: Kolmogorov-Smirnov of numbers, total variation of categories. A feature counts as moved from "
        f"{FEATURE} beyond its own unrest on, if that is more than chance (Benjamini-Hochberg over all tests)."
    )
    heads = '<th>feature</th><th class="n">distance</th><th class="n">p</th><th class="n">own unrest</th>'
    heads += '<th class="n">missing</th><th class="n">was</th><th class="n">unseen</th>'
    more = f'<p class="note">{len(looks) - LISTED} more stand in report.json.</p>' if len(looks) > LISTED else ""
    return (
        f'<section><h2>Features</h2><div class="pair">{told}</div><table><tr>{heads}</tr>{rows}</table>{more}'
        f'<p class="note">{note}</p></section>'
    )


def _row(look: Look, has_moved: bool) -> str:
    missing = look.counts[-1] / look.counts.sum()
    numbers = [f"{look.values.distance:.3f}", f"{look.values.p_value:.2g}", f"{look.feature.unrest:.3f}"]
    numbers += [f"{missing:.2%}", f"{look.feature.missing:.2%}", f"{look.unseen:.2%}"]
    cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
    kind = ' class="moved"' if has_moved else ""
    return f"<tr{kind}><td>{escape(look.feature.name)}</td>{cells}</tr>"


def _figure(caption: str, drawn: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawn}</figure>"


def _foot(report: Report) -> str:
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in report.remarks)
    return f"<section><h2>Remarks</h2><ul>{remarks}</ul></section>" if remarks else ""
