"""The report of a detector as a page: every figure beside those of the detectors it is held against."""

from collections.abc import Mapping

AT = "recall_at_false_alarms_"
TITLES = {
    "auroc": "AUROC",
    "auroc_by_entity": "AUROC, mean over entities",
    "ap": "AP (95 %)",
    "ap_by_entity": "AP, mean over entities",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_alarm_rate": "realised false alarms (95 %)",
    "vus_pr": "VUS-PR",
    "event_recall": "event recall",
    "detection_delay": "delay, rows",
    "alarms_per_day": "alarms a day",
    "alarms_per_1000_rows": "alarms in 1,000 rows",
    "hit_rate": "HitRate@100 %",
    "oracle_best_f1": "oracle best F1",
    "oracle_point_adjusted_f1": "oracle point-adjusted F1",
}


def markdown(figures: Mapping[str, Mapping[str, float]], protocol: Mapping[str, str], heading: str) -> str:
    """A table with a row a detector, one with a row a family, and the protocol.

    Args:
        figures: of each detector by its name, the model's first.
        protocol: a sentence for each figure that needs one.
        heading: what was judged.
    """
    first = next(iter(figures.values()))
    parts = [f"# {heading}", f"Base rate of anomalies: {first['base_rate']:.4f}", _detectors(figures)]
    if families := _families(figures):
        parts.append(families)
    parts.append("\n".join(f"- **{name}**: {text}." for name, text in protocol.items()))
    return "\n\n".join(parts) + "\n"


def _detectors(figures: Mapping[str, Mapping[str, float]]) -> str:
    titles = _titles(figures)
    shown = [name for name in titles if any(name in own for own in figures.values())]
    lines = [_row(["detector", *(titles[name] for name in shown)]), _row(["---"] * (len(shown) + 1))]
    return "\n".join([*lines, *(_row([name, *(_cell(own, key) for key in shown)]) for name, own in figures.items())])


def _titles(figures: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Of every figure, in order: ranking, the recall at each rate of false alarms that there is, and the others."""
    rates = sorted({float(key.removeprefix(AT)) for own in figures.values() for key in own if key.startswith(AT)})
    recalls = {f"{AT}{rate:g}": f"recall at {100 * rate:g} %" for rate in rates}
    ranking = {name: title for name, title in TITLES.items() if name.startswith(("auroc", "ap"))}
    return ranking | recalls | TITLES


def _families(figures: Mapping[str, Mapping[str, float]]) -> str:
    """AUROC against all normal rows, and the share of the family with an alarm, of each detector."""
    first = next(iter(figures.values()))
    families = [key.split("/")[1] for key in first if key.startswith("family/") and key.endswith("/rows")]
    if not families:
        return ""
    lines = [_row(["family", "rows", *(f"{name}: AUROC, recall" for name in figures)])]
    lines.append(_row(["---"] * (len(figures) + 2)))
    for family in families:
        pairs = [[_cell(own, f"family/{family}/{key}") for key in ("auroc", "recall")] for own in figures.values()]
        cells = [", ".join(filter(None, pair)) for pair in pairs]
        lines.append(_row([family, f"{first[f'family/{family}/rows']:,.0f}", *cells]))
    return "\n".join(lines)


def _cell(own: Mapping[str, float], key: str) -> str:
    """The figure with its interval, where it has one; empty where there is no such figure."""
    if key not in own:
        return ""
    many = key.startswith(("alarms", "detection"))
    text = f"{own[key]:,.1f}" if many else f"{own[key]:.4f}"
    return f"{text} ({own[f'{key}_low']:.4f} to {own[f'{key}_high']:.4f})" if f"{key}_low" in own else text


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
